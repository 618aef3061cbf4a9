/**
 * RSA as Key Vault does it.
 *
 * Needs: OpenSSL through node:crypto.
 * Does: generates keys, and encrypts and decrypts with the three paddings that Key Vault offers.
 * Never does: know about permissions, versions or expiry.
 */
import {
  constants,
  generateKeyPair as generateKeyPairCallback,
  privateDecrypt,
  publicEncrypt,
  type KeyObject,
} from 'node:crypto';
import { promisify } from 'node:util';
import { z } from 'zod';
import { badRequest } from '../errors';

const generateKeyPair = promisify(generateKeyPairCallback);

/** The encryption algorithms of RSA keys in Key Vault. */
export const rsaAlgorithmSchema = z.enum(['RSA-OAEP-256', 'RSA-OAEP', 'RSA1_5']);
/** One of them. KMS v2 plugins use RSA-OAEP-256, v1 plugins RSA1_5. */
export type RsaAlgorithm = z.infer<typeof rsaAlgorithmSchema>;

const OAEP_HASHES = { 'RSA-OAEP-256': 'sha256', 'RSA-OAEP': 'sha1' } as const;

/** An RSA key pair. */
export interface RsaKey {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

/** Makes a key pair; 4096 bits take up to some seconds, off the main thread. */
export async function generateRsaKey(sizeInBits: number): Promise<RsaKey> {
  return generateKeyPair('rsa', { modulusLength: sizeInBits });
}

/**
 * Encrypts with the public key.
 * @throws AzureError 400 BadParameter when the plaintext is too long for the key and padding.
 */
export function rsaEncrypt(key: RsaKey, algorithm: RsaAlgorithm, plaintext: Uint8Array): Buffer {
  try {
    if (algorithm === 'RSA1_5') {
      return publicEncrypt({ key: key.publicKey, padding: constants.RSA_PKCS1_PADDING }, plaintext);
    }
    return publicEncrypt(
      { key: key.publicKey, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: OAEP_HASHES[algorithm] },
      plaintext,
    );
  } catch {
    throw badRequest(
      `The parameter is incorrect: ${plaintext.byteLength} bytes cannot be encrypted with ${algorithm} and this key size.`,
      'BadParameter',
    );
  }
}

/**
 * Decrypts with the private key.
 * @throws AzureError 400 BadParameter when the ciphertext was not made with this key and algorithm.
 */
export function rsaDecrypt(key: RsaKey, algorithm: RsaAlgorithm, ciphertext: Uint8Array): Buffer {
  try {
    if (algorithm === 'RSA1_5') return decryptPkcs1(key, ciphertext);
    return privateDecrypt(
      { key: key.privateKey, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: OAEP_HASHES[algorithm] },
      ciphertext,
    );
  } catch {
    throw badRequest(`The parameter is incorrect: the value was not encrypted with this key.`, 'BadParameter');
  }
}

/**
 * PKCS#1 v1.5 by hand: 00 02 nonzero-padding 00 message. Node refuses this padding for private decryption
 * (CVE-2023-46809: the timing tells about the padding). The sandbox's keys protect nothing, so the oracle is harmless.
 */
function decryptPkcs1(key: RsaKey, ciphertext: Uint8Array): Buffer {
  const block = privateDecrypt({ key: key.privateKey, padding: constants.RSA_NO_PADDING }, ciphertext);
  const end = block.indexOf(0, 2);
  if (block[0] !== 0 || block[1] !== 2 || end < 10) throw new Error('bad padding');
  return block.subarray(end + 1);
}
