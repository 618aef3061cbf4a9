/**
 * Verifies signatures of evidence keys, offline.
 *
 * Never does: take the algorithm from a document. The type of the key decides it, and a document that names another one does not fit.
 */
import { createPublicKey, verify, type KeyObject } from 'node:crypto';
import type { SignatureAlgorithm } from '../domain/evidence';

/** What a public key verifies with. @returns undefined for a key of a type that signs no evidence */
export function algorithmOf(publicKey: KeyObject): SignatureAlgorithm | undefined {
  return publicKey.asymmetricKeyType === 'ed25519' ? 'Ed25519' : undefined;
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
  const algorithm = algorithmOf(publicKey);
  return algorithm !== undefined && algorithm === claimed && verify(null, bytes, publicKey, signature);
}

/** A public key by its DER (SubjectPublicKeyInfo). @returns undefined when it is none */
export function publicKeyFromDer(der: Uint8Array): KeyObject | undefined {
  try {
    return createPublicKey({ key: Buffer.from(der), format: 'der', type: 'spki' });
  } catch {
    return undefined;
  }
}
