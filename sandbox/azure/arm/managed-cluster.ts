/** What ARM knows of one managed cluster, and how its body looks on the wire (facts section 1). */
import { createHash, randomUUID } from 'node:crypto';
import type { EncryptionState, SandboxCluster } from '../../cluster/contract';
import type { AzureCloud } from '../clouds';
import { copyOf, objectAt, type JsonObject } from '../json';
import { poolsOf, type PoolVersion } from './agent-pools';
import type { KubernetesRelease } from './kubernetes-versions';
import type { Operation, OperationFailure } from './operations';

/** The resource type as the service writes it in bodies; paths match in any case. */
export const MANAGED_CLUSTERS = 'Microsoft.ContainerService/managedClusters';

/** `properties.provisioningState`. */
export type ProvisioningState =
  'Creating' | 'Updating' | 'Succeeded' | 'Failed' | 'Canceling' | 'Canceled' | 'Stopping' | 'Starting' | 'Deleting';

/** A managed cluster. */
export interface ManagedCluster {
  readonly name: string;
  readonly resourceGroup: string;
  readonly id: string;
  /** The cloud whose ARM created it: its vault must be there too. */
  readonly cloud: AzureCloud;
  /** What the API servers run; an upgrade changes it when it is done. */
  release: KubernetesRelease;
  /** As last accepted: what the client sent, unknown properties included, plus what the service fills in. */
  body: JsonObject;
  etag: string;
  /** Of pools that changed since the cluster last did: a change of a pool leaves the cluster's own etag (facts 1.1). */
  readonly poolEtags: Map<string, string>;
  provisioningState: ProvisioningState;
  provisioningError?: OperationFailure;
  powerState: 'Running' | 'Stopped';
  /** The operation in progress: while it is there, every other one is refused with 409. */
  operation?: Operation;
  /** The etcd and API servers; undefined until the creation has succeeded. */
  running?: SandboxCluster;
  /** What the API servers run with: the last state that they rolled to. */
  applied: EncryptionState;
  /** The key ids, of `applied.slots` or about to be there, that were set with KMS Private. */
  readonly privateKeys: Set<string>;
  /** Whether the API servers run with VNet integration: `enableVnetIntegration` takes effect at creation or with a restart. */
  vnetIntegrated: boolean;
  /** How often each write of an object loses its answer; 0 is never. */
  lostAnswers: number;
  /** The URL of its OIDC issuer, now or once that is turned on. */
  readonly issuerUrl: string;
  /** The issuer that its API servers run with; undefined when it is the one inside the cluster. */
  issuer?: string;
}

/** A new etag. */
export function newEtag(): string {
  return randomUUID();
}

/** The body of GET, PUT and PATCH answers. */
export function clusterBody(cluster: ManagedCluster): JsonObject {
  const body = copyOf(cluster.body);
  const properties = objectAt(body, 'properties');
  const powerState = { code: cluster.powerState };
  return {
    ...body,
    id: cluster.id.replace('/resourceGroups/', '/resourcegroups/'),
    name: cluster.name,
    type: 'Microsoft.ContainerService/ManagedClusters',
    eTag: cluster.etag,
    properties: {
      ...properties,
      provisioningState: cluster.provisioningState,
      powerState,
      agentPoolProfiles: poolsOf(body).map((pool) => ({
        ...pool,
        provisioningState: cluster.provisioningState,
        powerState,
        // A cluster operation changes the pools' etags too.
        eTag: cluster.poolEtags.get(String(pool['name'])) ?? poolEtag(cluster.etag, String(pool['name'])),
      })),
      status: cluster.provisioningError === undefined ? {} : { provisioningError: cluster.provisioningError },
    },
  };
}

/** What the service fills in, given what the client sent and what was there before. */
export interface ServerFilledFields {
  readonly name: string;
  readonly resourceGroup: string;
  readonly subscriptionId: string;
  readonly release: KubernetesRelease;
  /** The versions of the pools that the client sent. */
  readonly pools: readonly PoolVersion[];
  /** `identity`, with client and principal ids filled in. */
  readonly identity: JsonObject;
  /** Makes `identityProfile.kubeletidentity`; called for a new cluster only. */
  readonly kubeletIdentity: (id: string) => JsonObject;
  /** The body before; absent for a new cluster. */
  readonly before?: JsonObject;
}

