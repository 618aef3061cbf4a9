/**
 * The sandbox's certificate authority on disk.
 *
 * Needs: a directory of its own.
 * Does: opens the authority that is there, or makes one, so that clients which trust it may be started before the
 *       sandbox (NODE_EXTRA_CA_CERTS is read once, at process start) and outlive it.
 * Never does: replace an authority that is there.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createAuthorityPair, openAuthority, type Authority } from '../pki';

/** An authority, and the file that clients trust. */
export interface AuthorityOnDisk {
  readonly authority: Authority;
  /** PEM certificate: the value for NODE_EXTRA_CA_CERTS. */
  readonly caFile: string;
}

/**
 * Opens the authority in `directory` (`ca.pem`, `ca-key.pem`), or makes it. Callers must not race for a new one.
 * @throws Error when only one of the two files is there, or they cannot be read.
 */
export async function openAuthorityOnDisk(directory: string): Promise<AuthorityOnDisk> {
  await mkdir(directory, { recursive: true });
  const caFile = join(directory, 'ca.pem');
  const keyFile = join(directory, 'ca-key.pem');
  const [certPem, keyPem] = await Promise.all([readIfThere(caFile), readIfThere(keyFile)]);
  if (certPem !== undefined && keyPem !== undefined) {
    return { authority: await openAuthority({ certPem, keyPem }), caFile };
  }
  if (certPem !== undefined || keyPem !== undefined) {
    throw new Error(
      `Only one of ca.pem and ca-key.pem is in ${directory}. Restore the other one, or remove this one to have a new authority made.`,
    );
  }
  const pair = await createAuthorityPair('Keyturn sandbox CA');
  await writeFile(keyFile, pair.keyPem, { mode: 0o600, flag: 'wx' });
  await writeFile(caFile, pair.certPem, { flag: 'wx' });
  return { authority: await openAuthority(pair), caFile };
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
