/**
 * The machines that AKS makes for a cluster's agent pools, as ARM sees them: one scale set for each pool, or virtual machines for a pool
 * of type AvailabilitySet; and the managed identities that are assigned to them.
 *
 * Needs: the managed clusters, identities, the directory.
 * Does: derives the machines from the pools; keeps what clients assign beside what AKS assigns: the kubelet's identity and the add-on's.
 * Never does: run anything. There are no nodes.
 */
import { createHash } from 'node:crypto';
import type { Directory, ServicePrincipal } from '../entra/directory';
import { objectAt, type JsonObject } from '../json';
import { poolsOf } from './agent-pools';
import type { Clusters } from './clusters';
import type { Identities, UserAssignedIdentity } from './identities';
import type { ManagedCluster } from './managed-cluster';
import { secretsProviderOf } from './secrets-provider';
import { nodeResourceGroup } from './vault-links';

/** The two resource types. */
export type MachineType = 'virtualMachineScaleSets' | 'virtualMachines';

/** A scale set, or one virtual machine. */
export interface NodeMachine {
  readonly type: MachineType;
  readonly id: string;
  readonly name: string;
  readonly cluster: ManagedCluster;
  readonly pool: JsonObject;
}

/** What clients have assigned to a machine. */
interface Assigned {
  readonly identityIds: readonly string[];
  readonly system?: ServicePrincipal;
}

/** All machines of all clusters. */
export class NodeMachines {
  readonly #clusters: Clusters;
  readonly #identities: Identities;
  readonly #directory: Directory;
  readonly #assigned = new Map<string, Assigned>();

  constructor(sources: {
    readonly clusters: Clusters;
    readonly identities: Identities;
    readonly directory: Directory;
  }) {
    this.#clusters = sources.clusters;
    this.#identities = sources.identities;
    this.#directory = sources.directory;
  }

  /** Those of one cluster, in the order of its pools. */
  of(cluster: ManagedCluster): readonly NodeMachine[] {
    if (cluster.running === undefined) return [];
    return poolsOf(cluster.body).flatMap((pool) => {
      const stem = `aks-${String(pool['name'])}-${digitsOf(cluster)}`;
      if (pool['type'] !== 'AvailabilitySet')
        return [machine(cluster, pool, 'virtualMachineScaleSets', `${stem}-vmss`)];
      const count = Number(pool['count'] ?? 1);
      return Array.from({ length: count }, (_, n) => machine(cluster, pool, 'virtualMachines', `${stem}-${n}`));
    });
  }

  /** Those of all clusters whose id starts with a scope. */
  under(scope: string): readonly NodeMachine[] {
    const start = `${scope}/`.toLowerCase();
    return this.#clusters
      .all()
      .flatMap((cluster) => this.of(cluster))
      .filter(({ id }) => id.toLowerCase().startsWith(start));
  }

  /** The user-assigned identities of a machine that exist: AKS's first. */
  userAssigned(one: NodeMachine): readonly UserAssignedIdentity[] {
    const ids = [...idsOfAks(one.cluster), ...this.#of(one).identityIds];
    const found = ids.map((id) => this.#identities.find(id)).filter((identity) => identity !== undefined);
    return [...new Set(found)];
  }

  systemAssigned(one: NodeMachine): ServicePrincipal | undefined {
    return this.#of(one).system;
  }

  /** Assigns identities beside those that are there, and the system's when `system` says so. */
  assign(one: NodeMachine, identityIds: readonly string[], system: boolean): void {
    const before = this.#of(one);
    this.#assigned.set(one.id.toLowerCase(), {
      identityIds: [...before.identityIds, ...identityIds],
      system: before.system ?? (system ? this.#directory.registerManagedIdentity(one.name) : undefined),
    });
  }

  /** Takes identities away. Those of AKS come back by themselves: AKS holds its machines to what the cluster needs. */
  unassign(one: NodeMachine, identityIds: readonly string[]): void {
    const gone = new Set(identityIds.map((id) => id.toLowerCase()));
    const { identityIds: before, system } = this.#of(one);
    const left = before.filter((id) => !gone.has(id.toLowerCase()));
    this.#assigned.set(one.id.toLowerCase(), { identityIds: left, system });
  }

  /** Takes the identity of the system away. */
  unassignSystem(one: NodeMachine): void {
    const { identityIds, system } = this.#of(one);
    if (system !== undefined) this.#directory.remove(system);
    this.#assigned.set(one.id.toLowerCase(), { identityIds });
  }

  #of({ id }: NodeMachine): Assigned {
    return this.#assigned.get(id.toLowerCase()) ?? { identityIds: [] };
  }
}

function idsOfAks({ body }: ManagedCluster): string[] {
  const kubelet = objectAt(body, 'properties', 'identityProfile', 'kubeletidentity')['resourceId'];
  const addon = secretsProviderOf(body)?.identity?.resourceId;
  return [kubelet, addon].filter((id): id is string => typeof id === 'string');
}

function machine(cluster: ManagedCluster, pool: JsonObject, type: MachineType, name: string): NodeMachine {
  const subscriptionId = cluster.id.split('/')[2] ?? '';
  const group = `/subscriptions/${subscriptionId}/resourceGroups/${nodeResourceGroup(cluster)}`;
  return { type, name, cluster, pool, id: `${group}/providers/Microsoft.Compute/${type}/${name}` };
}

/** The eight digits in the names of a cluster's machines. */
function digitsOf({ id }: ManagedCluster): string {
  const hash = createHash('sha256').update(id.toLowerCase()).digest();
  return String(hash.readUInt32BE(0) % 100_000_000).padStart(8, '0');
}
