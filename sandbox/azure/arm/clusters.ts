/**
 * The life of managed clusters: what a PUT, a stop, a start and a delete do.
 *
 * Needs: the cluster factory behind the seam of cluster/contract.ts, vaults, identities, operations.
 * Does: checks, changes ARM's record at once, and carries the change to the real cluster in a long-running operation.
 * Never does: run etcd or an API server itself.
 */
import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import type { AzureCloud } from '../clouds';
import { AzureError, badRequest } from '../errors';
import { copyOf, describeIssues, isJsonObject, objectAt, type JsonObject } from '../json';
import { checkPools, poolsOf, poolVersions, withPoolsAt } from './agent-pools';
import { carryOut, type ClustersOptions } from './carry-out';
import { applyFaults } from './cluster-faults';
import { resolveIdentity, SentIdentity } from './cluster-identity';
import { checkAccessKept, checkKmsProfile, kmsProfileOf } from './kms-rules';
import { releaseFor, releaseInPlaceOf, type KubernetesRelease } from './kubernetes-versions';
import {
  filledBody,
  MANAGED_CLUSTERS,
  newEtag,
  withFilledPools,
  type ManagedCluster,
  type ProvisioningState,
} from './managed-cluster';
import {
  applyNodeFeatures,
  endNodeSide,
  ensureIdentity,
  tellNodeFeatures,
  type NodeFeaturesListener,
} from './node-side';
import { issuerUrl, withOidcIssuer } from './oidc-issuer';
import type { Operation } from './operations';
import { disablesSecretsProvider, secretProviderClassesExist, withSecretsProvider } from './secrets-provider';
import { taggedOptions } from './sandbox-tags';
import { checkStop } from './stop-rules';
import { checkUpgrade } from './upgrade-rules';
import { dropUnusedLinks, nodeResourceGroup } from './vault-links';
import { asksForVnetIntegration, withVnetIntegration } from './vnet-integration';

/** What a PUT did. */
export interface PutResult {
  readonly cluster: ManagedCluster;
  readonly operation: Operation;
  readonly created: boolean;
  /** Whether azureKeyVaultKms is not what it was. */
  readonly kmsChanged: boolean;
}

const putSchema = z.looseObject({
  location: z.string().min(1),
  identity: SentIdentity.optional(),
  properties: z.looseObject({
    kubernetesVersion: z.string().nullish(),
    agentPoolProfiles: z.array(z.looseObject({ name: z.string() })).nullish(),
  }),
});

/** All managed clusters. */
export class Clusters {
  readonly #clusters = new Map<string, ManagedCluster>();
  readonly #options: ClustersOptions;
  readonly #stopListening: () => void;
  #nodeSide: NodeFeaturesListener | undefined;

