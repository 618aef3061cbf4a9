/**
 * The vaults of a subscription, as ARM shows them.
 *
 * Does: finds the vault of a key, reads what it grants and to which networks it is open, and changes the latter.
 * Never does: change anything else of a vault. A vault that Keyturn may not see is an answer, not an error.
 */
import { KeyVaultManagementClient, type Vault } from '@azure/arm-keyvault';
import type { TokenCredential } from '@azure/core-auth';
import type { HttpClient } from '@azure/core-rest-pipeline';
import { z } from 'zod';
import type { Cloud } from '../domain/clouds';
import type { VaultLookup } from '../domain/identity-access';
import type { VaultNetwork } from '../domain/plan/steps';
import { mustParseVaultId, parseVaultId, type KeyId } from '../domain/resource-ids';
import type { ArmClient } from './arm';
import { armScope } from './credentials';
import { ArmError, isNotForUs, translateError } from './errors';
import type { CallOptions } from './call-options';

/** Where a vault is looked for, and whose access policies matter. */
export interface VaultQuery {
  readonly key: KeyId;
  readonly subscriptionId: string;
  /** Object id of the identity. */
  readonly principalId: string;
}

/** What Keyturn asks of vaults in ARM. Everything throws `ArmError` or `TokenError`. */
export interface Vaults {
  find(query: VaultQuery, options?: CallOptions): Promise<VaultLookup>;
  /** The vault with an ARM id. @param principalId object id of the identity */
  read(vaultId: string, principalId: string, options?: CallOptions): Promise<VaultLookup>;
  /** Whether the vault answers on its public address: to all networks, to some, or to none. @param vaultId ARM id */
  network(vaultId: string, options?: CallOptions): Promise<VaultNetwork | 'restricted'>;
  /** Opens the vault to all networks, or closes its public address. Rules for single networks stay, and everything else. */
  setNetwork(vaultId: string, to: VaultNetwork, options?: CallOptions): Promise<void>;
  /** The soft-deleted vault of a name in a subscription. */
  findDeleted(name: string, subscriptionId: string, options?: CallOptions): Promise<DeletedVaultLookup>;
  /** Recovers a soft-deleted vault with its keys and access policies. It answers minutes later. */
  recover(vault: { readonly vaultId: string; readonly location: string }, options?: CallOptions): Promise<void>;
}

/** A soft-deleted vault, or that there is none, or that Keyturn may not look. */
export type DeletedVaultLookup =
  | {
      readonly state: 'deleted';
      readonly vaultId: string;
      readonly location: string;
      readonly scheduledPurgeOn?: string;
    }
  | { readonly state: 'none' | 'unknown' };

const Subscription = z.object({ tenantId: z.string() });

