/**
 * A managed cluster as ARM's JSON, and what Keyturn sees in it.
 *
 * Does: reads the members that the rules need; everything else stays in the body as it came.
 * Never does: send anything, or drop a member.
 */
import { z } from 'zod';
import { UNKNOWN_VERSION, type ObservedCluster, type ObservedPool } from '../domain/observed';
import { parseClusterId, parseKeyId } from '../domain/resource-ids';
import { readErrorBody } from './errors';

/** By resource id. */
const AssignedIdentities = z.record(z.string(), z.looseObject({ principalId: z.string().nullish() }));

/** `properties.securityProfile.azureKeyVaultKms`. */
export const KmsBody = z.looseObject({
  enabled: z.boolean().nullish(),
  keyId: z.string().nullish(),
  keyVaultNetworkAccess: z.string().nullish(),
  keyVaultResourceId: z.string().nullish(),
});

const PoolBody = z.looseObject({
  name: z.string(),
  count: z.int().nullish(),
  enableAutoScaling: z.boolean().nullish(),
  type: z.string().nullish(),
  mode: z.string().nullish(),
  /** ARM id of the subnet of its nodes; absent where AKS made their network. */
  vnetSubnetID: z.string().nullish(),
  orchestratorVersion: z.string().nullish(),
  currentOrchestratorVersion: z.string().nullish(),
});

/** The body of a managed cluster. */
export const ClusterBody = z.looseObject({
  id: z.string(),
  location: z.string(),
  eTag: z.string().optional(),
  tags: z.record(z.string(), z.string()).nullish(),
  identity: z
    .looseObject({ type: z.string().optional(), userAssignedIdentities: AssignedIdentities.nullish() })
    .nullish(),
  properties: z.looseObject({
    provisioningState: z.string(),
    powerState: z.object({ code: z.string().optional() }).nullish(),
    kubernetesVersion: z.string().optional(),
    currentKubernetesVersion: z.string().optional(),
    disableLocalAccounts: z.boolean().nullish(),
    apiServerAccessProfile: z.looseObject({ enableVnetIntegration: z.boolean().nullish() }).nullish(),
    nodeProvisioningProfile: z.looseObject({ mode: z.string().nullish() }).nullish(),
    agentPoolProfiles: z.array(PoolBody).nullish(),
    nodeResourceGroup: z.string().nullish(),
    addonProfiles: z.record(z.string(), z.unknown()).nullish(),
    oidcIssuerProfile: z.looseObject({ enabled: z.boolean().nullish(), issuerURL: z.string().nullish() }).nullish(),
    securityProfile: z
      .looseObject({
        azureKeyVaultKms: KmsBody.nullish(),
        workloadIdentity: z.looseObject({ enabled: z.boolean().nullish() }).nullish(),
        kubernetesResourceObjectEncryptionProfile: z
          .looseObject({ infrastructureEncryption: z.string().nullish() })
          .nullish(),
      })
      .nullish(),
    status: z.looseObject({ provisioningError: z.unknown().optional() }).nullish(),
  }),
});
/** The body of a managed cluster. */
export type ClusterBody = z.infer<typeof ClusterBody>;

/** A cluster as ARM gave it. */
export interface ClusterSnapshot {
  readonly observed: ObservedCluster;
  /** Why the last change failed, when ARM says so. */
  readonly provisioningError: { readonly code?: string; readonly message?: string };
  /** Everything, for the PUT. */
  readonly body: ClusterBody;
}

