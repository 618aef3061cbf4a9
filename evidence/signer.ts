/** What signs evidence, wherever the private key is: a file of the installation, or a key vault that never gives it away. */
import type { SignatureAlgorithm } from '../domain/evidence';

/** Signs with the key of evidence. Everything that the installation signs, and that an auditor checks, is signed by it. */
export interface Signer {
  /** Follows from the key's type; a key has one. */
  readonly algorithm: SignatureAlgorithm;
  /** `sha256:` of `publicKeyDer`: what the service publishes and an auditor compares. */
  readonly keyId: string;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKeyDer: Buffer;
  readonly publicKeyPem: string;
  /**
   * The signature of the bytes. ECDSA signatures are r and s one after the other (IEEE P1363), as in JWS.
   * @throws VaultError, TokenError when the key is in a vault that does not sign now; the signal's reason when the caller aborted
   */
  sign(bytes: Uint8Array, options?: { readonly abortSignal?: AbortSignal }): Promise<Uint8Array>;
}
