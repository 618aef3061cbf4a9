/**
 * Networks, as far as vaults ask where a call comes from.
 *
 * Needs: the managed clusters, private endpoints.
 * Does: knows in which networks the nodes of a cluster are, and which endpoints are in them. Every other client is on this machine, which
 *       has the endpoints that are in no cluster's network.
 * Never does: peerings, DNS or routes. Networks need not exist; one that AKS makes is in the node resource group.
 */
import type { CallOrigin } from '../vault/access';
import { poolsOf } from './agent-pools';
import type { Clusters } from './clusters';
import type { ManagedCluster } from './managed-cluster';
import type { PrivateEndpoint, PrivateEndpoints } from './private-endpoints';
import { nodeResourceGroup } from './vault-links';

/** Where the nodes of one pool are. */
interface NodeNetwork {
  /** ARM id; undefined where AKS made the network. */
  readonly subnetId?: string;
  /** What ids of its subnets begin with. */
  readonly network: string;
}

/** Says where calls of vaults come from. */
export class NodeNetworks {
  readonly #clusters: Clusters;
  readonly #endpoints: PrivateEndpoints;

  constructor({ clusters, endpoints }: { readonly clusters: Clusters; readonly endpoints: PrivateEndpoints }) {
    this.#clusters = clusters;
    this.#endpoints = endpoints;
  }

  /** @param call.clusterId of the nodes that ask; undefined for every other client */
  originOf(
    vaultId: string,
    { clusterId, address }: { readonly clusterId: string | undefined; readonly address: string },
  ): CallOrigin {
    const approved = this.#endpoints
      .to(vaultId)
      .filter((one) => one.clusterId === undefined && one.status === 'Approved');
    const all = this.#clusters.all();
    if (clusterId === undefined) {
      const elsewhere = all.flatMap(networksOf);
      return approved.some((one) => !isIn(one, elsewhere)) ? { kind: 'private-link' } : { kind: 'internet', address };
    }
    const own = all.filter(({ id }) => id.toLowerCase() === clusterId.toLowerCase()).flatMap(networksOf);
    if (approved.some((one) => isIn(one, own))) return { kind: 'private-link' };
    return { kind: 'internet', address, fromSubnet: (subnetId) => own.some((one) => isSubnetOf(subnetId, one)) };
  }
}

function networksOf(cluster: ManagedCluster): NodeNetwork[] {
  const [, , subscriptionId = ''] = cluster.id.split('/');
  const group = `/subscriptions/${subscriptionId}/resourceGroups/${nodeResourceGroup(cluster)}`;
  return poolsOf(cluster.body).map((pool) => {
    const subnetId = pool['vnetSubnetID'];
    return typeof subnetId === 'string' && subnetId !== ''
      ? { subnetId, network: subnetId.replace(/\/subnets\/[^/]+$/i, '') }
      : { network: `${group}/providers/Microsoft.Network/virtualNetworks` };
  });
}

function isIn({ subnetId }: PrivateEndpoint, networks: readonly NodeNetwork[]): boolean {
  return subnetId !== undefined && networks.some(({ network }) => isBelow(subnetId, network));
}

function isSubnetOf(subnetId: string, own: NodeNetwork): boolean {
  return own.subnetId === undefined
    ? isBelow(subnetId, own.network)
    : subnetId.toLowerCase() === own.subnetId.toLowerCase();
}

function isBelow(id: string, scope: string): boolean {
  return id.toLowerCase().startsWith(`${scope}/`.toLowerCase());
}
