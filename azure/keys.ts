/**
 * Key versions in Key Vault.
 *
 * Does: looks key versions up, and makes one version like another. What happens to old keys is in key-retirement.ts.
 * Never does: use a key, purge one, or read key material other than the public part that a GET shows.
 */
import type { TokenCredential } from '@azure/core-auth';
import type { HttpClient } from '@azure/core-rest-pipeline';
import type { KeyVaultKey } from '@azure/keyvault-keys';
import type { Cloud } from '../domain/clouds';
import type { KeyLookup, ObservedKey } from '../domain/observed';
import { mustParseKeyId, parseKeyId, type KeyId } from '../domain/resource-ids';
import { isNotForUs, NO_SUCH_HOST, VaultError } from './errors';
import { createKeyRecovery, type KeyRecovery } from './key-recovery';
import { createKeyRetirement, type KeyRetirement } from './key-retirement';
import type { CallOptions } from './call-options';
import { createVaultCaller } from './vault-clients';

/** The tags of a key version that Keyturn made: by both it is found again after a crash. */
export const OPERATION_TAG = 'keyturn-operation';
/** The operation's id may have been used before, so each makes a nonce of its own. */
export const NONCE_TAG = 'keyturn-nonce';
/** As a host name that does not exist, from a connection of before: the vault is deleted. */
const NO_SUCH_VAULT = 'VaultNotFound';

/** What marks the key version that one operation makes. */
export interface VersionMark {
  readonly operationId: string;
  readonly nonce: string;
}

/** A key version that carries a mark. */
export interface MarkedVersion {
  readonly keyId: string;
  /** As the vault dates it, in whole seconds. */
  readonly createdAt: Date;
}

/** What Keyturn asks of vaults. */
export interface Keys extends KeyRetirement, KeyRecovery {
  /**
   * Looks a key version up; its id comes back as the vault spells it. A key that is not there, that Keyturn may not read, or whose vault does not exist is an
   * answer, not an error.
   * @throws VaultError when the vault cannot say now; TokenError
   */
  lookUp(kid: string, options?: CallOptions): Promise<KeyLookup>;
  /**
   * The versions of the same key that carry the mark, the oldest first: the order stays the same when more are made.
   * @throws VaultError, TokenError
   */
  findMarked(kid: string, mark: VersionMark, options?: CallOptions): Promise<MarkedVersion[]>;
  /**
   * Makes a version of the same key with the type, size and permitted operations of `kid`, enabled, and tagged with the
   * mark. It expires when `expiresOn` says, in whole seconds; without it never, or as a policy of the vault sets.
   * @returns its versioned key id
   * @throws VaultError, TokenError
   */
  createLike(kid: string, mark: VersionMark, options?: CallOptions & { readonly expiresOn?: Date }): Promise<string>;
  /**
   * What a vault has of a name: the newest version of a live key, a deleted key, or nothing; `unseen` when Keyturn may not read,
   * `unreachable` when the vault refuses the network, or its name does not resolve.
   * @throws VaultError, TokenError
   */
  newest(
    place: KeyPlace,
    options?: CallOptions,
  ): Promise<
    | { readonly state: 'exists'; readonly key: ObservedKey }
    | { readonly state: 'none' | 'soft-deleted' | 'unseen' | 'unreachable' }
  >;
  /** The versions of a key that carry the mark, the oldest first; none when there is no such key. @throws VaultError, TokenError */
  findMarkedIn(place: KeyPlace, mark: VersionMark, options?: CallOptions): Promise<MarkedVersion[]>;
  /** Makes a key, tagged with the mark. @returns its versioned key id @throws VaultError, TokenError */
  createNew(place: KeyPlace, key: NewKey, mark: VersionMark, options?: CallOptions): Promise<string>;
}

/** A key that is to be made: an RSA key that permits encrypt and decrypt. */
export interface NewKey {
  /** Default: `RSA`. */
  readonly keyType?: 'RSA' | 'RSA-HSM';
  readonly sizeInBits: number;
  readonly expiresOn?: Date;
}

/** A key by its name; versions come and go. */
export interface KeyPlace {
  readonly vaultName: string;
  readonly keyName: string;
}

