/**
 * Vaults, as ARM shows them.
 *
 * Does: finds the vault of a key, also in another subscription of the cluster's tenant; reads what it grants and to which networks it is
 *       open, and changes the latter.
 * Never does: change anything else of a vault. A vault that Keyturn may not see is an answer, not an error.
 */
import type { AccessPolicyEntry, Vault } from '@azure/arm-keyvault';
import { z } from 'zod';
import type { VaultLookup } from '../domain/identity-access';
import type { VaultNetwork } from '../domain/plan/steps';
import { mustParseVaultId, parseVaultId, type KeyId } from '../domain/resource-ids';
import type { ArmClient } from './arm';
import { allPages } from './arm-pages';
import type { CallOptions } from './call-options';
import { isNotForUs } from './errors';
import { listSameTenant } from './subscriptions';
import type { VaultManagement } from './vault-management';

const RESOURCE_TYPE = 'Microsoft.KeyVault/vaults';
const RESOURCES_VERSION = '2021-04-01';
const Resource = z.looseObject({ id: z.string() });

/** Where a vault is looked for. */
export interface VaultQuery {
  readonly key: Pick<KeyId, 'vaultName'>;
  /** Of the cluster: looked in first. The others of its tenant follow, as far as Keyturn sees them. */
  readonly subscriptionId: string;
  /** ARM id of a vault that may be the one: a cluster with private access names it. */
  readonly vaultId?: string;
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
}

/** Makes the client; sends nothing yet. @param arm lists subscriptions, and resources across them */
export function createVaults(management: VaultManagement, arm: ArmClient): Vaults {
  const inSubscription = async (
    { key, subscriptionId }: VaultQuery,
    options: CallOptions,
  ): Promise<string | undefined> => {
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

  /**
   * Where it is, and in how many subscriptions Keyturn looked. The list of resources is ARM's own: it has each resource that the identity
   * may read, also where it may not list the vaults of the subscription.
   */
  const search = async (query: VaultQuery, options: CallOptions): Promise<{ vaultId?: string; looked: number }> => {
    const { key, subscriptionId, vaultId } = query;
    if (vaultId?.toLowerCase().endsWith(`/vaults/${key.vaultName.toLowerCase()}`) === true)
      return { vaultId, looked: 0 };
    const near = await inSubscription(query, options);
    if (near !== undefined) return { vaultId: near, looked: 1 };
    const subscriptions = await listSameTenant(arm, subscriptionId, options);
    for (const one of subscriptions) {
      const filter = encodeURIComponent(`resourceType eq '${RESOURCE_TYPE}' and name eq '${key.vaultName}'`);
      const url = `/subscriptions/${one}/resources?$filter=${filter}&api-version=${RESOURCES_VERSION}`;
      try {
        const all = await allPages(arm, url, Resource, options.abortSignal);
        const found = all.find(({ id }) => parseVaultId(id)?.name.toLowerCase() === key.vaultName.toLowerCase());
        if (found) return { vaultId: found.id, looked: subscriptions.length };
      } catch (error) {
        if (!isNotForUs(error)) throw error;
      }
    }
    return { looked: subscriptions.length };
  };

  const read: Vaults['read'] = async (vaultId, principalId, options = {}) => {
    const found = await lookAt(management, vaultId, options);
    if ('vault' in found) return { known: true, value: observedVault(vaultId, found.vault, principalId) };
    return { known: false, why: `${found.why} ${readerAt(vaultId)}` };
  };

  return {
    locate: async (query, options = {}) => (await search(query, options)).vaultId,

    async find({ principalId, ...query }, options = {}) {
      const { vaultId, looked } = await search(query, options);
      const found = vaultId === undefined ? unseen(query, looked) : await read(vaultId, principalId, options);
      // A vault can be moved: then the id that the cluster names is an old one.
      if (found.known || looked > 0) return found;
      const anew = await search({ ...query, vaultId: undefined }, options);
      return anew.vaultId === undefined ? unseen(query, anew.looked) : await read(anew.vaultId, principalId, options);
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

/** A vault as ARM has it, or why Keyturn does not see it: one sentence. @throws ArmError, TokenError */
export async function lookAt(
  management: VaultManagement,
  vaultId: string,
  options: CallOptions,
): Promise<{ readonly vault: Vault } | { readonly why: string }> {
  try {
    const vault = await management.atVault(vaultId, options, (client, group, name) =>
      client.vaults.get(group, name, { abortSignal: options.abortSignal }),
    );
    return { vault };
  } catch (error) {
    if (!isNotForUs(error)) throw error;
    const { name, resourceGroup } = mustParseVaultId(vaultId);
    return {
      why: `Keyturn sees no vault ${name} in the resource group ${resourceGroup}: it is deleted, or Keyturn has no right to read it (Microsoft.KeyVault/vaults/read).`,
    };
  }
}

/** How a vault gives rights. */
export function permissionModelOf({ properties }: Vault): 'rbac' | 'access-policy' {
  return properties.enableRbacAuthorization === true ? 'rbac' : 'access-policy';
}

/** Whether a vault answers on its public address. */
export function networkOf({ properties }: Vault): VaultNetwork | 'restricted' {
  const { publicNetworkAccess = 'Enabled', networkAcls } = properties;
  if (publicNetworkAccess.toLowerCase() !== 'enabled') return 'closed';
  return networkAcls?.defaultAction === 'Deny' ? 'restricted' : 'open';
}

/** The access policies of a principal. One with an application is for people who use that application, never for an identity alone. */
export function policiesOf({ properties }: Vault, principalId: string): AccessPolicyEntry[] {
  return (properties.accessPolicies ?? []).filter(
    ({ objectId, applicationId }) =>
      objectId.toLowerCase() === principalId.toLowerCase() && (applicationId ?? '') === '',
  );
}

function observedVault(
  vaultId: string,
  vault: Vault,
  principalId: string,
): Extract<VaultLookup, { known: true }>['value'] {
  const { tenantId, enableSoftDelete, enablePurgeProtection } = vault.properties;
  return {
    vaultId,
    permissionModel: permissionModelOf(vault),
    policyKeys: policiesOf(vault, principalId).flatMap(({ permissions }) =>
      (permissions.keys ?? []).map((word) => word.toLowerCase()),
    ),
    openToAllNetworks: networkOf(vault) === 'open',
    tenantId,
    // Vaults from before soft delete was for all do not say so.
    softDelete: enableSoftDelete === true,
    purgeProtection: enablePurgeProtection === true,
  };
}

function unseen({ key: { vaultName }, subscriptionId }: VaultQuery, looked: number): VaultLookup {
  const others = looked > 1 ? ` and in ${looked - 1} other(s) of its tenant` : '';
  return {
    known: false,
    why: `Keyturn sees no vault ${vaultName} in the subscription of the cluster (${subscriptionId})${others}. It needs Microsoft.KeyVault/vaults/read, wherever in the tenant of the cluster the vault is. ${readerAt(`$(az keyvault show --name ${vaultName} --query id -o tsv)`)}`,
  };
}

function readerAt(scope: string): string {
  return `Give Keyturn's identity the role Reader there: az role assignment create --role Reader --assignee {client id of Keyturn} --scope ${scope}.`;
}
