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
  /** Id of the key version in Key Vault; absent for a key in a file. */
  readonly vaultKeyId?: string;
  /**
   * The signature of the bytes. ECDSA signatures are r and s one after the other (IEEE P1363), as in JWS.
   * @throws SignerUnavailable when the key is in a vault that does not sign now; the signal's reason when the caller aborted
   */
  sign(bytes: Uint8Array, options?: { readonly abortSignal?: AbortSignal }): Promise<Uint8Array>;
}

/** The key cannot be used now. It may be later: whoever asked tries again. The message is in Keyturn's own words. */
export class SignerUnavailable extends Error {
  override readonly name = 'SignerUnavailable';

  constructor(
    message: string,
    /** How long the vault asked to wait. */
    readonly retryAfterInMs?: number,
    cause?: unknown,
  ) {
    super(message, { cause });
  }
}

/** The key that was configured cannot sign at all: a person must change the settings or the key. One sentence that says what. */
export class UnusableKey extends Error {
  override readonly name = 'UnusableKey';
}