/** Makes the client; sends nothing yet. */
export function createKeys(cloud: Cloud, credential: TokenCredential, httpClient: HttpClient): Keys {
  const call = createVaultCaller(cloud, credential, httpClient);
  const get = (keyId: KeyId, options: CallOptions): Promise<KeyVaultKey> =>
    call(keyId, options, (client) => client.getKey(keyId.name, { ...options, version: keyId.version }));

  const marked = (keyId: KeyId, { operationId, nonce }: VersionMark, options: CallOptions): Promise<MarkedVersion[]> =>
    call(keyId, options, async (client) => {
      const made: MarkedVersion[] = [];
      for await (const { id, tags, createdOn } of client.listPropertiesOfKeyVersions(keyId.name, options)) {
        if (id === undefined || tags?.[OPERATION_TAG] !== operationId || tags[NONCE_TAG] !== nonce) continue;
        made.push({ keyId: mustParseKeyId(id).kid, createdAt: createdOn ?? new Date(0) });
      }
      return made.sort((a, b) => a.createdAt.getTime() - b.createdAt.getTime() || (a.keyId < b.keyId ? -1 : 1));
    });

  return {
    ...createKeyRetirement(call),
    ...createKeyRecovery(call),

    async lookUp(kid, options = {}) {
      const keyId = parseKeyId(kid);
      if ('fault' in keyId) return { found: false, keyId: kid, why: keyId.fault };
      try {
        return { found: true, key: observedKey(await get(keyId, options)) };
      } catch (error) {
        const why = whyNotFound(error, keyId);
        if (why === undefined) throw error;
        return {
          found: false,
          keyId: keyId.kid,
          why,
          ...(isUnreachable(error) ? { unreachable: true } : {}),
          ...missingOf(error),
        };
      }
    },

    findMarked: (kid, mark, options = {}) => marked(mustParseKeyId(kid), mark, options),

    async newest(place, options = {}) {
      const keyId = anyVersionOf(cloud, place);
      try {
        const found = await call(keyId, options, (client) => client.getKey(keyId.name, options));
        return { state: 'exists', key: observedKey(found) };
      } catch (error) {
        if (isUnreachable(error) || missingOf(error).missing === 'vault') return { state: 'unreachable' };
        if (!isNotForUs(error)) throw error;
        if (error.status === 403) return { state: 'unseen' };
      }
      try {
        await call(keyId, options, (client) => client.getDeletedKey(keyId.name, options));
        return { state: 'soft-deleted' };
      } catch (error) {
        if (!isNotForUs(error)) throw error;
        return { state: 'none' };
      }
    },

    async findMarkedIn(place, mark, options = {}) {
      try {
        return await marked(anyVersionOf(cloud, place), mark, options);
      } catch (error) {
        if (error instanceof VaultError && error.status === 404) return [];
        throw error;
      }
    },

    async createNew(place, { keyType = 'RSA', sizeInBits, expiresOn }, { operationId, nonce }, options = {}) {
      const keyId = anyVersionOf(cloud, place);
      const created = await call(keyId, options, (client) =>
        client.createKey(keyId.name, keyType, {
          ...options,
          keySize: sizeInBits,
          keyOps: ['encrypt', 'decrypt'],
          expiresOn,
          tags: { [OPERATION_TAG]: operationId, [NONCE_TAG]: nonce },
        }),
      );
      return mustParseKeyId(created.id ?? '').kid;
    },

    async createLike(kid, { operationId, nonce }, { expiresOn, ...options } = {}) {
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
          expiresOn,
          tags: { [OPERATION_TAG]: operationId, [NONCE_TAG]: nonce },
        }),
      );
      return mustParseKeyId(created.id ?? '').kid;
    },
  };
}

/** Stands for a key where its version does not matter, or is not known. */
function anyVersionOf(cloud: Cloud, { vaultName, keyName }: KeyPlace): KeyId {
  return mustParseKeyId(`https://${vaultName.toLowerCase()}.${cloud.vaultSuffix}/keys/${keyName}/${'0'.repeat(32)}`);
}

function observedKey({ id, key, keyType, keyOperations, properties }: KeyVaultKey): ObservedKey {
  return {
    // The vault's own spelling: names are compared without regard to case, but AKS hashes the text that it is given.
    keyId: mustParseKeyId(id ?? '').kid,
    keyType: keyType ?? 'unknown',
    ...(key?.n === undefined ? {} : { keySizeInBits: key.n.length * 8 }),
    operations: keyOperations ?? [],
    enabled: properties.enabled ?? true,
    createdOn: properties.createdOn?.toISOString(),
    notBefore: properties.notBefore?.toISOString(),
    expiresOn: properties.expiresOn?.toISOString(),
  };
}

/** Inner codes of a vault that refuses the address that a request comes from. Source: azure-facts.md 3.2. */
const CLOSED: readonly (string | undefined)[] = ['ForbiddenByConnection', 'ForbiddenByFirewall'];

function isUnreachable(error: unknown): boolean {
  return error instanceof VaultError && CLOSED.includes(error.innerCode);
}

/** What is not there: a vault that answers is one. */
function missingOf(error: unknown): { missing?: 'vault' | 'key' } {
  if (!(error instanceof VaultError)) return {};
  if (error.code === NO_SUCH_HOST || error.code === NO_SUCH_VAULT) return { missing: 'vault' };
  return error.status === 404 ? { missing: 'key' } : {};
}

/** One sentence when the error answers the question; undefined when the vault may say something else later. */
function whyNotFound(error: unknown, { vaultUrl, name, version }: KeyId): string | undefined {
  if (!(error instanceof VaultError)) return undefined;
  if (error.code === NO_SUCH_HOST || error.code === NO_SUCH_VAULT)
    return `There is no vault at ${vaultUrl}: its name does not resolve. It is misspelled, or the vault was deleted.`;
  if (error.code === 'OtherCloud') return error.message;
  if (error.status === 404) return `${vaultUrl} has no key ${name} with the version ${version} (${error.code}).`;
  if (error.status === 403) {
    return `Keyturn may not read it (${error.innerCode ?? error.code}): ${error.message.split('\n')[0]?.trim() ?? ''}`;
  }
  return undefined;
}
