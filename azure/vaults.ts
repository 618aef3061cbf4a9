/**
 * The vaults of a subscription, as ARM shows them.
 *
 * Does: finds the vault of a key, and reads what it grants and to which networks it is open.
 * Never does: change a vault. A vault that Keyturn may not see is an answer, not an error.
 */
import { KeyVaultManagementClient, type Vault } from '@azure/arm-keyvault';
import type { TokenCredential } from '@azure/core-auth';
import type { HttpClient } from '@azure/core-rest-pipeline';
import type { Cloud } from '../domain/clouds';
import type { VaultLookup } from '../domain/identity-access';
import { OwnError } from '../domain/own-error';
import type { KeyId } from '../domain/resource-ids';
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
}

/** The parts of a vault's ARM id. @throws OwnError when it is none */
export function vaultIdParts(vaultId: string): { subscriptionId: string; resourceGroup: string; name: string } {
  const [, subscriptionId, resourceGroup, name] = VAULT_ID.exec(vaultId) ?? [];
  if (subscriptionId === undefined || resourceGroup === undefined || name === undefined)
    throw new OwnError(`"${vaultId}" is not the ARM id of a vault.`);
  return { subscriptionId, resourceGroup, name };
}

const VAULT_ID =
  /^\/subscriptions\/([^/]+)\/resourceGroups\/([^/]+)\/providers\/Microsoft\.KeyVault\/vaults\/([^/]+)$/i;

/** Makes the client; sends nothing yet. */
export function createVaults(cloud: Cloud, credential: TokenCredential, httpClient: HttpClient): Vaults {
  const clientFor = (subscriptionId: string): KeyVaultManagementClient =>
    new KeyVaultManagementClient(credential, subscriptionId, {
      endpoint: cloud.resourceManager,
      credentials: { scopes: [armScope(cloud)] },
      httpClient,
      retryOptions: { maxRetries: 0 },
    });
  const call = async <T>(what: string, abortSignal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> =>
    await work().catch((error: unknown) => {
      throw translateError(error, ArmError, what, abortSignal);
    });

  return {
    async find({ key, subscriptionId, principalId }, { abortSignal } = {}) {
      const client = clientFor(subscriptionId);
      const what = `Vaults of the subscription ${subscriptionId}`;
      try {
        const vaultId = await call(what, abortSignal, () => idOf(client, key.vaultName, abortSignal));
        const group = /\/resourceGroups\/([^/]+)\//i.exec(vaultId ?? '')?.[1];
        if (vaultId === undefined || group === undefined) return unseen(key, subscriptionId);
        const vault = await call(what, abortSignal, () => client.vaults.get(group, key.vaultName, { abortSignal }));
        return { known: true, value: observedVault(vaultId, vault, principalId) };
      } catch (error) {
        if (!isNotForUs(error)) throw error;
        return unseen(key, subscriptionId);
      }
    },

    async read(vaultId, principalId, { abortSignal } = {}) {
      const { subscriptionId, resourceGroup, name } = vaultIdParts(vaultId);
      try {
        const vault = await call(`The vault ${name}`, abortSignal, () =>
          clientFor(subscriptionId).vaults.get(resourceGroup, name, { abortSignal }),
        );
        return { known: true, value: observedVault(vaultId, vault, principalId) };
      } catch (error) {
        if (!isNotForUs(error)) throw error;
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

function observedVault(
  vaultId: string,
  { properties }: Vault,
  principalId: string,
): Extract<VaultLookup, { known: true }>['value'] {
  const { accessPolicies = [], enableRbacAuthorization, publicNetworkAccess = 'Enabled', networkAcls } = properties;
  // A policy with an application is for people who use that application, never for an identity alone.
  const own = accessPolicies.filter(
    ({ objectId, applicationId }) =>
      objectId.toLowerCase() === principalId.toLowerCase() && (applicationId ?? '') === '',
  );
  return {
    vaultId,
    permissionModel: enableRbacAuthorization === true ? 'rbac' : 'access-policy',
    policyKeys: own.flatMap(({ permissions }) => (permissions.keys ?? []).map((word) => word.toLowerCase())),
    openToAllNetworks: publicNetworkAccess.toLowerCase() === 'enabled' && networkAcls?.defaultAction !== 'Deny',
  };
}

function unseen({ vaultName }: KeyId, subscriptionId: string): VaultLookup {
  return {
    known: false,
    why: `Keyturn sees no vault ${vaultName} in the subscription of the cluster (${subscriptionId}): it is in another one, or Keyturn has no right to read it (Microsoft.KeyVault/vaults/read).`,
  };
}
