/**
 * Looks keys up, also those in vaults that do not answer from where Keyturn runs: ARM shows what a key is, whatever the network.
 *
 * Never does: use a key, or take what ARM says where the vault itself answers.
 */
import type { Key } from '@azure/arm-keyvault';
import type { KeyLookup, ObservedKey } from '../domain/observed';
import { mustParseKeyId, type KeyId } from '../domain/resource-ids';
import type { CallOptions } from './call-options';
import { isNotForUs } from './errors';
import type { Keys } from './keys';
import type { VaultManagement } from './vault-management';
import type { Vaults } from './vaults';

/** Where the vault of a key is looked for when it does not answer. */
export interface KeyPlace {
  readonly subscriptionId: string;
  /** ARM id of the vault, where it is known. */
  readonly vaultId?: string;
}

/** Looks keys up. */
export interface KeyLookups {
  /** As `Keys.lookUp`, and by ARM when the vault refuses the network. @throws VaultError, ArmError, TokenError */
  lookUpAnywhere(kid: string, place: KeyPlace, options?: CallOptions): Promise<KeyLookup>;
}

/** @param by what the lookups are made with */
export function createKeyLookups(by: {
  readonly keys: Keys;
  readonly vaults: Vaults;
  readonly management: VaultManagement;
}): KeyLookups {
  return {
    async lookUpAnywhere(kid, { subscriptionId, vaultId }, options = {}) {
      const direct = await by.keys.lookUp(kid, options);
      if (direct.found || direct.unreachable !== true) return direct;
      const key = mustParseKeyId(kid);
      const known = vaultId?.toLowerCase().endsWith(`/${key.vaultName.toLowerCase()}`) === true ? vaultId : undefined;
      const place = known ?? (await by.vaults.locate({ key, subscriptionId }, options));
      if (place === undefined) return notShown(direct, 'Keyturn does not see the vault in ARM');
      try {
        const shown = await by.management.atVault(place, options, (client, group, name) =>
          client.keys.getVersion(group, name, key.name, key.version, { abortSignal: options.abortSignal }),
        );
        return { found: true, key: observedKey(key, shown) };
      } catch (error) {
        if (!isNotForUs(error)) throw error;
        return notShown(direct, `ARM does not show the key (${error.code})`);
      }
    },
  };
}

function notShown(direct: Extract<KeyLookup, { found: false }>, why: string): KeyLookup {
  return { ...direct, why: `${direct.why} ${why}.` };
}

function observedKey({ kid }: KeyId, { kty, keySize, keyOps, attributes = {}, keyUriWithVersion }: Key): ObservedKey {
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
