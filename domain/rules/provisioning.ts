/** What must hold before vault, key and grants are made for a cluster: names that are free, or what is there fit as it is. */
import type { ErrorCode, Fault } from '../errors';
import type { Rule } from '../kinds/kind';
import { vaultShortcomings, type PermissionModel, type VaultState } from '../provisioning';
import { shortKeyId, resourceName } from '../resource-ids';
import { keyProblems } from './key';

const VAULT = '/parameters/vaultName';
const KEY = '/parameters/keyName';

const CODES: Readonly<Record<Exclude<VaultState['state'], 'free' | 'exists'>, ErrorCode>> = {
  taken: 'VaultNameTaken',
  'soft-deleted': 'VaultSoftDeleted',
  'no-group': 'ResourceGroupNotFound',
  unseen: 'VaultNotFound',
};

/** The name of the vault must be free, or that of a vault in the resource group that Keyturn sees. */
export const vaultNameRule: Rule<unknown> = {
  codes: Object.values(CODES),
  check(_, { provisioning }) {
    const vault = provisioning?.vault;
    if (vault === undefined || vault.state === 'free' || vault.state === 'exists') return [];
    return [{ code: CODES[vault.state], pointer: VAULT, detail: `${vault.why} Nothing was changed.` }];
  },
};

/** A vault that is there must be fit as it is: Keyturn does not change it. */
export const vaultSuitedRule: Rule<{ readonly permissionModel: PermissionModel }> = {
  codes: ['VaultUnsuited'],
  check({ location }, { provisioning }, { permissionModel }) {
    if (provisioning?.vault.state !== 'exists') return [];
    const { vaultId, tenantId, vault } = provisioning;
    const name = resourceName(vaultId);
    return vaultShortcomings(name, vault.vault, { location, tenantId, permissionModel }).map((why) => ({
      code: 'VaultUnsuited',
      pointer: VAULT,
      detail: `The vault ${name} exists, and ${why} Keyturn does not change it. Change it, or name another vault.`,
    }));
  },
};

/** A key that is there must be usable as it is. */
export const keySuitedRule: Rule<{ readonly keyName: string }> = {
  codes: ['KeyUnsuited', 'KeySoftDeleted'],
  check(_, { provisioning, provisionedKey, at }, { keyName }): Fault[] {
    if (provisioning?.key === 'soft-deleted') {
      const detail = `The vault has a deleted key ${keyName}, and the name cannot be used again before it is purged. Recover it (az keyvault key recover --vault-name ${resourceName(provisioning.vaultId)} --name ${keyName}), or name another key. Nothing was changed.`;
      return [{ code: 'KeySoftDeleted', pointer: KEY, detail }];
    }
    if (provisionedKey === undefined) return [];
    return keyProblems(provisionedKey, at).broken.map((why) => ({
      code: 'KeyUnsuited',
      pointer: KEY,
      detail: `${shortKeyId(provisionedKey.keyId)} exists, and API servers cannot use it. ${why} Keyturn does not change it.`,
    }));
  },
};
