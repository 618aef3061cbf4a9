/** The last lines of the newest files of the audit log: what a new file, and evidence, witness. */
import { AUDIT_PREFIX, LONGEST_LINE_IN_BYTES, MOST_HEADS, readLine, type AuditHead } from '../domain/audit';
import { minutesAfter } from '../domain/times';
import type { RecordStore } from './store';

const MINUTES_OF_A_DAY = 24 * 60;

/** The heads of the files of today and yesterday, of the newest files. A file that cannot be read is left to `verifyAudit`. */
export async function auditHeads(store: RecordStore, now: string, most = MOST_HEADS): Promise<AuditHead[]> {
  const days = [minutesAfter(now, -MINUTES_OF_A_DAY), now].map((time) => time.slice(0, 10));
  const names = await Promise.all(days.map((day) => store.list(`${AUDIT_PREFIX}${day}`)));
  const heads = await Promise.all(
    names
      .flat()
      .sort()
      .slice(-most)
      .map((name) => headOf(store, name)),
  );
  return heads.filter((head) => head !== undefined);
}

async function headOf(store: RecordStore, file: string): Promise<AuditHead | undefined> {
  const end = (await store.readEnd(file, 2 * LONGEST_LINE_IN_BYTES))?.toString('utf8');
  // What comes after the last end of line is being written.
  const line = readLine(end?.split('\n').at(-2) ?? '');
  return typeof line === 'string' ? undefined : { file, seq: line.seq, hash: line.hash };
}