/** Makes the client; sends nothing yet. */
export function createVaults(
  cloud: Cloud,
  arm: ArmClient,
  credential: TokenCredential,
  httpClient: HttpClient,
): Vaults {
  const clientFor = (subscriptionId: string): KeyVaultManagementClient =>
    new KeyVaultManagementClient(credential, subscriptionId, {
      endpoint: cloud.resourceManager,
      credentials: { scopes: [armScope(cloud)] },
      httpClient,
      retryOptions: { maxRetries: 0 },
    });
  const withVault = async <T>(
    vaultId: string,
    { abortSignal }: CallOptions,
    work: (client: KeyVaultManagementClient, group: string, name: string) => Promise<T>,
  ): Promise<T> => {
    const { subscriptionId, resourceGroup, name } = mustParseVaultId(vaultId);
    return await work(clientFor(subscriptionId), resourceGroup, name).catch((error: unknown) => {
      throw translateError(error, ArmError, `The vault ${name}`, abortSignal);
    });
  };

  return {
    network: (vaultId, options = {}) =>
      withVault(vaultId, options, async (client, group, name) =>
        networkOf(await client.vaults.get(group, name, { abortSignal: options.abortSignal })),
      ),

    setNetwork: (vaultId, to, options = {}) =>
      withVault(vaultId, options, async (client, group, name) => {
        const { properties } = await client.vaults.get(group, name, { abortSignal: options.abortSignal });
        const changed =
          to === 'closed'
            ? { publicNetworkAccess: 'Disabled' }
            : { publicNetworkAccess: 'Enabled', networkAcls: { ...properties.networkAcls, defaultAction: 'Allow' } };
        await client.vaults.update(group, name, { properties: changed }, { abortSignal: options.abortSignal });
      }),

    async findDeleted(name, subscriptionId, { abortSignal } = {}) {
      try {
        for await (const { properties } of clientFor(subscriptionId).vaults.listDeleted({ abortSignal })) {
          const { vaultId, location, scheduledPurgeDate } = properties ?? {};
          if (vaultId === undefined || location === undefined) continue;
          if (parseVaultId(vaultId)?.name.toLowerCase() !== name.toLowerCase()) continue;
          const scheduledPurgeOn = scheduledPurgeDate?.toISOString();
          return {
            state: 'deleted',
            vaultId,
            location,
            ...(scheduledPurgeOn === undefined ? {} : { scheduledPurgeOn }),
          };
        }
        return { state: 'none' };
      } catch (error) {
        const known = translateError(error, ArmError, `Deleted vaults of ${subscriptionId}`, abortSignal);
        if (isNotForUs(known)) return { state: 'unknown' };
        throw known;
      }
    },

    recover: ({ vaultId, location }, options = {}) =>
      withVault(vaultId, options, async (client, group, name) => {
        const { subscriptionId } = mustParseVaultId(vaultId);
        const { body } = await arm.request({
          method: 'GET',
          url: `/subscriptions/${subscriptionId}?api-version=2022-12-01`,
          abortSignal: options.abortSignal,
        });
        const { tenantId } = Subscription.parse(body);
        // What `az keyvault recover` sends. Azure brings back all other properties as they were.
        const properties = { tenantId, sku: { family: 'A', name: 'standard' }, createMode: 'recover' } as const;
        await client.vaults.createOrUpdate(group, name, { location, properties }, { abortSignal: options.abortSignal });
      }),

    async find({ key, subscriptionId, principalId }, { abortSignal } = {}) {
      const client = clientFor(subscriptionId);
      const call = async <T>(work: () => Promise<T>): Promise<T> =>
        await work().catch((error: unknown) => {
          throw translateError(error, ArmError, `Vaults of the subscription ${subscriptionId}`, abortSignal);
        });
      try {
        const vaultId = await call(() => idOf(client, key.vaultName, abortSignal));
        const group = /\/resourceGroups\/([^/]+)\//i.exec(vaultId ?? '')?.[1];
        if (vaultId === undefined || group === undefined) return unseen(key, subscriptionId);
        const vault = await call(() => client.vaults.get(group, key.vaultName, { abortSignal }));
        return { known: true, value: observedVault(vaultId, vault, principalId) };
      } catch (error) {
        if (!isNotForUs(error)) throw error;
        return unseen(key, subscriptionId);
      }
    },

    async read(vaultId, principalId, options = {}) {
      try {
        return await withVault(vaultId, options, async (client, group, name) => {
          const vault = await client.vaults.get(group, name, { abortSignal: options.abortSignal });
          return { known: true, value: observedVault(vaultId, vault, principalId) };
        });
      } catch (error) {
        if (!isNotForUs(error)) throw error;
        const { name, resourceGroup } = mustParseVaultId(vaultId);
        const why = `Keyturn sees no vault ${name} in the resource group ${resourceGroup}: it is deleted, or Keyturn has no right to read it (Microsoft.KeyVault/vaults/read).`;
        return { known: false, why };
      }
    },
  };
}

/** Names of vaults are unique in a cloud, so that the name in the URL is the resource's. */
async function idOf(
  client: KeyVaultManagementClient,
  name: string,
  abortSignal: AbortSignal | undefined,
): Promise<string | undefined> {
  for await (const resource of client.vaults.list({ abortSignal })) {
    if (resource.name?.toLowerCase() === name.toLowerCase()) return resource.id;
  }
  return undefined;
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

function unseen({ vaultName }: KeyId, subscriptionId: string): VaultLookup {
  return {
    known: false,
    why: `Keyturn sees no vault ${vaultName} in the subscription of the cluster (${subscriptionId}): it is in another one, or Keyturn has no right to read it (Microsoft.KeyVault/vaults/read).`,
  };
}
