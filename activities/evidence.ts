/** Seals evidence: signs a record and writes its file, whole or not at all, and once. */
import { createHash, randomUUID } from 'node:crypto';
import { access, link, mkdir, open, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { EvidenceRecord, renderEvidenceRecord } from '../domain/evidence';
import type { SigningKey } from '../evidence/key';
import { signEvidence } from '../evidence/sign';
import { verifyEvidence } from '../evidence/verify';
import { OwnError } from '../domain/own-error';
import { clusterLockId } from '../domain/resource-ids';
import { needsPerson } from './failures';

/** Where evidence is written, and the key that signs it. */
export interface EvidenceStore {
  readonly directory: string;
  readonly key: SigningKey;
}

/** File names come from outside: they may contain only the characters of an operation id. */
const FILE_SAFE = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

/**
 * Signs a record and writes `<directory>/<operation id>.json`. Evidence is never overwritten: when the file is there with the
 * same record, an earlier try wrote it, and it is returned as it is.
 * @returns the path, `sha256:` of the file's bytes, and the id of the signing key
 * @throws ApplicationFailure `EvidenceExists`, non-retryable, when the file has another record
 * @throws Error when the record is not one, or the file cannot be written
 */
export async function sealEvidence(
  record: Omit<EvidenceRecord, 'sealedAt' | 'format'>,
  { directory, key }: EvidenceStore,
  now: () => string = () => new Date().toISOString(),
): Promise<{ file: string; digest: string; signingKeyId: string }> {
  const sealed = EvidenceRecord.parse({ format: 'keyturn-evidence/2', sealedAt: now(), ...record });
  const file = fileOf(directory, sealed.operation.id);
  const bytes = signEvidence(sealed, key);
  if (await writeOnce(file, bytes)) return { file, digest: digestOf(bytes), signingKeyId: key.keyId };

  const existing = await readFile(file);
  const verdict = verifyEvidence(existing);
  if (!verdict.ok || !isSameRecord(verdict.record, sealed)) throw evidenceExists(sealed.operation.id, file);
  return { file, digest: digestOf(existing), signingKeyId: verdict.keyId };
}

/** @throws ApplicationFailure `EvidenceExists`, non-retryable, when there is evidence under this id */
export async function refuseUsedOperationId(operationId: string, { directory }: EvidenceStore): Promise<void> {
  const file = fileOf(directory, operationId);
  if (await exists(file)) throw evidenceExists(operationId, file);
}

function evidenceExists(operationId: string, file: string): Error {
  return needsPerson(
    'EvidenceExists',
    `${file} is evidence of another operation with the id ${operationId}, and evidence is never overwritten. ` +
      'The earlier evidence stays. Ask again with an Idempotency-Key that was never used.',
  );
}

function fileOf(directory: string, operationId: string): string {
  if (!FILE_SAFE.test(operationId)) throw new OwnError(`"${operationId}" cannot be the name of an evidence file.`);
  return join(directory, `${operationId}.json`);
}

/** Compares without the time of sealing, which differs for each try. */
function isSameRecord(one: EvidenceRecord, other: EvidenceRecord): boolean {
  return renderEvidenceRecord({ ...one, sealedAt: '' }) === renderEvidenceRecord({ ...other, sealedAt: '' });
}

function digestOf(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

async function exists(file: string): Promise<boolean> {
  try {
    await access(file);
    return true;
  } catch (error) {
    if (isCode(error, 'ENOENT')) return false;
    throw error;
  }
}

/**
 * All evidence of one cluster that this installation signed. Other files are ignored: then what they would confirm is proven
 * again.
 * @param cluster its ARM resource id, in any case
 * @throws Error when the folder is there and cannot be read
 */
export async function readClusterEvidence(
  cluster: string,
  { directory, key }: EvidenceStore,
): Promise<EvidenceRecord[]> {
  const id = clusterLockId(cluster);
  const records: EvidenceRecord[] = [];
  for (const name of await namesIn(directory)) {
    if (!name.endsWith('.json')) continue;
    const bytes = await readFile(join(directory, name)).catch(() => undefined);
    // Most files are about other clusters, and verifying them all would take long.
    if (!bytes?.toString('utf8').toLowerCase().includes(cluster.toLowerCase())) continue;
    const verdict = verifyEvidence(bytes, { publicKeyPem: key.publicKeyPem });
    if (verdict.ok && clusterLockId(verdict.record.operation.request.cluster) === id) records.push(verdict.record);
  }
  return records;
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** @returns false when there is such a file, which stays as it is; a new one appears whole or not at all */
async function writeOnce(file: string, bytes: Buffer): Promise<boolean> {
  await mkdir(join(file, '..'), { recursive: true });
  const draft = `${file}.${randomUUID()}`;
  try {
    const handle = await open(draft, 'wx', 0o644);
    try {
      await handle.writeFile(bytes);
      await handle.sync();
    } finally {
      await handle.close();
    }
    // A link fails where the name is taken; a rename would replace what is there.
    await link(draft, file);
    return true;
  } catch (error) {
    if (isCode(error, 'EEXIST')) return false;
    throw error;
  } finally {
    await rm(draft, { force: true });
  }
}

function isCode(error: unknown, code: string): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === code;
}
