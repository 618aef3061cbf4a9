/**
 * Looks keys up, also those in vaults that do not answer from where Keyturn runs: ARM shows what a key is, whatever the network.
 *
 * Never does: use a key, or take what ARM says where the vault itself answers.
 */
import type { KeyLookup } from '../domain/observed';
import { mustParseKeyId } from '../domain/resource-ids';
import type { ArmKeys } from './arm-keys';
import type { CallOptions } from './call-options';
import { isNotForUs } from './errors';
import type { Keys } from './keys';
import type { Vaults } from './vaults';

/** Where the vault of a key is looked for when it does not answer. */
export interface KeyPlace {
  readonly subscriptionId: string;
  /** ARM id of the vault, where it is known. */
  readonly vaultId?: string;
}

/** Looks keys up. */
export interface KeyLookups {
  /**
   * As `Keys.lookUp`, and by ARM when the vault refuses the network, or its name does not resolve: a private DNS zone without its record
   * hides a vault that is there.
   * @throws VaultError, ArmError, TokenError
   */
  lookUpAnywhere(kid: string, place: KeyPlace, options?: CallOptions): Promise<KeyLookup>;
}

/** @param by what the lookups are made with */
export function createKeyLookups(by: {
  readonly keys: Keys;
  readonly vaults: Vaults;
  readonly armKeys: ArmKeys;
}): KeyLookups {
  return {
    async lookUpAnywhere(kid, { subscriptionId, vaultId }, options = {}) {
      const direct = await by.keys.lookUp(kid, options);
      if (direct.found || (direct.unreachable !== true && direct.missing !== 'vault')) return direct;
      const key = mustParseKeyId(kid);
      const place = await by.vaults.locate({ key, subscriptionId, vaultId }, options);
      if (place === undefined) return notShown(direct, 'Keyturn does not see the vault in ARM');
      try {
        return { found: true, key: await by.armKeys.version(place, key, options) };
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
