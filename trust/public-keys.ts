/** Public keys in files: those of the APIs that are believed, and those of evidence. Several: while a key is replaced, both count. */
import { createPublicKey, type KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { keyIdOf } from './key-id';

/** Public keys by their ids. */
export type PublicKeys = ReadonlyMap<string, KeyObject>;

/** Whose keys they are. */
export interface KeyPurpose {
  /** `a public key of the API` */
  readonly is: string;
  /** Whether it can be such a key. */
  readonly fits: (key: KeyObject) => boolean;
  /** `the API signs with Ed25519` */
  readonly rule: string;
}

/** Keys that APIs sign requests and decisions with. */
export const OF_API: KeyPurpose = {
  is: 'a public key of the API',
  fits: ({ asymmetricKeyType }) => asymmetricKeyType === 'ed25519',
  rule: 'the API signs with Ed25519',
};

/**
 * Reads PEM files of public keys.
 * @throws Error that names the file that is missing or holds another thing
 */
export async function readPublicKeys(files: readonly string[], purpose: KeyPurpose): Promise<PublicKeys> {
  const keys = await Promise.all(files.map(async (file) => publicKeyOf(await contentOf(file, purpose), file, purpose)));
  return new Map(keys);
}

/** A public key by its id. @param origin where it is from: the start of the error @throws Error */
export function publicKeyOf(pem: string, origin: string, { fits, is, rule }: KeyPurpose): [string, KeyObject] {
  let key: KeyObject;
  try {
    // A private key has a public half, and belongs to its owner alone: its file is no list of whom to believe.
    if (/PRIVATE KEY/.test(pem)) throw new Error('private');
    key = createPublicKey(pem);
  } catch (cause) {
    throw new Error(`${origin} does not hold a public key in PEM form.`, { cause });
  }
  if (!fits(key))
    throw new Error(`${origin} holds a key of the type ${key.asymmetricKeyType}, which is not ${is}: ${rule}.`);
  return [keyIdOf(key.export({ type: 'spki', format: 'der' })), key];
}

async function contentOf(file: string, { is }: KeyPurpose): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new Error(`${file}, ${is}, cannot be read.`, { cause });
  }
}
