/** Seals evidence: signs a record and writes its file, whole or not at all, and once; then tells the audit log the outcome. */
import { digestOfBytes } from '../evidence/digest';
import { EvidenceRecord, renderEvidenceRecord, type UnsealedRecord } from '../domain/evidence';
import { OwnError } from '../domain/own-error';
import { clusterLockId } from '../domain/resource-ids';
import { auditHeads } from '../evidence/audit-heads';
import type { AuditTrail } from '../evidence/audit-log';
import { ownKeys, type EvidenceKeys } from '../evidence/receipts';
import { signEvidence } from '../evidence/sign';
import type { Signer } from '../evidence/signer';
import type { RecordStore } from '../evidence/store';
import { verifyEvidence } from '../evidence/verify';
import { needsPerson } from './failures';

/** Where evidence is written, the key that signs it, and the log that says so. */
export interface EvidenceStore {
  readonly store: RecordStore;
  readonly key: Signer;
  /** Public keys that it was signed with before. */
  readonly earlierKeys?: EvidenceKeys;
  /** Absent in tests of evidence alone. */
  readonly audit?: AuditTrail;
}

/** What the operation shows of its evidence. */
export interface Sealed {
  readonly file: string;
  readonly digest: string;
  readonly signingKeyId: string;
}

/** File names come from outside: they may contain only the characters of an operation id. */
const FILE_SAFE = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;
/** Lines of the audit log that evidence names. */
const HEADS_IN_EVIDENCE = 16;

/**
 * Signs a record and writes `<operation id>.json`. Evidence is never overwritten: when the file is there with the same record, an
 * earlier try wrote it, and it is returned as it is. The outcome is in the audit log when this has resolved.
 * @returns the path or URL, `sha256:` of the file's bytes, and the id of the signing key
 * @throws ApplicationFailure `EvidenceExists`, non-retryable, when the file has another record
 * @throws SignerUnavailable when the key is in a vault that does not sign now
 * @throws Error when the record is not one, or file or log cannot be written
 */
export async function sealEvidence(
  record: UnsealedRecord,
  { store, key, audit }: EvidenceStore,
  now: () => string = () => new Date().toISOString(),
  abortSignal?: AbortSignal,
): Promise<Sealed> {
  const sealedAt = now();
  const heads =
    audit === undefined ? {} : { audit: await auditHeads(store, new Date().toISOString(), HEADS_IN_EVIDENCE) };
  const sealed = EvidenceRecord.parse({ format: 'keyturn-evidence/3', sealedAt, ...record, ...heads });
  const { operation } = sealed;
  const name = evidenceName(operation.id);
  const written = await writeOrFind(name, sealed, { store, key }, abortSignal);
  const { request, status, reason } = operation;
  await audit?.append({
    event: 'outcome',
    operation: operation.id,
    kind: operation.kind,
    cluster: request.cluster.toLowerCase(),
    change: request.change.number,
    status,
    code: reason?.code,
    evidence: written.digest,
    swept: sealed.swept,
  });
  return written;
}

async function writeOrFind(
  name: string,
  sealed: EvidenceRecord,
  { store, key }: EvidenceStore,
  abortSignal: AbortSignal | undefined,
): Promise<Sealed> {
  const file = store.locationOf(name);
  const bytes = await signEvidence(sealed, key, { abortSignal });
  const cluster = clusterLockId(sealed.operation.request.cluster);
  if (await store.writeOnce(name, bytes, { cluster }))
    return { file, digest: digestOfBytes(bytes), signingKeyId: key.keyId };

  const existing = await store.read(name);
  const verdict = existing && verifyEvidence(existing);
  if (!existing || !verdict?.ok || !isSameRecord(verdict.record, sealed))
    throw evidenceExists(sealed.operation.id, file);
  return { file, digest: digestOfBytes(existing), signingKeyId: verdict.keyId };
}

/** @throws ApplicationFailure `EvidenceExists`, non-retryable, when there is evidence under this id */
export async function refuseUsedOperationId(
  operationId: string,
  { store }: Pick<EvidenceStore, 'store'>,
): Promise<void> {
  const name = evidenceName(operationId);
  if (await store.has(name)) throw evidenceExists(operationId, store.locationOf(name));
}

function evidenceExists(operationId: string, file: string): Error {
  return needsPerson(
    'EvidenceExists',
    `${file} is evidence of another operation with the id ${operationId}, and evidence is never overwritten. ` +
      'The earlier evidence stays. Ask again with an Idempotency-Key that was never used.',
  );
}

/** The name of an operation's evidence in the store. @throws OwnError when the id cannot be a part of it */
export function evidenceName(operationId: string): string {
  if (!FILE_SAFE.test(operationId)) throw new OwnError(`"${operationId}" cannot be the name of an evidence file.`);
  return `${operationId}.json`;
}

/** Compares without what differs for each try: the time of sealing, the key that signed, and how far the audit log was. */
function isSameRecord(one: EvidenceRecord, other: EvidenceRecord): boolean {
  const same = { sealedAt: '', signer: undefined, audit: undefined };
  return renderEvidenceRecord({ ...one, ...same }) === renderEvidenceRecord({ ...other, ...same });
}

/**
 * All evidence of one cluster that this installation signed. Other files are ignored: then what they would confirm is proven
 * again.
 * @param cluster its ARM resource id, in any case
 * @throws Error when the store is there and cannot be read
 */
export async function readClusterEvidence(cluster: string, evidence: EvidenceStore): Promise<EvidenceRecord[]> {
  const { store } = evidence;
  const id = clusterLockId(cluster);
  const own = ownKeys(evidence);
  const records: EvidenceRecord[] = [];
  for (const name of await store.namesOf(id)) {
    const bytes = await store.read(name).catch(() => undefined);
    // In a folder most files are about other clusters, and verifying them all would take long.
    if (!bytes?.toString('utf8').toLowerCase().includes(cluster.toLowerCase())) continue;
    const verdict = verifyEvidence(bytes);
    if (verdict.ok && own.has(verdict.keyId) && clusterLockId(verdict.record.operation.request.cluster) === id)
      records.push(verdict.record);
  }
  return records;
}
