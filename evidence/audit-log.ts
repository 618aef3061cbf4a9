/**
 * Writes the audit log of one process: a file for each start and each day, each line with the hash of the line before it.
 *
 * Does: lines that come at the same time are stored together; a line counts when `append` has resolved.
 * Never does: go on in a file after a write whose end is unknown. It begins another one, which says what it saw of that file.
 */
import { randomUUID } from 'node:crypto';
import { AUDIT_PREFIX, nextLine, type AuditEvent, type AuditHead } from '../domain/audit';
import { auditHeads } from './audit-heads';
import type { RecordStore } from './store';

/** An append blob takes 50,000 blocks. */
const MOST_APPENDS = 40_000;
const LARGEST_FILE_IN_BYTES = 64 * 1024 * 1024;
/** An append blob takes 4 MiB at once (older versions of the service). */
const MOST_LINES_AT_ONCE = 100;

/** Where events are told. */
export interface AuditTrail {
  /** Resolves when the line is stored. @throws AuditUnavailable when it is not, or perhaps not */
  append(event: AuditEvent): Promise<AuditHead>;
}

/** The store did not take a line. */
export class AuditUnavailable extends Error {
  constructor(where: string, cause: unknown) {
    super(`The audit log in ${where} cannot be written.`, { cause });
    this.name = 'AuditUnavailable';
  }
}

interface Waiting {
  readonly event: AuditEvent;
  readonly resolve: (head: AuditHead) => void;
  readonly reject: (error: Error) => void;
}

interface OpenFile {
  readonly name: string;
  readonly day: string;
  appends: number;
  bytes: number;
  head: { readonly seq: number; readonly hash: string } | undefined;
}

/** The log of one process. */
export class AuditLog implements AuditTrail {
  readonly #waiting: Waiting[] = [];
  #file: OpenFile | undefined;
  #writing: Promise<void> | undefined;

  constructor(
    private readonly store: RecordStore,
    private readonly writer: 'api' | 'worker',
    private readonly clock: () => Date = () => new Date(),
  ) {}

  append(event: AuditEvent): Promise<AuditHead> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ event, resolve, reject });
      this.#writing ??= this.#write();
    });
  }

  /** Resolves when every line that was told is stored, or was refused. */
  async drained(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing;
  }

  async #write(): Promise<void> {
    // Lines of the same moment come together.
    await Promise.resolve();
    while (this.#waiting.length > 0) await this.#store(this.#waiting.splice(0, MOST_LINES_AT_ONCE));
    // Here and not when the promise settles: a line that is told between the two would wait for ever.
    this.#writing = undefined;
  }

  async #store(batch: readonly Waiting[]): Promise<void> {
    const time = this.clock().toISOString();
    const told: { readonly to: Waiting; readonly head: AuditHead }[] = [];
    try {
      const file = await this.#fileFor(time);
      const { texts, head } = await this.#begun(file, time);
      let last = head;
      for (const one of batch) {
        try {
          const line = nextLine(one.event, time, last);
          texts.push(line.text);
          last = line;
          told.push({ to: one, head: { file: file.name, seq: line.seq, hash: line.hash } });
        } catch (error) {
          // What cannot be a line is this caller's fault, and no other's.
          one.reject(new AuditUnavailable(this.store.where, error));
        }
      }
      if (told.length === 0) return;
      const bytes = Buffer.from(texts.map((text) => `${text}\n`).join(''));
      if (!(await this.store.append(file.name, bytes, file.bytes)))
        throw new Error(`${file.name} is not as this process left it.`);
      file.bytes += bytes.length;
      file.appends += 1;
      file.head = last;
      for (const { to, head: line } of told) to.resolve(line);
    } catch (error) {
      this.#file = undefined;
      for (const { reject } of batch) reject(new AuditUnavailable(this.store.where, error));
    }
  }

  /** The file of the day. Times come first in names, so that the newest files are the last of a list. */
  async #fileFor(time: string): Promise<OpenFile> {
    const day = time.slice(0, 10);
    const { appends = MOST_APPENDS, bytes = 0 } = this.#file ?? {};
    if (this.#file?.day !== day || appends >= MOST_APPENDS || bytes >= LARGEST_FILE_IN_BYTES) {
      const name = `${AUDIT_PREFIX}${time.replaceAll(':', '-')}-${this.writer}-${randomUUID().slice(0, 13)}.jsonl`;
      this.#file = { name, day, appends: 0, bytes: 0, head: undefined };
    }
    return this.#file;
  }

  /** The first line of a new file, which is stored together with the line that needed the file. */
  async #begun(file: OpenFile, time: string): Promise<{ texts: string[]; head: OpenFile['head'] }> {
    if (file.head !== undefined) return { texts: [], head: file.head };
    const seen = await auditHeads(this.store, time);
    const line = nextLine({ event: 'opened', format: 'keyturn-audit/1', writer: this.writer, seen }, time, undefined);
    return { texts: [line.text], head: line };
  }
}
