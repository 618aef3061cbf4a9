/**
 * Keys in Key Vault that sign: the public half of one, and signatures of digests.
 *
 * Does: signs with the vault's own operation, so that the private key never leaves the vault.
 * Never does: judge the state of a key by what it read earlier. The vault does, at each signature.
 */
import type { TokenCredential } from '@azure/core-auth';
import type { HttpClient } from '@azure/core-rest-pipeline';
import { CryptographyClient, KeyClient, type JsonWebKey, type SignatureAlgorithm } from '@azure/keyvault-keys';
import type { KeyId } from '../domain/resource-ids';
import type { CallOptions } from './call-options';
import { translateError, VaultError } from './errors';

/** A short fault of the vault should not end a process that starts. */
const RETRIES_OF_READ = 2;

/** A version of a key that is to sign, as its vault shows it. */
export interface VaultSigningKey {
  /** `RSA`, `EC`, `RSA-HSM`, `EC-HSM`, `oct` … */
  readonly keyType: string;
  /** `P-256`, `P-384` …; undefined for other types than EC. */
  readonly curve?: string;
  /** The public numbers, base64url, as in JWK. */
  readonly publicKey: Readonly<Partial<Record<'n' | 'e' | 'x' | 'y', string>>>;
  readonly operations: readonly string[];
  readonly enabled: boolean;
  readonly notBefore?: Date;
  readonly expiresOn?: Date;
}

/** What Keyturn asks of keys that sign. */
export interface SigningKeys {
  /** Reads a key version. @throws VaultError, TokenError */
  read(keyId: KeyId, options?: CallOptions): Promise<VaultSigningKey>;
  /**
   * Signs a digest.
   * @param algorithm as in JWS: `ES256`, `PS256` …
   * @throws VaultError, TokenError; the signal's reason when the caller aborted
   */
  sign(keyId: KeyId, algorithm: SignatureAlgorithm, digest: Uint8Array, options?: CallOptions): Promise<Uint8Array>;
}

/** Makes the client; sends nothing yet. */
export function createSigningKeys(credential: TokenCredential, httpClient: HttpClient): SigningKeys {
  const translated = async <T>(keyId: KeyId, { abortSignal }: CallOptions, work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (error) {
      throw translateError(error, VaultError, keyId.vaultUrl, abortSignal);
    }
  };
  return {
    async read(keyId, options = {}) {
      const client = new KeyClient(keyId.vaultUrl, credential, {
        httpClient,
        retryOptions: { maxRetries: RETRIES_OF_READ },
      });
      const reading = client.getKey(keyId.name, { ...options, version: keyId.version });
      const {
        key = {},
        keyType = 'unknown',
        keyOperations = [],
        properties,
      } = await translated(keyId, options, reading);
      return {
        keyType,
        curve: key.crv,
        publicKey: numbersOf(key),
        operations: keyOperations,
        enabled: properties.enabled ?? true,
        notBefore: properties.notBefore,
        expiresOn: properties.expiresOn,
      };
    },

    async sign(keyId, algorithm, digest, options = {}) {
      options.abortSignal?.throwIfAborted();
      // Without what was read of the key: the client would go by dates that may have been changed since.
      const { kid, name, version, vaultUrl } = keyId;
      const client = new CryptographyClient({ id: kid, name, properties: { vaultUrl, name, version } }, credential, {
        httpClient,
        retryOptions: { maxRetries: 0 },
      });
      return (await translated(keyId, options, client.sign(algorithm, digest, options))).result;
    },
  };
}

function numbersOf({ n, e, x, y }: JsonWebKey): VaultSigningKey['publicKey'] {
  const text = (number: Uint8Array | undefined): string | undefined =>
    number && Buffer.from(number).toString('base64url');
  return { n: text(n), e: text(e), x: text(x), y: text(y) };
}
