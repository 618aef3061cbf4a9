/**
 * A cluster that is to be made: what Azure has of what it needs, and how it will look to the rules before it is there.
 *
 * The body of the PUT is that of `az aks create --assign-identity … --enable-azure-keyvault-kms …`. Pure.
 */
import { z } from 'zod';
import type { KmsProfile } from './cluster-change';
import { VaultLookup } from './identity-access';
import type { ObservedCluster } from './observed';
import type { StepOf } from './plan/steps';
import { parseClusterId } from './resource-ids';

/** What there is of the things that a new cluster needs, before a plan. */
export const ClusterToMake = z.object({
  /** `unseen`: Keyturn may not look, or there is no such place. `why` is a whole sentence. */
  identity: z.discriminatedUnion('state', [
    z.object({ state: z.literal('exists'), principalId: z.string() }),
    z.object({ state: z.literal('missing') }),
    z.object({ state: z.literal('unseen'), why: z.string() }),
  ]),
  /** Of the subscription that the cluster is to be in; absent when vault and key are to be made. */
  tenantId: z.string().optional(),
  /** The vault of the key that the request names; absent when vault and key are to be made. */
  vault: VaultLookup.optional(),
});
/** What there is of the things that a new cluster needs. */
export type ClusterToMake = z.infer<typeof ClusterToMake>;

/** What of the request says how the cluster will be; the schema of the kind has read it. */
export interface NewClusterRequest {
  readonly cluster: string;
  readonly parameters: {
    readonly location?: unknown;
    readonly kubernetesVersion?: unknown;
  };
}

/** Stands for a version that AKS chooses: its default, which encrypts with KMS v2. */
export const DEFAULT_VERSION = 'the default of AKS';

/** The cluster as rules and plan see it before it is there: plaintext, with nothing in it. */
export function clusterToBe({ cluster, parameters }: NewClusterRequest): ObservedCluster {
  const { location, kubernetesVersion } = parameters;
  const version = typeof kubernetesVersion === 'string' ? kubernetesVersion : DEFAULT_VERSION;
  return {
    resourceId: parseClusterId(cluster)?.resourceId ?? cluster,
    location: typeof location === 'string' ? location : '',
    kubernetesVersion: version,
    wantedKubernetesVersion: version,
    agentPools: [],
    provisioningState: 'Succeeded',
    powerState: 'Running',
    identityType: 'UserAssigned',
    identities: [],
    localAccountsDisabled: false,
    tags: {},
    platformManagedEncryption: false,
    kms: { enabled: false },
  };
}

/** What marks a cluster that one operation makes. */
export type ClusterTags = Readonly<Record<string, string>>;

/** The body that makes the cluster of a step. Empty texts stand for the default of AKS, as `az aks create` sends them. */
export function newClusterBody(
  step: Pick<
    StepOf<'create-cluster'>,
    | 'location'
    | 'identityId'
    | 'kubernetesVersion'
    | 'nodeCount'
    | 'vmSize'
    | 'apiServerSubnetId'
    | 'nodeSubnetId'
    | 'dnsPrefix'
  >,
  kms: KmsProfile,
  tags: ClusterTags,
): Readonly<Record<string, unknown>> {
  const { kubernetesVersion, apiServerSubnetId, nodeSubnetId } = step;
  return {
    location: step.location,
    tags,
    sku: { name: 'Base', tier: 'Free' },
    identity: { type: 'UserAssigned', userAssignedIdentities: { [step.identityId]: {} } },
    properties: {
      kubernetesVersion,
      dnsPrefix: step.dnsPrefix,
      enableRBAC: true,
      agentPoolProfiles: [
        {
          name: 'nodepool1',
          mode: 'System',
          type: 'VirtualMachineScaleSets',
          osType: 'Linux',
          count: step.nodeCount,
          vmSize: step.vmSize,
          orchestratorVersion: kubernetesVersion,
          ...(nodeSubnetId === null ? {} : { vnetSubnetID: nodeSubnetId }),
        },
      ],
      ...(apiServerSubnetId === null
        ? {}
        : { apiServerAccessProfile: { enableVnetIntegration: true, subnetId: apiServerSubnetId } }),
      securityProfile: { azureKeyVaultKms: kmsOf(kms) },
    },
  };
}

/** With public access `az aks create` names no vault: AKS takes its id with private access only. */
function kmsOf(kms: KmsProfile): Readonly<Record<string, unknown>> {
  if (kms.mode === 'off') return { enabled: false };
  return {
    enabled: true,
    keyId: kms.keyId,
    keyVaultNetworkAccess: kms.access,
    ...(kms.vaultId === undefined ? {} : { keyVaultResourceId: kms.vaultId }),
  };
}
