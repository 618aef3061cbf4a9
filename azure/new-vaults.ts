/**
 * Vaults that are to be made: what has the name, and the PUT that makes one.
 *
 * Does: looks in the resource group, among deleted vaults, and for the name in the whole cloud; makes a vault as `az keyvault create` does,
 *       with every property that matters said (defaults differ between api-versions).
 * Never does: change, recover or purge one. ARM has no entity tag for vaults: the caller looks right before it makes one.
 */
import { z } from 'zod';
import { OWN_KEY_PERMISSIONS, type FoundVault, type PermissionModel, type VaultState } from '../domain/provisioning';
import type { VaultAccess } from '../domain/cluster-change';
import type { ArmClient } from './arm';
import type { CallOptions } from './call-options';
import { hasNoPlace, isNotForUs } from './errors';
import { NONCE_TAG, OPERATION_TAG, type VersionMark } from './keys';
import { mustParseVaultId } from '../domain/resource-ids';
import { nameOfVault } from './vault-names';

const API_VERSION = '2024-11-01';

const Vault = z.looseObject({
  location: z.string(),
  tags: z.record(z.string(), z.string()).nullish(),
  properties: z.looseObject({
    tenantId: z.string(),
    enableRbacAuthorization: z.boolean().nullish(),
    enableSoftDelete: z.boolean().nullish(),
    enablePurgeProtection: z.boolean().nullish(),
    publicNetworkAccess: z.string().nullish(),
    networkAcls: z.looseObject({ defaultAction: z.string().nullish() }).nullish(),
    provisioningState: z.string().nullish(),
  }),
});
const Deleted = z.looseObject({
  properties: z.looseObject({ deletionDate: z.string().nullish(), scheduledPurgeDate: z.string().nullish() }),
});

/** What has the name of a vault, and of one that exists, who made it. */
export type VaultFound = Exclude<VaultState, { state: 'exists' }> | (ExistingVault & { readonly state: 'exists' });

/** A vault that exists. */
export interface ExistingVault {
  readonly vault: FoundVault;
  /** The operation that made it, by its tags. */
  readonly mark: Partial<VersionMark>;
  /** Whether Azure has finished making it. */
  readonly ready: boolean;
}

/** A vault to make. */
export interface NewVault {
  readonly vaultId: string;
  readonly location: string;
  readonly tenantId: string;
  readonly permissionModel: PermissionModel;
  /** `Private`: its public address answers to nobody, from the beginning. */
  readonly access: VaultAccess;
  readonly retentionDays: number;
  /** Of Keyturn: with access policies it gets rights on keys by the first one, as the creator does with `az`. */
  readonly ownObjectId: string;
  readonly mark: VersionMark;
}

/** What Keyturn asks of vaults that are to be made. Everything throws `ArmError` or `TokenError`. */
export interface NewVaults {
  /** @param location where a deleted vault of the name is looked for */
  look(vaultId: string, location: string, options?: CallOptions): Promise<VaultFound>;
  create(vault: NewVault, options?: CallOptions): Promise<void>;
}

