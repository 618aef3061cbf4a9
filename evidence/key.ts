/**
 * The Ed25519 key that evidence is signed with: one PEM file of the installation.
 *
 * Does: reads the file, or makes it once (mode 0600) with its public half beside it.
 * Never does: overwrite a file that is there.
 */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  randomUUID,
  type KeyObject,
} from 'node:crypto';
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';

/** A key pair for evidence. */
export interface SigningKey {
  readonly privateKey: KeyObject;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKeyDer: Buffer;
  readonly publicKeyPem: string;
  /** `sha256:` of `publicKeyDer`: what the service publishes and an auditor compares. */
  readonly keyId: string;
}

/** `key.pem` → `key.pub.pem`: where the public half of a key file is. */
export function publicKeyFile(keyFile: string): string {
  return `${keyFile.replace(/\.pem$/, '')}.pub.pem`;
}

/** `sha256:` and the hexadecimal SHA-256 of a public key's DER. */
export function keyIdOf(publicKeyDer: Uint8Array): string {
  return `sha256:${createHash('sha256').update(publicKeyDer).digest('hex')}`;
}

/**
 * Opens the signing key, and makes it when the file does not exist. Processes that start together agree on one key.
 * @param keyFile PKCS#8 PEM
 * @throws Error when the file is there but holds no Ed25519 private key, or cannot be read or written
 */
export async function openSigningKey(keyFile: string): Promise<SigningKey> {
  const key = await readKey(keyFile).catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    await makeKeyFile(keyFile);
    return readKey(keyFile);
  });
  await writeFile(publicKeyFile(keyFile), key.publicKeyPem, { flag: 'wx', mode: 0o644 }).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    },
  );
  return key;
}

async function readKey(keyFile: string): Promise<SigningKey> {
  const pem = await readFile(keyFile, 'utf8');
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
    publicKeyDer,
    publicKeyPem: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    keyId: keyIdOf(publicKeyDer),
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
