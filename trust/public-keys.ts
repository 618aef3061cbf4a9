/** The public keys of the APIs that a worker, or an auditor, believes. Several: while a key is replaced, both count. */
import { createPublicKey, type KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { keyIdOf } from './key-id';

/** Public keys by their ids. */
export type PublicKeys = ReadonlyMap<string, KeyObject>;

/**
 * Reads PEM files of Ed25519 public keys.
 * @throws Error that names the file that is missing or holds another thing
 */
export async function readPublicKeys(files: readonly string[]): Promise<PublicKeys> {
  const keys = await Promise.all(files.map(async (file) => publicKeyOf(await contentOf(file), file)));
  return new Map(keys);
}

/** A public key by its id. @throws Error that names its origin */
export function publicKeyOf(pem: string, origin: string): [string, KeyObject] {
  let key: KeyObject;
  try {
    // A private key has a public half, and belongs to the API alone: its file is no list of whom to believe.
    if (/PRIVATE KEY/.test(pem)) throw new Error('private');
    key = createPublicKey(pem);
  } catch (cause) {
    throw new Error(`${origin} does not hold a public key in PEM form.`, { cause });
  }
  if (key.asymmetricKeyType !== 'ed25519')
    throw new Error(`${origin} holds a key of the type ${key.asymmetricKeyType}; the API signs with Ed25519.`);
  return [keyIdOf(key.export({ type: 'spki', format: 'der' })), key];
}

async function contentOf(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new Error(`${file}, a public key of the API, cannot be read.`, { cause });
  }
}
