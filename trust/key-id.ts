/** How public keys are named. */
import { createHash } from 'node:crypto';

/** `sha256:` and the hexadecimal SHA-256 of a public key's DER (SubjectPublicKeyInfo). */
export function keyIdOf(publicKeyDer: Uint8Array): string {
  return `sha256:${createHash('sha256').update(publicKeyDer).digest('hex')}`;
}