  constructor(options: ClustersOptions) {
    this.#options = options;
    this.#stopListening = options.faults.onChange(() => {
      for (const cluster of this.all()) applyFaults(options, cluster);
    });
  }

  find(resourceGroup: string, name: string): ManagedCluster | undefined {
    return this.#clusters.get(`${resourceGroup}/${name}`.toLowerCase());
  }

  /** The cluster whose API servers issue tokens under this URL. */
  findByIssuer(issuer: string): ManagedCluster | undefined {
    return this.all().find((cluster) => cluster.issuer === issuer);
  }

  /** Sets who serves the features of nodes: the CSI driver and the workload identity webhook. */
  onNodeFeatures(listener: NodeFeaturesListener): void {
    this.#nodeSide = listener;
  }

  /** @throws AzureError 400 when a PUT would turn the add-on off while the cluster has SecretProviderClasses */
  async checkSecretsProviderUnused(cluster: ManagedCluster | undefined, sent: unknown): Promise<void> {
    if (cluster?.running === undefined || cluster.powerState === 'Stopped') return;
    if (!disablesSecretsProvider(sent, cluster.body)) return;
    if ((await cluster.running.countSecretProviderClasses()) > 0) throw secretProviderClassesExist();
  }

  /** @throws AzureError 404 ResourceGroupNotFound */
  requireGroup(name: string): void {
    this.#options.groups.require(name);
  }

  all(): readonly ManagedCluster[] {
    return [...this.#clusters.values()];
  }

  /**
   * Creates or updates; the preconditions have been checked. Nothing here waits, so two PUTs cannot interleave.
   * @throws AzureError 400 or 409, with nothing changed.
   */
  put(resourceGroup: string, name: string, cloud: AzureCloud, given: unknown): PutResult {
    const parsed = putSchema.safeParse(given);
    if (!parsed.success || !isJsonObject(given)) {
      const issues = parsed.success ? 'body: expected an object' : describeIssues(parsed.error);
      throw badRequest(`The request content is not valid: ${issues}.`, 'InvalidRequestContent');
    }
    const { directory, groups, registry, assignments } = this.#options;
    const existing = this.find(resourceGroup, name);
    if (existing?.powerState === 'Stopped') throw stoppedRefusal(name);
    const asked = withVnetIntegration(given, existing?.body, name);
    const { kubernetesVersion } = parsed.data.properties;
    const before = existing === undefined ? undefined : kmsProfileOf(objectAt(existing.body, 'properties'));
    const kmsOn = before?.enabled === true || existing?.applied.write === 'kms';
    const similar = releaseInPlaceOf(kubernetesVersion ?? '');
    // What AKS says of a minor comes before what the sandbox says of a patch.
    if (existing?.running !== undefined && similar !== undefined) {
      checkUpgrade({ clusterName: name, from: existing.release, to: similar, pools: [], kmsOn, kmsChanged: false });
    }
    const release = wantedRelease(kubernetesVersion, existing);
    const reserved = existing?.issuerUrl ?? issuerUrl(cloud, parsed.data.location, directory.tenantId, randomUUID());
    const context = { before: existing?.body, kubernetesMinor: release.minor, url: reserved };
    const sent = withSecretsProvider(withOidcIssuer(asked, context), existing?.body);
    if (existing?.running === undefined) taggedOptions(sent, release);

    const { identity, principal } = resolveIdentity(this.#options, parsed.data.identity, {
      clusterName: name,
      body: existing?.body,
    });
    const properties = objectAt(sent, 'properties');
    const profile = kmsProfileOf(properties);
    const kmsChanged = !isDeepStrictEqual(before, profile);
    const pools = poolVersions(sent, existing?.body, release);
    if (existing?.running !== undefined) {
      checkUpgrade({ clusterName: name, from: existing.release, to: release, pools, kmsOn, kmsChanged });
    }
    checkPools(pools, release);
    if (profile === undefined && before?.enabled === true) {
      throw badRequest(
        'The PUT has no securityProfile.azureKeyVaultKms, but KMS is on. What AKS does then is not documented, so the sandbox refuses: send the profile as it is, or with enabled false.',
        'SandboxKmsProfileMissing',
        { shape: 'bare' },
      );
    }
    if (profile !== undefined) checkAccessKept(before, profile);
    const kid =
      profile?.enabled === true
        ? checkKmsProfile(profile, {
            cloud,
            tenantId: directory.tenantId,
            registry,
            assignments,
            identityType: String(identity['type']),
            identity: principal,
            vnetIntegrated: existing?.running === undefined ? asksForVnetIntegration(sent) : existing.vnetIntegrated,
          })
        : undefined;

    const body = filledBody(copyOf(sent), {
      name: existing?.name ?? name,
      resourceGroup: groups.require(resourceGroup).name,
      subscriptionId: groups.require(resourceGroup).subscriptionId,
      // Until an upgrade is done, the versions that run are the old ones.
      release: existing?.running === undefined ? release : existing.release,
      pools,
      identity,
      kubeletIdentity: (id) => this.#registerKubelet(id, parsed.data.location),
      before: existing?.body,
    });
    if (existing !== undefined && this.#options.faults.about('ignore-change', existing.id)) {
      const operation = this.#startOperation(existing, 'Updating', async () => undefined);
      return { cluster: existing, operation, created: false, kmsChanged };
    }
    const cluster = existing ?? this.#add(resourceGroup, { name, cloud, release, body, issuerUrl: reserved });
    cluster.body = body;
    const operation = this.#startOperation(cluster, existing === undefined ? 'Creating' : 'Updating', async () => {
      await carryOut(this.#options, cluster, {
        kid,
        isPrivate: profile?.keyVaultNetworkAccess === 'Private',
        release,
        pools,
      });
      await applyNodeFeatures(this.#options, cluster, this.#nodeSide);
    });
    return { cluster, operation, created: existing === undefined, kmsChanged };
  }

  /**
   * Creates or updates one agent pool.
   * @throws AzureError 400 or 409, with nothing changed.
   */
  putPool(cluster: ManagedCluster, name: string, sent: JsonObject): Operation {
    if (cluster.powerState === 'Stopped') throw stoppedRefusal(cluster.name);
    const before = poolsOf(cluster.body);
    const known = before.find((pool) => String(pool['name']).toLowerCase() === name.toLowerCase());
    const poolName = known === undefined ? name : String(known['name']);
    const pool = { ...sent, name: poolName };
    const others = before.filter((other) => other !== known);
    const properties = { ...objectAt(cluster.body, 'properties'), agentPoolProfiles: [...others, pool] };
    const body = { ...cluster.body, properties };
    const pools = poolVersions(body, cluster.body, cluster.release);
    checkPools(pools, cluster.release);
    cluster.body = withFilledPools(body, { pools, before: cluster.body });
    return this.#startOperation(
      cluster,
      'Updating',
      async () => {
        cluster.body = withPoolsAt(cluster.body, pools);
      },
      poolName,
    );
  }

  /** Sets tags, which touches no API server. */
  patchTags(cluster: ManagedCluster, tags: JsonObject): Operation {
    cluster.body = { ...cluster.body, tags };
    return this.#startOperation(cluster, 'Updating', async () => undefined);
  }

  /** Looks, before a stop is accepted, for what AKS refuses it for. @throws AzureError 400 ValidationError */
  async checkStop(cluster: ManagedCluster): Promise<void> {
    checkStop((await cluster.running?.webhooks()) ?? []);
  }

  /** az aks stop. */
  stop(cluster: ManagedCluster): Operation {
    return this.#startOperation(cluster, 'Stopping', async () => {
      await tellNodeFeatures(cluster, this.#nodeSide, { ends: true });
      await cluster.running?.stop();
      cluster.powerState = 'Stopped';
    });
  }

  /** az aks start. */
  start(cluster: ManagedCluster): Operation {
    return this.#startOperation(cluster, 'Starting', async () => {
      await cluster.running?.start();
      const restarted = cluster.powerState === 'Stopped';
      cluster.powerState = 'Running';
      if (restarted && !cluster.vnetIntegrated && asksForVnetIntegration(cluster.body)) {
        cluster.vnetIntegrated = true;
        await cluster.running?.setKonnectivityAgents(false);
      }
      await applyNodeFeatures(this.#options, cluster, this.#nodeSide);
    });
  }

  /** az aks operation-abort: the state is Canceling, and Canceled when the operation has ended. */
  abort(cluster: ManagedCluster): Operation {
    const { operation } = cluster;
    if (operation === undefined) {
      throw new AzureError(409, 'SandboxNothingToAbort', `No operation runs on the managed cluster ${cluster.name}.`, {
        shape: 'bare',
      });
    }
    cluster.provisioningState = 'Canceling';
    renewEtag(cluster, undefined);
    return this.#options.operations.start({
      // Not the cluster's: a fault that holds the operations of a cluster must not hold this one.
      resourceId: `aborted operation ${operation.id}`,
      location: operation.location,
      run: () => this.#options.operations.abort(operation.id),
      failureCode: 'SandboxAbortFailed',
      settled: () => undefined,
    });
  }

  /** az aks delete. */
  delete(cluster: ManagedCluster): Operation {
    return this.#startOperation(cluster, 'Deleting', async () => {
      await endNodeSide(this.#options, cluster, this.#nodeSide);
      await cluster.running?.destroy();
      cluster.running = undefined;
      cluster.issuer = undefined;
      cluster.applied = { write: 'identity', slots: [] };
      dropUnusedLinks(this.#options, cluster);
      this.#options.groups.removeManaged(nodeResourceGroup(cluster), cluster.id);
      this.#clusters.delete(keyOf(cluster));
    });
  }

  /** Ends every cluster. Operations must have been closed before. */
  async close(): Promise<void> {
    this.#stopListening();
    await Promise.all(this.all().map(async (cluster) => cluster.running?.destroy()));
    this.#clusters.clear();
  }

  /** @param pool the one that the operation is about; it is about the whole cluster when absent */
  #startOperation(
    cluster: ManagedCluster,
    state: ProvisioningState,
    run: () => Promise<void>,
    pool?: string,
  ): Operation {
    cluster.provisioningState = state;
    cluster.provisioningError = undefined;
    renewEtag(cluster, pool);
    const operation = this.#options.operations.start({
      resourceId: cluster.id,
      location: String(cluster.body['location']),
      run,
      failureCode: 'SandboxRolloutFailed',
      settled: (status, failure) => {
        cluster.operation = undefined;
        cluster.provisioningState = status;
        cluster.provisioningError = failure;
        // The state is part of the resource, so its etag changes with it: the next writer must have read again.
        renewEtag(cluster, pool);
      },
    });
    cluster.operation = operation;
    return operation;
  }

  #add(
    resourceGroup: string,
    made: Pick<ManagedCluster, 'name' | 'cloud' | 'release' | 'body' | 'issuerUrl'>,
  ): ManagedCluster {
    const group = this.#options.groups.require(resourceGroup);
    const cluster: ManagedCluster = {
      ...made,
      resourceGroup: group.name,
      id: `${this.#options.groups.idOf(group.name)}/providers/${MANAGED_CLUSTERS}/${made.name}`,
      etag: newEtag(),
      poolEtags: new Map(),
      provisioningState: 'Creating',
      powerState: 'Running',
      applied: { write: 'identity', slots: [] },
      privateKeys: new Set(),
      vnetIntegrated: false,
      lostAnswers: 0,
    };
    const { subscriptionId } = group;
    const location = String(made.body['location']);
    this.#options.groups.addManaged({ name: nodeResourceGroup(cluster), location, subscriptionId }, cluster.id);
    this.#clusters.set(keyOf(cluster), cluster);
    return cluster;
  }

  #registerKubelet(id: string, location: string): JsonObject {
    const { appId, objectId } = ensureIdentity(this.#options, { id, location }).principal;
    return { resourceId: id, clientId: appId, objectId };
  }
}

/**
 * "" and no version keep what there is, as does a minor that the cluster is at already (facts 1.1).
 * @throws AzureError 400 for a version that the sandbox does not serve
 */
function wantedRelease(asked: string | null | undefined, existing: ManagedCluster | undefined): KubernetesRelease {
  if (existing !== undefined && (!asked || asked === existing.release.minor)) return existing.release;
  return releaseFor(asked ?? '');
}

/** A change of the cluster changes the etags of its pools too; one of a pool, its own alone (facts 1.1). */
function renewEtag(cluster: ManagedCluster, pool: string | undefined): void {
  if (pool !== undefined) {
    cluster.poolEtags.set(pool, newEtag());
    return;
  }
  cluster.etag = newEtag();
  cluster.poolEtags.clear();
}

function keyOf(cluster: Pick<ManagedCluster, 'resourceGroup' | 'name'>): string {
  return `${cluster.resourceGroup}/${cluster.name}`.toLowerCase();
}

function stoppedRefusal(name: string): AzureError {
  return new AzureError(
    409,
    'SandboxClusterStopped',
    `The managed cluster ${name} is stopped. Start it (az aks start) before changing it.`,
    { shape: 'bare' },
  );
}
