/**
 * Signs digests as Key Vault does: the algorithm must fit the key, and the digest the algorithm.
 *
 * Needs: OpenSSL through node:crypto.
 * Never does: hash. The client sends the digest.
 */
import { constants, createHash, privateEncrypt, randomBytes } from 'node:crypto';
import { z } from 'zod';
import { badRequest, type AzureError } from '../errors';
import { ecdsaSign } from './ec';
import type { KeyMaterial } from './key-material';
import type { RsaKey } from './rsa';

const ECDSA = {
  ES256: { digestLength: 32, curve: 'P-256' },
  ES256K: { digestLength: 32, curve: 'P-256K' },
  ES384: { digestLength: 48, curve: 'P-384' },
  ES512: { digestLength: 64, curve: 'P-521' },
} as const;
const RSA = { PS256: pssSign, RS256: pkcs1Sign } as const;
const SHA256_LENGTH = 32;

/** The signature algorithms that the sandbox serves. */
export const signatureAlgorithmSchema = z.enum(['ES256', 'ES256K', 'ES384', 'ES512', 'PS256', 'RS256']);
/** One of them. */
export type VaultSignatureAlgorithm = z.infer<typeof signatureAlgorithmSchema>;

/**
 * The signature of a digest.
 * @param kid the key's id, for the text of a refusal
 * @throws AzureError 400 BadParameter when the algorithm does not fit the key, or the digest not the algorithm
 */
export function signDigest(
  kid: string,
  material: KeyMaterial,
  algorithm: VaultSignatureAlgorithm,
  digest: Uint8Array,
): Buffer {
  if (algorithm === 'PS256' || algorithm === 'RS256') {
    if (material.type !== 'RSA') throw incompatible(`${kid} is of type 'EC', and algorithm '${algorithm}' needs 'RSA'`);
    requireLength(algorithm, digest, SHA256_LENGTH);
    return RSA[algorithm](material, digest);
  }
  const { curve, digestLength } = ECDSA[algorithm];
  if (material.type !== 'EC') throw incompatible(`${kid} is of type 'RSA', and algorithm '${algorithm}' needs 'EC'`);
  if (material.curve !== curve) {
    // Key Vault's own words. Source: Azure/azure-sdk-for-java#6262.
    throw incompatible(
      `${kid} uses curve '${material.curve}', and algorithm '${algorithm}' can only be used with curve '${curve}'`,
    );
  }
  requireLength(algorithm, digest, digestLength);
  return ecdsaSign(curve, material, digest);
}

/** In Key Vault's own words, as people quote them for ES256K. */
function requireLength(algorithm: string, { length }: Uint8Array, wanted: number): void {
  if (length === wanted) return;
  throw badRequest(
    `Invalid length of 'value': ${length} bytes. ${algorithm} requires ${wanted} bytes, encoded with base64url.`,
    'BadParameter',
  );
}

/** The first sentence is Key Vault's; its words about types of keys are not published. */
function incompatible(why: string): AzureError {
  return badRequest(`Key and signing algorithm are incompatible. Key ${why}.`, 'BadParameter');
}

/** DER of DigestInfo for SHA-256, RFC 8017 section 9.2 note 1. */
const SHA256_PREFIX = Buffer.from('3031300d060960864801650304020105000420', 'hex');

function pkcs1Sign({ privateKey }: RsaKey, digest: Uint8Array): Buffer {
  return privateEncrypt(
    { key: privateKey, padding: constants.RSA_PKCS1_PADDING },
    Buffer.concat([SHA256_PREFIX, digest]),
  );
}

/** RSASSA-PSS with SHA-256, MGF1 with it, and a salt as long as the digest: RFC 7518 section 3.5, RFC 8017 section 9.1.1. */
function pssSign({ privateKey }: RsaKey, digest: Uint8Array): Buffer {
  const modulusBits = privateKey.asymmetricKeyDetails?.modulusLength ?? 0;
  const length = Math.ceil((modulusBits - 1) / 8);
  const salt = randomBytes(digest.length);
  const hash = sha256(Buffer.alloc(8), digest, salt);
  const block = Buffer.alloc(length - hash.length - 1);
  block[block.length - salt.length - 1] = 1;
  salt.copy(block, block.length - salt.length);
  const mask = mgf1(hash, block.length);
  const masked = block.map((byte, index) => byte ^ (mask[index] ?? 0));
  masked[0] = (masked[0] ?? 0) & (0xff >> (length * 8 - (modulusBits - 1)));
  const encoded = Buffer.concat([masked, hash, Buffer.from([0xbc])]);
  const whole = Buffer.concat([Buffer.alloc(modulusBits / 8 - length), encoded]);
  return privateEncrypt({ key: privateKey, padding: constants.RSA_NO_PADDING }, whole);
}

function mgf1(seed: Uint8Array, length: number): Buffer {
  const parts: Buffer[] = [];
  for (let counter = 0; parts.length * 32 < length; counter++) {
    const number = Buffer.alloc(4);
    number.writeUInt32BE(counter);
    parts.push(sha256(seed, number));
  }
  return Buffer.concat(parts).subarray(0, length);
}

function sha256(...parts: readonly Uint8Array[]): Buffer {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
}
