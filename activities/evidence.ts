/** Seals evidence: signs a record and writes its file, whole or not at all. */
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { EvidenceRecord } from '../domain/evidence';
import type { SigningKey } from '../evidence/key';
import { signEvidence } from '../evidence/sign';

/** Where evidence goes, and what signs it. */
export interface EvidenceStore {
  readonly directory: string;
  readonly key: SigningKey;
}

/** File names come from outside: only what an operation id consists of may be in them. */
const FILE_SAFE = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

/**
 * Signs a record and writes `<directory>/<operation id>.json`; a file of the same operation is replaced.
 * @returns the path, `sha256:` of the file's bytes, and the id of the signing key
 * @throws Error when the record is not one, or the file cannot be written
 */
export async function sealEvidence(
  record: Omit<EvidenceRecord, 'sealedAt' | 'format'>,
  { directory, key }: EvidenceStore,
  now: () => string = () => new Date().toISOString(),
): Promise<{ file: string; digest: string; signingKeyId: string }> {
  const sealed = EvidenceRecord.parse({ format: 'keyturn-evidence/1', sealedAt: now(), ...record });
  const { id } = sealed.operation;
  if (!FILE_SAFE.test(id)) throw new Error(`"${id}" cannot be the name of an evidence file.`);
  const bytes = signEvidence(sealed, key);
  const file = join(directory, `${id}.json`);
  await writeAtomically(file, bytes);
  return { file, digest: `sha256:${createHash('sha256').update(bytes).digest('hex')}`, signingKeyId: key.keyId };
}

async function writeAtomically(file: string, bytes: Buffer): Promise<void> {
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
    await rename(draft, file);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
}
