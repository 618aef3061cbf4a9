/**
 * Verifies the audit log of a store.
 *
 * Does: finds lines that were changed, removed, moved or cut off, by the chain of each file, by what files saw of each other, and by
 *       what evidence saw of them.
 * Never does: write.
 */
import { z } from 'zod';
import { AUDIT_PREFIX, AuditHead } from '../domain/audit';
import {
  auditFaults,
  readAuditFile,
  witnessedIn,
  type AuditFault,
  type AuditFile,
  type Witnessed,
} from '../domain/audit-chain';
import type { RecordStore } from './store';

/** The result. */
export interface AuditVerdict {
  readonly files: number;
  readonly lines: number;
  /** How many evidence files name lines of the log. */
  readonly evidence: number;
  /** Empty when the log is good. */
  readonly faults: readonly AuditFault[];
}

/** The heads in a file of evidence. Its signature is not checked here: a false one can only name lines that are missing. */
const Heads = z.object({ record: z.object({ audit: z.array(AuditHead).optional() }) });

/** Verifies the log. @throws what the store throws when it cannot be read */
export async function verifyAudit(store: RecordStore): Promise<AuditVerdict> {
  // Processes may be writing: whoever saw something is read before what was seen.
  const fromEvidence: Witnessed[] = [];
  let evidence = 0;
  for (const name of await store.list('')) {
    if (!name.endsWith('.json') || name.includes('/')) continue;
    const heads = headsIn(await store.read(name));
    if (heads.length > 0) evidence += 1;
    fromEvidence.push(...heads.map((head) => ({ head, by: name })));
  }
  const files: AuditFile[] = [];
  for (const name of (await store.list(AUDIT_PREFIX)).reverse()) files.push(...(await readOne(store, name)));
  return {
    files: files.length,
    lines: files.reduce((sum, { lines }) => sum + lines.length, 0),
    evidence,
    faults: auditFaults(files, [...witnessedIn(files), ...fromEvidence]),
  };
}

async function readOne(store: RecordStore, name: string): Promise<AuditFile[]> {
  const bytes = await store.read(name);
  if (bytes === undefined) return [];
  const file = readBytes(name, bytes);
  if (file.fault === undefined) return [file];
  // The last line may have been half written at that moment.
  return [readBytes(name, (await store.read(name)) ?? bytes)];
}

function readBytes(name: string, bytes: Buffer): AuditFile {
  try {
    return readAuditFile(name, new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return { name, lines: [], fault: { file: name, line: 1, why: 'The file is not UTF-8: it was changed.' } };
  }
}

function headsIn(bytes: Buffer | undefined): readonly AuditHead[] {
  try {
    return Heads.parse(JSON.parse(bytes?.toString('utf8') ?? '')).record.audit ?? [];
  } catch {
    // Whether it is evidence is for verify-evidence to say.
    return [];
  }
}