/** @param arm sends the requests */
export function createNewVaults(arm: ArmClient): NewVaults {
  const get = async (url: string, { abortSignal }: CallOptions): Promise<unknown> =>
    (await arm.request({ method: 'GET', url: `${url}?api-version=${API_VERSION}`, abortSignal })).body;

  return {
    async look(vaultId, location, options = {}) {
      const { subscriptionId, resourceGroup, name } = mustParseVaultId(vaultId);
      try {
        return { state: 'exists', ...existing(Vault.parse(await get(vaultId, options))) };
      } catch (error) {
        if (!isNotForUs(error)) throw error;
        if (hasNoPlace(error.code)) {
          return {
            state: 'no-group',
            why: `Azure has no resource group ${resourceGroup} in the cluster's subscription (${error.code}).`,
          };
        }
        if (error.status === 403) {
          const why = `Keyturn may not read vaults in the resource group ${resourceGroup} (Microsoft.KeyVault/vaults/read).`;
          return { state: 'unseen', why };
        }
      }
      const provider = `/subscriptions/${subscriptionId}/providers/Microsoft.KeyVault`;
      return (await deleted(provider, name, location, options)) ?? (await available(subscriptionId, name, options));
    },

    async create(
      { vaultId, location, tenantId, permissionModel, access, retentionDays, ownObjectId, mark },
      { abortSignal } = {},
    ) {
      const own = { tenantId, objectId: ownObjectId, permissions: { keys: [...OWN_KEY_PERMISSIONS] } };
      await arm.request({
        method: 'PUT',
        url: `${vaultId}?api-version=${API_VERSION}`,
        body: {
          location,
          tags: { [OPERATION_TAG]: mark.operationId, [NONCE_TAG]: mark.nonce },
          properties: {
            tenantId,
            sku: { family: 'A', name: 'standard' },
            enableRbacAuthorization: permissionModel === 'rbac',
            accessPolicies: permissionModel === 'rbac' ? [] : [own],
            enableSoftDelete: true,
            softDeleteRetentionInDays: retentionDays,
            enablePurgeProtection: true,
            publicNetworkAccess: access === 'Private' ? 'Disabled' : 'Enabled',
            networkAcls: {
              bypass: 'AzureServices',
              defaultAction: access === 'Private' ? 'Deny' : 'Allow',
              ipRules: [],
              virtualNetworkRules: [],
            },
          },
        },
        abortSignal,
      });
    },
  };

  /** A deleted vault of this subscription and region. What Keyturn may not read is not seen here; the PUT is refused then. */
  async function deleted(
    provider: string,
    name: string,
    location: string,
    options: CallOptions,
  ): Promise<VaultFound | undefined> {
    const region = location.replaceAll(' ', '').toLowerCase();
    try {
      const body = await get(`${provider}/locations/${region}/deletedVaults/${name}`, options);
      const { deletionDate, scheduledPurgeDate } = Deleted.parse(body).properties;
      const when = deletionDate ? ` on ${deletionDate}` : '';
      const until = scheduledPurgeDate ? ` until ${scheduledPurgeDate}` : '';
      const why = `A vault ${name} was deleted${when}, and its name stays taken${until}. Recover it (az keyvault recover --name ${name}), if it is the one that you need, and ask again; or name another vault.`;
      return { state: 'soft-deleted', why };
    } catch (error) {
      if (!isNotForUs(error)) throw error;
      return undefined;
    }
  }

  async function available(subscriptionId: string, name: string, options: CallOptions): Promise<VaultFound> {
    const found = await nameOfVault(arm, { subscriptionId, name }, options);
    if (found.state !== 'taken') return { state: 'free' };
    const why = `The name ${name} is taken by a vault elsewhere: in another resource group or subscription, of another customer, or deleted there. Azure says: ${found.message ?? 'nothing more.'} Name another vault, or the resource group of this one.`;
    return { state: 'taken', why };
  }
}

function existing({ location, tags, properties }: z.infer<typeof Vault>): ExistingVault {
  const { enableRbacAuthorization, enableSoftDelete, enablePurgeProtection, networkAcls, provisioningState } =
    properties;
  return {
    vault: {
      location,
      tenantId: properties.tenantId,
      permissionModel: enableRbacAuthorization === true ? 'rbac' : 'access-policy',
      // Vaults from before soft delete was for all do not say so.
      softDelete: enableSoftDelete === true,
      purgeProtection: enablePurgeProtection === true,
      openToAllNetworks:
        (properties.publicNetworkAccess ?? 'Enabled').toLowerCase() === 'enabled' &&
        networkAcls?.defaultAction !== 'Deny',
    },
    mark: { operationId: tags?.[OPERATION_TAG], nonce: tags?.[NONCE_TAG] },
    ready: provisioningState === undefined || provisioningState === null || provisioningState === 'Succeeded',
  };
}
