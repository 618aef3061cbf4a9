/**
 * Verifies signatures of evidence keys, offline.
 *
 * Does: goes by the type of the key: Ed25519; EC keys with ECDSA (ES256, ES384, ES512 by their curve); RSA keys with RSASSA-PSS
 *       (PS256: SHA-256, and a salt as long as the digest). Names and parameters are those of RFC 7518.
 * Never does: take the algorithm from a document. A document that names another one than the key's does not fit.
 */
import { constants, createPublicKey, verify, type KeyObject } from 'node:crypto';
import type { SignatureAlgorithm } from '../domain/evidence';
import { isLowerForm, type Curve } from './ecdsa-form';

/** What signs with each algorithm. */
export const ALGORITHMS = {
  Ed25519: { keyType: 'ed25519' },
  ES256: { keyType: 'ec', hash: 'sha256', curve: 'P-256', openssl: 'prime256v1' },
  ES384: { keyType: 'ec', hash: 'sha384', curve: 'P-384', openssl: 'secp384r1' },
  ES512: { keyType: 'ec', hash: 'sha512', curve: 'P-521', openssl: 'secp521r1' },
  PS256: { keyType: 'rsa', hash: 'sha256', saltLength: 32 },
} as const satisfies Record<
  SignatureAlgorithm,
  {
    readonly keyType: string;
    readonly hash?: string;
    readonly curve?: Curve;
    readonly openssl?: string;
    readonly saltLength?: number;
  }
>;

/** RFC 7518 section 3.5. */
const SMALLEST_RSA_IN_BITS = 2048;

/** What evidence can be signed with, for people. */
export const KEY_TYPES = 'Ed25519, EC with the curve P-256, P-384 or P-521, or RSA with 2048 bits or more';

/** What a public key verifies with. @returns undefined for a key of a type that signs no evidence */
export function algorithmOf({
  asymmetricKeyType: type,
  asymmetricKeyDetails: details,
}: KeyObject): SignatureAlgorithm | undefined {
  if (type === 'ed25519') return 'Ed25519';
  if (type === 'rsa') return (details?.modulusLength ?? 0) < SMALLEST_RSA_IN_BITS ? undefined : 'PS256';
  if (type !== 'ec') return undefined;
  const names = ['ES256', 'ES384', 'ES512'] as const;
  return names.find((name) => ALGORITHMS[name].openssl === details?.namedCurve);
}

/**
 * Whether the signature is the key's, of these bytes.
 * @param claimed the algorithm that the document names: any other than the key's own does not fit
 */
export function verifySignature(
  publicKey: KeyObject,
  claimed: string,
  bytes: Uint8Array,
  signature: Uint8Array,
): boolean {
  const name = algorithmOf(publicKey);
  if (name === undefined || name !== claimed) return false;
  const algorithm = ALGORITHMS[name];
  switch (algorithm.keyType) {
    case 'ed25519':
      return verify(null, bytes, publicKey, signature);
    case 'ec':
      return (
        isLowerForm(algorithm.curve, signature) &&
        verify(algorithm.hash, bytes, { key: publicKey, dsaEncoding: 'ieee-p1363' }, signature)
      );
    case 'rsa': {
      const padding = constants.RSA_PKCS1_PSS_PADDING;
      return verify(algorithm.hash, bytes, { key: publicKey, padding, saltLength: algorithm.saltLength }, signature);
    }
  }
}

/** A public key by its DER (SubjectPublicKeyInfo). @returns undefined when it is none */
export function publicKeyFromDer(der: Uint8Array): KeyObject | undefined {
  try {
    return createPublicKey({ key: Buffer.from(der), format: 'der', type: 'spki' });
  } catch {
    return undefined;
  }
}
