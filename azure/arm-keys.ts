/**
 * Keys through ARM, whatever the network of their vault. Source: API reference "Keys", Microsoft.KeyVault 2026-02-01.
 *
 * Does: reads what ARM shows of a key; makes the first version of a key that is not there.
 * Never does: make another version or change a key (ARM does neither), use a key, or see deleted ones (ARM shows none).
 */
import type { Key } from '@azure/arm-keyvault';
import type { ObservedKey } from '../domain/observed';
import { mustParseKeyId, type KeyId } from '../domain/resource-ids';
import type { CallOptions } from './call-options';
import { isAbsent, isNotForUs } from './errors';
import { NONCE_TAG, OPERATION_TAG, type NewKey, type VersionMark } from './keys';
import type { VaultManagement } from './vault-management';

/** A key in a vault that is known by its ARM id. */
export interface ArmKeyPlace {
  readonly vaultId: string;
  readonly keyName: string;
}

/** A key that ARM shows, and the operation that made it, by its tags. */
export interface ArmKey {
  readonly key: ObservedKey;
  readonly mark: Partial<VersionMark>;
}

/** What Keyturn asks ARM of keys. Everything throws `ArmError` or `TokenError`. */
export interface ArmKeys {
  /** One version. @throws ArmError 404 when there is none */
  version(vaultId: string, key: KeyId, options?: CallOptions): Promise<ObservedKey>;
  /** The newest version of a key; `unseen`: Keyturn may not look. */
  newest(
    place: ArmKeyPlace,
    options?: CallOptions,
  ): Promise<(ArmKey & { readonly state: 'exists' }) | { readonly state: 'none' | 'unseen' }>;
  /** Makes the first version of a key, tagged with the mark. A key that is there already is what comes back, unchanged: compare the mark. */
  createFirst(place: ArmKeyPlace, key: NewKey, mark: VersionMark, options?: CallOptions): Promise<ArmKey>;
}

/** Makes the client; sends nothing yet. */
export function createArmKeys(management: VaultManagement): ArmKeys {
  return {
    version: (vaultId, { kid, name, version }, options = {}) =>
      management.atVault(vaultId, options, async (client, group, vault) => {
        const { abortSignal } = options;
        return observedKey(await client.keys.getVersion(group, vault, name, version, { abortSignal }), kid);
      }),

    async newest({ vaultId, keyName }, options = {}) {
      try {
        const shown = await management.atVault(vaultId, options, (client, group, vault) =>
          client.keys.get(group, vault, keyName, { abortSignal: options.abortSignal }),
        );
        return { state: 'exists', ...armKey(shown) };
      } catch (error) {
        if (!isNotForUs(error)) throw error;
        return { state: isAbsent(error) ? 'none' : 'unseen' };
      }
    },

    createFirst: ({ vaultId, keyName }, { keyType = 'RSA', sizeInBits, expiresOn }, mark, options = {}) =>
      management.atVault(vaultId, options, async (client, group, vault) => {
        const expires = expiresOn && Math.floor(expiresOn.getTime() / 1000);
        const properties = {
          kty: keyType,
          keySize: sizeInBits,
          keyOps: ['encrypt', 'decrypt'],
          ...(expires === undefined ? {} : { attributes: { expires } }),
        };
        const tags = { [OPERATION_TAG]: mark.operationId, [NONCE_TAG]: mark.nonce };
        const { abortSignal } = options;
        return armKey(await client.keys.createIfNotExist(group, vault, keyName, { tags, properties }, { abortSignal }));
      }),
  };
}

function armKey(shown: Key): ArmKey {
  const { tags } = shown;
  return { key: observedKey(shown), mark: { operationId: tags?.[OPERATION_TAG], nonce: tags?.[NONCE_TAG] } };
}

function observedKey({ kty, keySize, keyOps, attributes = {}, keyUriWithVersion }: Key, kid = ''): ObservedKey {
  const { enabled = true, created, notBefore, expires } = attributes;
  return {
    keyId: mustParseKeyId(keyUriWithVersion ?? kid).kid,
    keyType: kty ?? 'unknown',
    ...(keySize === undefined ? {} : { keySizeInBits: keySize }),
    operations: keyOps ?? [],
    enabled,
    ...timesOf({ createdOn: created, notBefore, expiresOn: expires }),
    seenThrough: 'arm',
  };
}

/** ARM gives seconds since 1970. */
function timesOf(times: Readonly<Record<string, number | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(times).flatMap(([name, seconds]) =>
      seconds === undefined ? [] : [[name, new Date(seconds * 1000).toISOString()]],
    ),
  );
}
