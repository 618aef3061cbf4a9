/**
 * Vaults, as ARM shows them.
 *
 * Does: finds the vault of a key, reads what it grants and to which networks it is open, and changes the latter.
 * Never does: change anything else of a vault. A vault that Keyturn may not see is an answer, not an error.
 */
import type { Vault } from '@azure/arm-keyvault';
import type { VaultLookup } from '../domain/identity-access';
import type { VaultNetwork } from '../domain/plan/steps';
import { mustParseVaultId, type KeyId } from '../domain/resource-ids';
import type { CallOptions } from './call-options';
import { isNotForUs } from './errors';
import type { VaultManagement } from './vault-management';

/** Where a vault is looked for. */
export interface VaultQuery {
  readonly key: KeyId;
  readonly subscriptionId: string;
}

/** What Keyturn asks of vaults in ARM. Everything throws `ArmError` or `TokenError`. */
export interface Vaults {
  /** The ARM id of the vault of a key; undefined when Keyturn sees no such vault there. */
  locate(query: VaultQuery, options?: CallOptions): Promise<string | undefined>;
  /** @param query.principalId object id of the identity whose access policies matter */
  find(query: VaultQuery & { readonly principalId: string }, options?: CallOptions): Promise<VaultLookup>;
  /** The vault with an ARM id. @param principalId object id of the identity whose access policies matter */
  read(vaultId: string, principalId: string, options?: CallOptions): Promise<VaultLookup>;
  /** Whether the vault answers on its public address: to all networks, to some, or to none. @param vaultId ARM id */
  network(vaultId: string, options?: CallOptions): Promise<VaultNetwork | 'restricted'>;
  /** Opens the vault to all networks, or closes its public address. Rules for single networks stay, and everything else. */
  setNetwork(vaultId: string, to: VaultNetwork, options?: CallOptions): Promise<void>;
  /** The vault with an ARM id. @param principalId object id of the identity */
  read(vaultId: string, principalId: string, options?: CallOptions): Promise<VaultLookup>;
}

/** Makes the client; sends nothing yet. */
export function createVaults(management: VaultManagement): Vaults {
  const locate: Vaults['locate'] = async ({ key, subscriptionId }, options = {}) => {
    try {
      return await management.inSubscription(
        subscriptionId,
        `Vaults of the subscription ${subscriptionId}`,
        options,
        async (client) => {
          // Names of vaults are unique in a cloud, so that the name in the URL is the resource's.
          for await (const { name, id } of client.vaults.list({ abortSignal: options.abortSignal })) {
            if (name?.toLowerCase() === key.vaultName.toLowerCase()) return id;
          }
          return undefined;
        },
      );
    } catch (error) {
      if (!isNotForUs(error)) throw error;
      return undefined;
    }
  };

  const read: Vaults['read'] = async (vaultId, principalId, options = {}) => {
    try {
      const vault = await management.atVault(vaultId, options, (client, group, name) =>
        client.vaults.get(group, name, { abortSignal: options.abortSignal }),
      );
      return { known: true, value: observedVault(vaultId, vault, principalId) };
    } catch (error) {
      if (!isNotForUs(error)) throw error;
      const { name, resourceGroup } = mustParseVaultId(vaultId);
      const why = `Keyturn sees no vault ${name} in the resource group ${resourceGroup}: it is deleted, or Keyturn has no right to read it (Microsoft.KeyVault/vaults/read).`;
      return { known: false, why };
    }
  };

  return {
    locate,

    async find({ principalId, ...query }, options = {}) {
      const vaultId = await locate(query, options);
      const found = vaultId === undefined ? undefined : await read(vaultId, principalId, options);
      return found?.known ? found : unseen(query);
    },

    read,

    network: (vaultId, options = {}) =>
      management.atVault(vaultId, options, async (client, group, name) =>
        networkOf(await client.vaults.get(group, name, { abortSignal: options.abortSignal })),
      ),

    setNetwork: (vaultId, to, options = {}) =>
      management.atVault(vaultId, options, async (client, group, name) => {
        const { properties } = await client.vaults.get(group, name, { abortSignal: options.abortSignal });
        const changed =
          to === 'closed'
            ? { publicNetworkAccess: 'Disabled' }
            : { publicNetworkAccess: 'Enabled', networkAcls: { ...properties.networkAcls, defaultAction: 'Allow' } };
        await client.vaults.update(group, name, { properties: changed }, { abortSignal: options.abortSignal });
      }),
  };
}

function networkOf({ properties }: Vault): VaultNetwork | 'restricted' {
  const { publicNetworkAccess = 'Enabled', networkAcls } = properties;
  if (publicNetworkAccess.toLowerCase() !== 'enabled') return 'closed';
  return networkAcls?.defaultAction === 'Deny' ? 'restricted' : 'open';
}

function observedVault(
  vaultId: string,
  vault: Vault,
  principalId: string,
): Extract<VaultLookup, { known: true }>['value'] {
  const { accessPolicies = [], enableRbacAuthorization } = vault.properties;
  // A policy with an application is for people who use that application, never for an identity alone.
  const own = accessPolicies.filter(
    ({ objectId, applicationId }) =>
      objectId.toLowerCase() === principalId.toLowerCase() && (applicationId ?? '') === '',
  );
  return {
    vaultId,
    permissionModel: enableRbacAuthorization === true ? 'rbac' : 'access-policy',
    policyKeys: own.flatMap(({ permissions }) => (permissions.keys ?? []).map((word) => word.toLowerCase())),
    openToAllNetworks: networkOf(vault) === 'open',
  };
}

function unseen({ key: { vaultName }, subscriptionId }: VaultQuery): VaultLookup {
  return {
    known: false,
    why: `Keyturn sees no vault ${vaultName} in the subscription of the cluster (${subscriptionId}): it is in another one, or Keyturn has no right to read it (Microsoft.KeyVault/vaults/read).`,
  };
}
