/**
 * Key versions in Key Vault.
 *
 * Does: looks key versions up, and makes one version like another.
 * Never does: use a key, disable or delete one, or read key material other than the public part that a GET shows.
 */
import type { TokenCredential } from '@azure/core-auth';
import type { HttpClient } from '@azure/core-rest-pipeline';
import { KeyClient, type KeyVaultKey } from '@azure/keyvault-keys';
import type { Cloud } from '../domain/clouds';
import type { KeyLookup, ObservedKey } from '../domain/observed';
import { mustParseKeyId, parseKeyId, type KeyId } from '../domain/resource-ids';
import type { CallOptions } from './managed-clusters';
import { translateError, VaultError } from './errors';

/** The tag by which a key version is found again after a crash. */
export const OPERATION_TAG = 'keyturn-operation';
/** The name does not exist: the vault is deleted, or was never there. (EAI_AGAIN would be a resolver in trouble.) */
const NO_SUCH_HOST = 'ENOTFOUND';

/** What Keyturn asks of vaults. */
export interface Keys {
  /**
   * Looks a key version up. A key that is not there, that Keyturn may not read, or whose vault does not exist is an
   * answer, not an error.
   * @throws VaultError when the vault cannot say now; TokenError
   */
  lookUp(kid: string, options?: CallOptions): Promise<KeyLookup>;
  /**
   * The oldest version of the same key that carries the operation's tag: the answer stays the same when there are several.
   * @throws VaultError, TokenError
   */
  findByOperation(kid: string, operationId: string, options?: CallOptions): Promise<string | undefined>;
  /**
   * Makes a version of the same key with the type, size and permitted operations of `kid`, enabled, without expiry, and
   * tagged with the operation.
   * @returns its versioned key id
   * @throws VaultError, TokenError
   */
  createLike(kid: string, operationId: string, options?: CallOptions): Promise<string>;
}

/** Makes the client; each vault is contacted when a key of it is asked for. */
export function createKeys(cloud: Cloud, credential: TokenCredential, httpClient: HttpClient): Keys {
  const clients = new Map<string, KeyClient>();
  const clientOf = (keyId: KeyId): KeyClient => {
    if (keyId.cloud.name !== cloud.name) {
      throw new VaultError({
        code: 'OtherCloud',
        message: `${keyId.vaultUrl} is in ${keyId.cloud.name}, but Keyturn is set up for ${cloud.name}. It was not contacted.`,
        retryable: false,
      });
    }
    const known = clients.get(keyId.vaultUrl);
    if (known) return known;
    const client = new KeyClient(keyId.vaultUrl, credential, { httpClient, retryOptions: { maxRetries: 0 } });
    clients.set(keyId.vaultUrl, client);
    return client;
  };
  const call = async <T>(keyId: KeyId, options: CallOptions, work: (client: KeyClient) => Promise<T>): Promise<T> => {
    options.abortSignal?.throwIfAborted();
    return work(clientOf(keyId)).catch((error: unknown) => {
      throw translateError(error, VaultError, keyId.vaultUrl, options.abortSignal);
    });
  };
  const get = (keyId: KeyId, options: CallOptions): Promise<KeyVaultKey> =>
    call(keyId, options, (client) => client.getKey(keyId.name, { ...options, version: keyId.version }));

  return {
    async lookUp(kid, options = {}) {
      const keyId = parseKeyId(kid);
      if ('fault' in keyId) return { found: false, keyId: kid, why: keyId.fault };
      try {
        return { found: true, key: observedKey(keyId.kid, await get(keyId, options)) };
      } catch (error) {
        const why = whyNotFound(error, keyId);
        if (why === undefined) throw error;
        return { found: false, keyId: keyId.kid, why };
      }
    },

    async findByOperation(kid, operationId, options = {}) {
      const keyId = mustParseKeyId(kid);
      return call(keyId, options, async (client) => {
        const made: { id: string; createdOn: number }[] = [];
        for await (const { id, tags, createdOn } of client.listPropertiesOfKeyVersions(keyId.name, options)) {
          if (id === undefined || tags?.[OPERATION_TAG] !== operationId) continue;
          made.push({ id: mustParseKeyId(id).kid, createdOn: createdOn?.getTime() ?? 0 });
        }
        return made.sort((a, b) => a.createdOn - b.createdOn || (a.id < b.id ? -1 : 1))[0]?.id;
      });
    },

    async createLike(kid, operationId, options = {}) {
      const keyId = mustParseKeyId(kid);
      const model = await get(keyId, options);
      const { keyType, keyOperations, key } = model;
      if (keyType === undefined || !keyType.startsWith('RSA') || key?.n === undefined) {
        throw new VaultError({
          code: 'KeyTypeUnsupported',
          message: `${keyId.kid} is of type ${keyType ?? 'unknown'}; AKS KMS needs RSA or RSA-HSM, so no version like it was made.`,
          retryable: false,
        });
      }
      const keySize = key.n.length * 8;
      const created = await call(keyId, options, (client) =>
        client.createKey(keyId.name, keyType, {
          ...options,
          keySize,
          keyOps: keyOperations,
          tags: { [OPERATION_TAG]: operationId },
        }),
      );
      return mustParseKeyId(created.id ?? '').kid;
    },
  };
}

function observedKey(kid: string, { key, keyType, keyOperations, properties }: KeyVaultKey): ObservedKey {
  return {
    keyId: kid,
    keyType: keyType ?? 'unknown',
    ...(key?.n === undefined ? {} : { keySizeInBits: key.n.length * 8 }),
    operations: keyOperations ?? [],
    enabled: properties.enabled ?? true,
    notBefore: properties.notBefore?.toISOString(),
    expiresOn: properties.expiresOn?.toISOString(),
  };
}

/** One sentence when the error answers the question; undefined when the vault may say something else later. */
function whyNotFound(error: unknown, { vaultUrl, name, version }: KeyId): string | undefined {
  if (!(error instanceof VaultError)) return undefined;
  if (error.code === NO_SUCH_HOST)
    return `${vaultUrl} does not exist (its name does not resolve). Was the vault deleted?`;
  if (error.code === 'OtherCloud') return error.message;
  if (error.status === 404) return `${vaultUrl} has no key ${name} with the version ${version} (${error.code}).`;
  if (error.status === 403) {
    return `Keyturn may not read it (${error.innerCode ?? error.code}): ${error.message.split('\n')[0]?.trim() ?? ''}`;
  }
  return undefined;
}
