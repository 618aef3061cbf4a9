/** Where the nodes of a cluster are, and where the private endpoints of a vault are: what a line of sight is judged by. Reads only. */
import type { ClusterSnapshot } from '../../azure/managed-clusters';
import type { CsiFacts, NodeNetwork } from '../../domain/csi/facts';
import { nodePlaceOf } from './identity';

/** The networks of the agent pools, by their names; undefined when Azure does not name them. */
export function nodeNetworksOf(snapshot: ClusterSnapshot): NodeNetwork[] | undefined {
  const place = nodePlaceOf(snapshot);
  const pools = [...(snapshot.body.properties.agentPoolProfiles ?? [])].sort((a, b) => (a.name < b.name ? -1 : 1));
  const found = pools.flatMap(({ name: pool, vnetSubnetID: subnetId }): NodeNetwork[] => {
    if (subnetId) return [{ pool, subnetId, network: subnetId.replace(/\/subnets\/[^/]+$/i, '') }];
    if (place === undefined) return [];
    const { subscriptionId, resourceGroup } = place;
    const group = `/subscriptions/${subscriptionId}/resourceGroups/${resourceGroup}`;
    return [{ pool, network: `${group}/providers/Microsoft.Network/virtualNetworks` }];
  });
  // What is said of the nodes must be true of all of them.
  return found.length === 0 || found.length < pools.length ? undefined : found;
}

/** A vault with the subnets of its private endpoints. @param subnetOf undefined for an endpoint that may not be read */
export async function withEndpointSubnets(
  vault: CsiFacts['vault'],
  subnetOf: (endpointId: string) => Promise<string | undefined>,
): Promise<CsiFacts['vault']> {
  if (!vault.known || vault.value.waysIn === undefined) return vault;
  const { waysIn } = vault.value;
  const endpoints = await Promise.all(
    waysIn.endpoints.map(async (one) => {
      const subnetId = await subnetOf(one.endpointId);
      return subnetId === undefined ? one : { ...one, subnetId };
    }),
  );
  return { known: true, value: { ...vault.value, waysIn: { ...waysIn, endpoints } } };
}
