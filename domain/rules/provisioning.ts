/** What must hold before vault, key and grants are made for a cluster: names that are free, or what is there fit as it is. */
import type { ErrorCode, Fault } from '../errors';
import type { Rule } from '../kinds/kind';
import { vaultShortcomings, type PermissionModel, type VaultState } from '../provisioning';
import { shortKeyId, resourceName } from '../resource-ids';
import { reasonsAgainst } from './key';

/** What of a request the rules are about. */
export interface AskedOfVault {
  readonly keyName: string;
  readonly permissionModel: PermissionModel;
  readonly vaultAccess: 'Public' | 'Private';
  /** JSON Pointer of the object that has `vaultName` and `keyName`. */
  readonly at: string;
}

const CODES: Readonly<Record<Exclude<VaultState['state'], 'free' | 'exists'>, ErrorCode>> = {
  taken: 'VaultNameTaken',
  'soft-deleted': 'VaultSoftDeleted',
  'no-group': 'ResourceGroupNotFound',
  unseen: 'VaultNotFound',
};

/** @param askedOf reads what a request asks for; undefined when it asks for no vault to be made */
export function provisioningRules<P>(askedOf: (parameters: P) => AskedOfVault | undefined): Rule<P>[] {
  return [
    {
      // The name of the vault must be free, or that of a vault in the resource group that Keyturn sees.
      codes: Object.values(CODES),
      check(_, { provisioning }, parameters) {
        const asked = askedOf(parameters);
        const vault = provisioning?.vault;
        if (!asked || vault === undefined || vault.state === 'free' || vault.state === 'exists') return [];
        return [
          { code: CODES[vault.state], pointer: `${asked.at}/vaultName`, detail: `${vault.why} Nothing was changed.` },
        ];
      },
    },
    {
      // A vault that is there must be fit as it is: Keyturn does not change it.
      codes: ['VaultUnsuited'],
      check({ location }, { provisioning }, parameters) {
        const asked = askedOf(parameters);
        if (!asked || provisioning?.vault.state !== 'exists') return [];
        const { vaultId, tenantId, vault } = provisioning;
        const name = resourceName(vaultId);
        const wanted = { location, tenantId, permissionModel: asked.permissionModel, access: asked.vaultAccess };
        return vaultShortcomings(name, vault.vault, wanted).map((why) => ({
          code: 'VaultUnsuited',
          pointer: `${asked.at}/vaultName`,
          detail: `The vault ${name} exists, and ${why} Keyturn does not change it. Change it, or name another vault.`,
        }));
      },
    },
    {
      // A key that is there must be usable as it is.
      codes: ['KeyUnsuited', 'KeySoftDeleted'],
      check(_, { provisioning, provisionedKey, at }, parameters): Fault[] {
        const asked = askedOf(parameters);
        if (!asked) return [];
        const { keyName } = asked;
        const pointer = `${asked.at}/keyName`;
        if (provisioning?.key === 'soft-deleted') {
          const detail = deletedKey(resourceName(provisioning.vaultId), keyName);
          return [{ code: 'KeySoftDeleted', pointer, detail }];
        }
        if (provisionedKey === undefined) return [];
        return reasonsAgainst(provisionedKey, at).map((why) => ({
          code: 'KeyUnsuited',
          pointer,
          detail: `${shortKeyId(provisionedKey.keyId)} exists, and a cluster cannot depend on it. ${why} Keyturn does not change it.`,
        }));
      },
    },
  ];
}

const NEW_KEY = '/parameters/newKeyName';

/** A key that a rotation makes has a name of its own, in a vault that Keyturn sees. */
export const newKeyRule: Rule<{ readonly newKeyName?: string }> = {
  codes: ['VaultNotFound', 'KeyNameTaken', 'KeySoftDeleted'],
  check(_, { provisioning, provisionedKey }, { newKeyName }): Fault[] {
    if (newKeyName === undefined || provisioning === undefined) return [];
    const { vault, vaultId, key } = provisioning;
    if (vault.state !== 'exists') {
      const why = vault.state === 'free' ? `Azure has no vault ${resourceName(vaultId)}.` : vault.why;
      const detail = `Keyturn makes the key in the vault of the current key, and needs its resource id for that. ${why} Nothing was changed.`;
      return [{ code: 'VaultNotFound', pointer: NEW_KEY, detail }];
    }
    const name = resourceName(vaultId);
    if (key === 'soft-deleted')
      return [{ code: 'KeySoftDeleted', pointer: NEW_KEY, detail: deletedKey(name, newKeyName) }];
    if (provisionedKey === undefined) return [];
    const detail = `The vault ${name} has a key ${newKeyName} already, and \`newKeyName\` names one that is to be made. Nothing was changed. To rotate to its newest version, ask again with it as \`keyId\`: ${provisionedKey.keyId}. Or choose another name.`;
    return [{ code: 'KeyNameTaken', pointer: NEW_KEY, detail }];
  },
};

function deletedKey(vault: string, key: string): string {
  return `The vault has a deleted key ${key}, and the name cannot be used again before it is purged. Recover it (az keyvault key recover --vault-name ${vault} --name ${key}), or name another key. Nothing was changed.`;
}
