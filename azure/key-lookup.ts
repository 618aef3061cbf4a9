/**
 * Looks keys up, also those in vaults that do not answer from where Keyturn runs: ARM shows what a key is, whatever the network.
 *
 * Never does: use a key, or take what ARM says where the vault itself answers.
 */
import type { KeyLookup } from '../domain/observed';
import { mustParseKeyId } from '../domain/resource-ids';
import type { ArmClient } from './arm';
import type { ArmKeys } from './arm-keys';
import type { CallOptions } from './call-options';
import { AzureError, isNotForUs, VaultError } from './errors';
import type { Keys } from './keys';
import { nameOfVault } from './vault-names';
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
   * hides a vault that is there. When no answer of the vault comes, ARM is asked whether there is a vault of the name: most proxies
   * answer for a name that does not exist as for an outage.
   * @throws VaultError, ArmError, TokenError
   */
  lookUpAnywhere(kid: string, place: KeyPlace, options?: CallOptions): Promise<KeyLookup>;
}

/** @param by what the lookups are made with */
export function createKeyLookups(by: {
  readonly keys: Keys;
  readonly vaults: Vaults;
  readonly armKeys: ArmKeys;
  readonly arm: ArmClient;
}): KeyLookups {
  /** @returns undefined when there is such a vault, or ARM does not say */
  const noSuchVault = async (
    kid: string,
    subscriptionId: string,
    options: CallOptions,
  ): Promise<KeyLookup | undefined> => {
    const { kid: keyId, vaultName, vaultUrl } = mustParseKeyId(kid);
    try {
      const { state } = await nameOfVault(by.arm, { subscriptionId, name: vaultName }, options);
      if (state !== 'free') return undefined;
    } catch (error) {
      // What the vault did not answer is the reason to report.
      if (!(error instanceof AzureError)) throw error;
      return undefined;
    }
    const why = `There is no vault at ${vaultUrl}: no vault in Azure has the name ${vaultName}, live or deleted. It is misspelled, or the vault was purged.`;
    return { found: false, keyId, missing: 'vault', why };
  };

  return {
    async lookUpAnywhere(kid, { subscriptionId, vaultId }, options = {}) {
      let direct: KeyLookup;
      try {
        direct = await by.keys.lookUp(kid, options);
      } catch (error) {
        const absent = gaveNoAnswer(error) ? await noSuchVault(kid, subscriptionId, options) : undefined;
        if (absent === undefined) throw error;
        return absent;
      }
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

/** Whether nothing, or a gateway, answered in the place of a vault. */
function gaveNoAnswer(error: unknown): boolean {
  return error instanceof VaultError && (error.status === undefined ? error.retryable : error.status >= 500);
}

function notShown(direct: Extract<KeyLookup, { found: false }>, why: string): KeyLookup {
  return { ...direct, why: `${direct.why} ${why}.` };
}