/** Maps ARM's JSON. @throws ZodError when it is not a managed cluster at all */
export function snapshotOf(json: unknown): ClusterSnapshot {
  const body = ClusterBody.parse(json);
  const { properties } = body;
  const kms = properties.securityProfile?.azureKeyVaultKms;
  const newEncryption = properties.securityProfile?.kubernetesResourceObjectEncryptionProfile?.infrastructureEncryption;
  return {
    body,
    provisioningError: readErrorBody(properties.status?.provisioningError),
    observed: {
      resourceId: parseClusterId(body.id)?.resourceId ?? body.id,
      location: body.location,
      // Never the wanted version: while an upgrade runs, or after one that failed, the servers run another.
      kubernetesVersion: properties.currentKubernetesVersion || UNKNOWN_VERSION,
      wantedKubernetesVersion: properties.kubernetesVersion || UNKNOWN_VERSION,
      agentPools: (properties.agentPoolProfiles ?? []).map(observedPool).sort((a, b) => (a.name < b.name ? -1 : 1)),
      provisioningState: properties.provisioningState,
      ...(body.eTag ? { eTag: body.eTag } : {}),
      powerState: properties.powerState?.code ?? 'Running',
      identityType: body.identity?.type ?? 'None',
      identities: Object.entries(body.identity?.userAssignedIdentities ?? {}).map(([id, { principalId }]) => ({
        resourceId: id,
        ...(principalId ? { principalId } : {}),
      })),
      vnetIntegration: properties.apiServerAccessProfile?.enableVnetIntegration ?? false,
      ...(properties.nodeProvisioningProfile?.mode === 'Auto' ? { nodeAutoProvisioning: true } : {}),
      ...secretsProviderOf(properties.addonProfiles),
      ...(properties.oidcIssuerProfile?.enabled === true && properties.oidcIssuerProfile.issuerURL
        ? { issuerUrl: properties.oidcIssuerProfile.issuerURL }
        : {}),
      ...(properties.securityProfile?.workloadIdentity?.enabled === true ? { workloadIdentity: true } : {}),
      localAccountsDisabled: properties.disableLocalAccounts ?? false,
      tags: body.tags ?? {},
      platformManagedEncryption: newEncryption !== undefined && newEncryption !== null && newEncryption !== 'Disabled',
      kms: {
        enabled: kms?.enabled ?? false,
        keyId: normalKeyId(kms?.keyId),
        networkAccess: kms?.keyVaultNetworkAccess ?? undefined,
        // Azure gives "" where there is none.
        vaultId: kms?.keyVaultResourceId || undefined,
      },
    },
  };
}

/** `addonProfiles.azureKeyvaultSecretsProvider`; `config` is null while it is off. az spells the name in either case. */
const AddonBody = z.looseObject({
  enabled: z.boolean().nullish(),
  config: z.record(z.string(), z.string().nullish()).nullish(),
  identity: z
    .looseObject({ resourceId: z.string().nullish(), clientId: z.string().nullish(), objectId: z.string().nullish() })
    .nullish(),
});

function secretsProviderOf(
  addons: ClusterBody['properties']['addonProfiles'],
): Pick<ObservedCluster, 'secretsProvider'> {
  const named = Object.entries(addons ?? {}).find(([name]) => name.toLowerCase() === 'azurekeyvaultsecretsprovider');
  const addon = AddonBody.safeParse(named?.[1]);
  if (!addon.success) return {};
  const { enabled, config, identity } = addon.data;
  const rotates = config?.['enableSecretRotation']?.toLowerCase() === 'true';
  const { resourceId, clientId, objectId } = identity ?? {};
  return {
    secretsProvider: {
      enabled: enabled ?? false,
      pollInterval: rotates ? (config?.['rotationPollInterval'] ?? '2m') : null,
      ...(resourceId && clientId && objectId ? { identity: { resourceId, clientId, objectId } } : {}),
    },
  };
}

/** Values of `userAssignedIdentities` are Azure's to fill: requests carry `{}`. */
export function requestBody(body: ClusterBody): unknown {
  const { identity } = body;
  const userAssigned = identity?.userAssignedIdentities;
  if (!identity || !userAssigned) return body;
  const userAssignedIdentities = Object.fromEntries(Object.keys(userAssigned).map((id) => [id, {}]));
  return { ...body, identity: { ...identity, userAssignedIdentities } };
}

/** One spelling for one key, so that ids can be compared as text; what is not a versioned key id stays as it is. */
export function normalKeyId(keyId: string | null | undefined): string | undefined {
  if (!keyId) return undefined;
  const parsed = parseKeyId(keyId);
  return 'fault' in parsed ? keyId : parsed.kid;
}

function observedPool(pool: z.infer<typeof PoolBody>): ObservedPool {
  return {
    name: pool.name,
    version: pool.currentOrchestratorVersion || UNKNOWN_VERSION,
    wantedVersion: pool.orchestratorVersion || UNKNOWN_VERSION,
    count: pool.count ?? 0,
    ...(pool.enableAutoScaling === true ? { autoscaled: true } : {}),
    ...(pool.type === 'AvailabilitySet' ? { availabilitySet: true } : {}),
    mode: pool.mode ?? 'User',
  };
}
