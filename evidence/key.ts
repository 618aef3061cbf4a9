/**
 * The Ed25519 key that evidence is signed with: one PEM file of the installation.
 *
 * Does: reads the file, or makes it once (mode 0600) where that was asked for, with its public half beside it.
 * Never does: overwrite a file that is there, or sign with a key that others may read.
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync, randomUUID, sign, type KeyObject } from 'node:crypto';
import { link, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { keyIdOf } from '../trust/key-id';
import type { Signer } from './signer';

/** A key pair that this process holds. */
export interface SigningKey extends Signer {
  readonly privateKey: KeyObject;
}

/** `key.pem` → `key.pub.pem`: where the public half of a key file is. */
export function publicKeyFile(keyFile: string): string {
  return `${keyFile.replace(/\.pem$/, '')}.pub.pem`;
}

/**
 * Opens the signing key. Processes that start together agree on one key.
 * @param keyFile PKCS#8 PEM
 * @param options.create whether the key is made when the file does not exist
 * @throws Error when there is no file; when others than its owner may read it; when it holds no Ed25519 private key; when the public key
 *         beside it is another one's
 */
export async function openSigningKey(keyFile: string, options: { readonly create: boolean }): Promise<SigningKey> {
  const key = await readKey(keyFile).catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    if (!options.create) {
      throw new Error(
        `${keyFile}, the key that signs evidence, is not there. Restore it from your backup; for a new installation, start the worker once with KEYTURN_EVIDENCE_KEY_CREATE=true, which makes one.`,
      );
    }
    await makeKeyFile(keyFile);
    return readKey(keyFile);
  });
  await writePublicKey(publicKeyFile(keyFile), key.publicKeyPem);
  return key;
}

/** Auditors get this file: a stale one would make good evidence look forged. */
async function writePublicKey(file: string, pem: string): Promise<void> {
  try {
    await writeFile(file, pem, { flag: 'wx', mode: 0o644 });
    return;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  // One that another process writes at this moment is the same, and may be half written.
  const there = await readFile(file, 'utf8');
  if (pem.startsWith(there)) return;
  throw new Error(
    `${file} is not the public half of the key beside it: the signing key was replaced. Evidence that the old key signed stays valid with the old public key, so keep that file under another name, remove it here, and start the worker again.`,
  );
}

async function readKey(keyFile: string): Promise<SigningKey> {
  const pem = await readFile(keyFile, 'utf8');
  const { mode } = await stat(keyFile);
  if ((mode & 0o077) !== 0) {
    throw new Error(
      `${keyFile} may be used by others than its owner (mode ${(mode & 0o777).toString(8)}): whoever has the key can sign evidence. Find out who could read it, then chmod 600 it, or make a new key.`,
    );
  }
  let privateKey: KeyObject;
  try {
    privateKey = createPrivateKey(pem);
  } catch {
    throw new Error(
      `${keyFile} does not hold a private key in PEM form. Restore it from your backup, or name another file; evidence that it signed stays valid.`,
    );
  }
  if (privateKey.asymmetricKeyType !== 'ed25519') {
    throw new Error(`${keyFile} holds a key of type ${privateKey.asymmetricKeyType}; evidence is signed with Ed25519.`);
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
