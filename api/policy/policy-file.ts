/**
 * The policy file of a running API.
 *
 * Does: reads it at the start, and again when it changes or the process is told to. A new file that cannot be used leaves the old
 * policy in force, and is an error in the log.
 * Never does: fall back to no policy: that would let every role act on every cluster.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Logger } from 'pino';
import { SettingsError } from '../../settings/environment';
import type { Policy } from './policy';
import { readPolicy, type PolicyRead } from './read-policy';

/**
 * A mounted file is replaced by a link to another one, which no event tells of, and its times say little: a change within one tick of them,
 * or before the first look, shows in none. So the file itself is read: it is small.
 */
const LOOK_EVERY_IN_MS = 5_000;

/** Where the policy comes from. */
export interface PolicySource {
  /** The policy in force. */
  current(): Policy;
}

/** The policy file. */
export class PolicyFile implements PolicySource {
  #policy: Policy;
  #digest: string;
  /** The text that was refused last: it is said once. */
  #refused: string | undefined;
  #logger: Logger | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** @throws SettingsError that names everything that is wrong with the file */
  constructor(private readonly path: string) {
    const { digest, parse } = this.#look();
    const { policy, faults } = parse();
    if (policy === null) throw new SettingsError(faults);
    this.#policy = policy;
    this.#digest = digest;
  }

  current(): Policy {
    return this.#policy;
  }

  /** Which version of the file is in force: `sha256:…` of its bytes. */
  get digest(): string {
    return this.#digest;
  }

  /** Reads the file again whenever it changes, until `close`. */
  watch(logger: Logger, intervalInMs = LOOK_EVERY_IN_MS): void {
    this.#logger = logger;
    this.close();
    this.#timer = setInterval(() => this.reload(), intervalInMs).unref();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  /** Reads the file again. @returns whether its content is in force */
  reload(): boolean {
    const { digest, parse } = this.#look();
    if (digest === this.#digest) {
      this.#refused = undefined;
      return true;
    }
    if (digest === this.#refused) return false;
    const { policy, faults } = parse();
    if (policy === null) {
      this.#logger?.error(
        { policy: this.#digest, faults },
        'The policy file cannot be used. The policy that was read before stays in force. Repair the file.',
      );
      this.#refused = digest;
      return false;
    }
    this.#refused = undefined;
    this.#logger?.warn({ policy: digest, before: this.#digest, rules: policy.rules.length }, 'The policy was changed.');
    this.#policy = policy;
    this.#digest = digest;
    return true;
  }

  /** The file as it is now. It is looked at every few seconds, and parsed only when it is another one. */
  #look(): { readonly digest: string; readonly parse: () => PolicyRead } {
    let text: string;
    try {
      text = readFileSync(this.path, 'utf8');
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? 'unknown error';
      const fault = `KEYTURN_POLICY_FILE: ${this.path} cannot be read (${code}).`;
      return { digest: code, parse: () => ({ policy: null, faults: [fault] }) };
    }
    const digest = `sha256:${createHash('sha256').update(text).digest('hex')}`;
    const parse = (): PolicyRead => {
      const { policy, faults } = readPolicy(text);
      return policy === null ? { policy, faults: faults.map((fault) => `${this.path}:${fault}`) } : { policy, faults };
    };
    return { digest, parse };
  }
}
