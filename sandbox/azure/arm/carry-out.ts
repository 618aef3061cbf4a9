/**
 * What a long-running operation does after a PUT of a managed cluster was accepted.
 *
 * Needs: the cluster factory behind the seam of cluster/contract.ts.
 * Does: prepares the way to the vault, then makes the real cluster, upgrades it, or rolls it to another encryption.
 * Never does: check the PUT. What fails here leaves ARM's record as it was asked for, and the cluster as it was.
 */
import { mkdir, mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { ClusterFactory, EncryptionState, SandboxCluster } from '../../cluster/contract';
import type { Directory } from '../entra/directory';
import type { FederatedCredentials } from '../entra/federated-credentials';
import type { Faults } from '../faults';
import type { Journal } from '../journal';
import type { VaultAudit } from '../vault/audit';
import { clusterVaultCrypto } from '../vault/cluster-crypto';
import type { VaultRegistry } from '../vault/registry';
import { withPoolsAt, type PoolVersion } from './agent-pools';
import { applyFaults } from './cluster-faults';
import { identityOf } from './cluster-identity';
import type { Identities } from './identities';
import { nextEncryption } from './kms-rules';
import type { KubernetesRelease } from './kubernetes-versions';
import { upgradedBody, type ManagedCluster } from './managed-cluster';
import { issuerOf } from './oidc-issuer';
import type { Operations } from './operations';
import type { PrivateEndpoints } from './private-endpoints';
import type { ResourceGroups } from './resource-groups';
import type { RoleAssignments } from './role-assignments';
import { taggedOptions } from './sandbox-tags';
import { dropUnusedLinks, linkVault } from './vault-links';
import { asksForVnetIntegration } from './vnet-integration';

/** What clusters are made with. */
export interface ClustersOptions {
  readonly factory: ClusterFactory;
  readonly directory: Directory;
  readonly groups: ResourceGroups;
  readonly identities: Identities;
  readonly federations: FederatedCredentials;
  readonly registry: VaultRegistry;
  readonly assignments: RoleAssignments;
  readonly endpoints: PrivateEndpoints;
  readonly operations: Operations;
  readonly faults: Faults;
  readonly journal: Journal;
  /** Hears of each call of the clusters' plugins. */
  readonly audit: VaultAudit;
  /** Where clusters keep their data. */
  readonly dataDirectory: string;
}

/** What was accepted. */
export interface AcceptedChange {
  /** Versioned key id to write with; undefined when KMS is off. */
  readonly kid: string | undefined;
  /** Whether the vault of the key is reached by a private endpoint. */
  readonly isPrivate: boolean;
  readonly release: KubernetesRelease;
  readonly pools: readonly PoolVersion[];
}

/** Brings the real cluster to the encryption or the release that the accepted PUT asks for. */
export async function carryOut(
  options: ClustersOptions,
  cluster: ManagedCluster,
  { kid, isPrivate, release, pools }: AcceptedChange,
): Promise<void> {
  const wanted = nextEncryption(cluster.applied, kid);
  if (kid !== undefined) {
    linkVault(options, cluster, { kid, isPrivate, identity: identityOf(options, cluster.body) });
  }
  if (cluster.running === undefined) {
    cluster.release = release;
    cluster.vnetIntegrated = asksForVnetIntegration(cluster.body);
    cluster.running = await make(options, cluster, wanted);
    cluster.issuer = issuerOf(cluster.body);
    applyFaults(options, cluster);
  } else if (cluster.release.minor !== release.minor) {
    await issueUnder(cluster, issuerOf(cluster.body));
    await cluster.running.upgrade(release.minor);
    cluster.release = release;
    cluster.body = withPoolsAt(upgradedBody(cluster.body, release), pools);
    return;
  } else if (!isDeepStrictEqual(wanted, cluster.applied)) {
    await cluster.running.applyEncryption(wanted);
  }
  cluster.applied = wanted;
  await issueUnder(cluster, issuerOf(cluster.body));
  dropUnusedLinks(options, cluster);
  cluster.body = withPoolsAt(cluster.body, pools);
}

/** Gives API servers the issuer of the resource: a roll, when they have another one. */
async function issueUnder(cluster: ManagedCluster, issuer: string | undefined): Promise<void> {
  if (issuer === undefined || cluster.issuer === issuer) return;
  await cluster.running?.setIssuer(issuer);
  cluster.issuer = issuer;
}

async function make(
  options: ClustersOptions,
  cluster: ManagedCluster,
  encryption: EncryptionState,
): Promise<SandboxCluster> {
  const { registry, assignments, endpoints, dataDirectory } = options;
  await mkdir(dataDirectory, { recursive: true });
  return options.factory({
    name: cluster.name,
    kubernetesMinor: cluster.release.minor,
    encryption,
    konnectivityAgents: !cluster.vnetIntegrated,
    issuer: issuerOf(cluster.body),
    ...taggedOptions(cluster.body, cluster.release),
    crypto: clusterVaultCrypto({
      registry,
      assignments,
      issuer: `https://sts.windows.net/${options.directory.tenantId}/`,
      identity: () => identityOf(options, cluster.body),
      isLinked: (vaultId) => endpoints.reaches(cluster.id, vaultId),
      audit: options.audit,
    }),
    // A short path: clusters put Unix sockets into it.
    directory: await mkdtemp(join(dataDirectory, 'c-')),
  });
}