/** The stored body: the client's, with the service's own fields and defaults laid over or under it. */
export function filledBody(sent: JsonObject, fields: ServerFilledFields): JsonObject {
  const { name, resourceGroup, release, before } = fields;
  const location = String(sent['location']).toLowerCase().replaceAll(' ', '');
  const given = objectAt(sent, 'properties');
  const old = objectAt(before, 'properties');
  const label = createHash('sha256')
    .update(`${fields.subscriptionId}/${resourceGroup}/${name}`)
    .digest('hex')
    .slice(0, 8);
  const dnsPrefix = textOr(given['dnsPrefix'], textOr(old['dnsPrefix'], name));
  const nodeResourceGroup = textOr(given['nodeResourceGroup'], `MC_${resourceGroup}_${name}_${location}`);
  const kubeletId = `/subscriptions/${fields.subscriptionId}/resourcegroups/${nodeResourceGroup}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/${name}-agentpool`;
  return {
    ...sent,
    location,
    sku: sent['sku'] ?? before?.['sku'] ?? { name: 'Base', tier: 'Free' },
    identity: fields.identity,
    properties: {
      enableRBAC: true,
      supportPlan: 'KubernetesOfficial',
      disableLocalAccounts: false,
      networkProfile: { loadBalancerSku: 'standard', outboundType: 'loadBalancer' },
      storageProfile: {},
      securityProfile: {},
      ...given,
      maxAgentPools: 100,
      kubernetesVersion: textOr(given['kubernetesVersion'], textOr(old['kubernetesVersion'], release.patch)),
      currentKubernetesVersion: release.patch,
      dnsPrefix,
      fqdn: `${dnsPrefix}-${label}.hcp.${location}.azmk8s.io`,
      azurePortalFQDN: `${dnsPrefix}-${label}.portal.hcp.${location}.azmk8s.io`,
      nodeResourceGroup,
      servicePrincipalProfile: given['servicePrincipalProfile'] ?? { clientId: 'msi' },
      identityProfile: old['identityProfile'] ??
        given['identityProfile'] ?? { kubeletidentity: fields.kubeletIdentity(kubeletId) },
      agentPoolProfiles: filledPools(sent, fields),
    },
  };
}

/** The body once the control plane is at a release; agent pools are not touched. */
export function upgradedBody(body: JsonObject, release: KubernetesRelease): JsonObject {
  return { ...body, properties: { ...objectAt(body, 'properties'), currentKubernetesVersion: release.patch } };
}

/** A body whose pools have the service's fields and defaults. */
export function withFilledPools(body: JsonObject, fields: Pick<ServerFilledFields, 'pools' | 'before'>): JsonObject {
  return {
    ...body,
    properties: { ...objectAt(body, 'properties'), agentPoolProfiles: filledPools(body, fields) },
  };
}

function filledPools(sent: JsonObject, { pools, before }: Pick<ServerFilledFields, 'pools' | 'before'>): JsonObject[] {
  const old = new Map(poolsOf(before).map((pool) => [pool['name'], pool]));
  const versions = new Map(pools.map((pool) => [pool.name, pool]));
  return poolsOf(sent).map((pool) => {
    const known = old.get(pool['name']);
    const version = versions.get(String(pool['name']));
    return {
      count: 1,
      osDiskSizeGB: 128,
      type: 'VirtualMachineScaleSets',
      mode: 'System',
      osType: 'Linux',
      ...pool,
      vmSize: textOr(pool['vmSize'], 'Standard_D2s_v3'),
      // As asked for, minor or patch; the version that runs follows when the operation is done.
      orchestratorVersion: textOr(
        pool['orchestratorVersion'],
        textOr(known?.['orchestratorVersion'], version?.to.patch ?? ''),
      ),
      currentOrchestratorVersion: version?.from?.patch ?? version?.to.patch,
      nodeImageVersion: 'AKSUbuntu-2204gen2containerd-202508.20.0',
    };
  });
}

function textOr(value: unknown, fallback: string): string {
  return typeof value === 'string' && value !== '' ? value : fallback;
}

function poolEtag(clusterEtag: string, poolName: string): string {
  return stableGuid(`${clusterEtag}/${poolName}`);
}

function stableGuid(text: string): string {
  const hex = createHash('sha256').update(text).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20, 32)}`;
}
