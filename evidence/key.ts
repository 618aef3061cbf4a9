/**
 * An Ed25519 key in a PEM file of the installation: one that evidence is signed with, or one that the API signs with.
 *
 * Does: reads the file, or makes it once (mode 0600) where that was asked for, with its public half beside it.
 * Never does: overwrite a file that is there, or sign with a key that others may read.
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync, randomUUID, sign, type KeyObject } from 'node:crypto';
import { link, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { keyIdOf } from '../trust/key-id';
import { UnusableKey, type Signer } from './signer';

/** A key pair that this process holds. */
export interface SigningKey extends Signer {
  readonly privateKey: KeyObject;
}

/** What a key file is for, and what people are told about it. */
interface KeyUse {
  readonly is: string;
  readonly whenMissing: string;
  readonly whoHasIt: string;
  readonly whenBroken: string;
  readonly signed: string;
  readonly whenReplaced: string;
}

const USES = {
  evidence: {
    is: 'the key that signs evidence',
    whenMissing:
      'Restore it from your backup; for a new installation, start the worker once with KEYTURN_EVIDENCE_KEY_CREATE=true, which makes one.',
    whoHasIt: 'whoever has the key can sign evidence',
    whenBroken: 'Restore it from your backup, or name another file; evidence that it signed stays valid.',
    signed: 'evidence is signed with Ed25519 keys when the key is in a file',
    whenReplaced:
      'Evidence that the old key signed stays valid with the old public key, so keep that file under another name, remove it here, and start the worker again.',
  },
  api: {
    is: 'the key that the API signs requests and decisions with',
    whenMissing: 'Restore it from your backup, or make one with npm run make-keys.',
    whoHasIt: 'whoever has the key can ask and approve in the name of anybody',
    whenBroken:
      'Restore it from your backup, or name another file; workers go on with operations that were asked for with it only while they have its public half.',
    signed: 'the API signs with Ed25519',
    whenReplaced:
      'Operations that were asked for with the old key go on only while the workers have the old public key, so keep that file under another name among KEYTURN_API_PUBLIC_KEYS, remove it here, and start the API again.',
  },
} as const satisfies Record<string, KeyUse>;

/** `key.pem` → `key.pub.pem`: where the public half of a key file is. */
export function publicKeyFile(keyFile: string): string {
  return `${keyFile.replace(/\.pem$/, '')}.pub.pem`;
}

/**
 * Opens the signing key. Processes that start together agree on one key.
 * @param keyFile PKCS#8 PEM
 * @param options.create whether the key is made when the file does not exist
 * @param options.use what it signs, for the messages; `evidence` when absent
 * @throws UnusableKey when there is no file; when others than its owner may read it; when it holds no Ed25519 private key; when the public key
 *         beside it is another one's
 */
export async function openSigningKey(
  keyFile: string,
  options: { readonly create: boolean; readonly use?: keyof typeof USES },
): Promise<SigningKey> {
  const use = USES[options.use ?? 'evidence'];
  const key = await readKey(keyFile, use).catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    if (!options.create) {
      throw new UnusableKey(`${keyFile}, ${use.is}, is not there. ${use.whenMissing}`);
    }
    await makeKeyFile(keyFile);
    return readKey(keyFile, use);
  });
  await writePublicKey(publicKeyFile(keyFile), key.publicKeyPem, use);
  return key;
}

/** Auditors get this file: a stale one would make good evidence look forged. */
async function writePublicKey(file: string, pem: string, { whenReplaced }: KeyUse): Promise<void> {
  try {
    await writeFile(file, pem, { flag: 'wx', mode: 0o644 });
    return;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  // One that another process writes at this moment is the same, and may be half written.
  const there = await readFile(file, 'utf8');
  if (pem.startsWith(there)) return;
  throw new UnusableKey(
    `${file} is not the public half of the key beside it: the signing key was replaced. ${whenReplaced}`,
  );
}

async function readKey(keyFile: string, use: KeyUse): Promise<SigningKey> {
  const pem = await readFile(keyFile, 'utf8');
  const { mode } = await stat(keyFile);
  if ((mode & 0o077) !== 0) {
    throw new UnusableKey(
      `${keyFile} may be used by others than its owner (mode ${(mode & 0o777).toString(8)}): ${use.whoHasIt}. Find out who could read it, then chmod 600 it, or make a new key.`,
    );
  }
  let privateKey: KeyObject;
  try {
    privateKey = createPrivateKey(pem);
  } catch {
    throw new UnusableKey(`${keyFile}, ${use.is}, does not hold a private key in PEM form. ${use.whenBroken}`);
  }
  if (privateKey.asymmetricKeyType !== 'ed25519') {
    throw new UnusableKey(`${keyFile} holds a key of type ${privateKey.asymmetricKeyType}; ${use.signed}.`);
  }
  const publicKey = createPublicKey(privateKey);
  const publicKeyDer = publicKey.export({ type: 'spki', format: 'der' });
  return {
    privateKey,
    algorithm: 'Ed25519',
    publicKeyDer,
    publicKeyPem: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    keyId: keyIdOf(publicKeyDer),
    sign: (bytes) => Promise.resolve(sign(null, bytes, privateKey)),
  };
}

/** Written whole under another name first: a link appears with its content or not at all, and only for the first one. */
async function makeKeyFile(keyFile: string): Promise<void> {
  await mkdir(dirname(keyFile), { recursive: true });
  const { privateKey } = generateKeyPairSync('ed25519');
  const draft = `${keyFile}.${randomUUID()}`;
  await writeFile(draft, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  try {
    await link(draft, keyFile);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    await rm(draft);
  }
}
