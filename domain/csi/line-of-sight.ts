/**
 * Whether the nodes of a cluster have a way to a vault that is not open to all networks, as far as ARM shows it. The provider on the node
 * reads the vault itself: it is no trusted service, and Keyturn's own way to the vault says nothing about it.
 *
 * Sources: Key Vault documents, "Network security for Azure Key Vault" and "Integrate Key Vault with Azure Private Link". What ARM does not
 * show (peerings, DNS, the address by which nodes leave their network) is named and never judged: the mount at the end shows it. Pure.
 */
import { CLOUDS, type Cloud } from '../clouds';
import { listed } from '../listed';
import { resourceName, sameText } from '../resource-ids';
import { covers } from '../scope';
import type { CsiFacts, NodeNetwork, WaysIn } from './facts';

/** What ARM shows of the way from the nodes to the vault. */
export interface LineOfSight {
  /** `not-needed`: the vault is open to all networks. `missing`: no way can be there. */
  readonly state: 'not-needed' | 'seen' | 'unknown' | 'missing';
  /** One or two sentences; empty where it is not needed. */
  readonly detail: string;
  /** With `missing`: what would help. Otherwise empty. */
  readonly remedy: string;
}

/** What it is judged by. */
type Facts = Pick<CsiFacts, 'vault' | 'nodeNetworks' | 'cloud'>;

const NOT_NEEDED: LineOfSight = { state: 'not-needed', detail: '', remedy: '' };

/** The way from the nodes to the vault; undefined where the vault itself is not seen. */
export function lineOfSight({ vault, nodeNetworks, cloud }: Facts): LineOfSight | undefined {
  if (!vault.known) return undefined;
  const { openToAllNetworks, vaultId, waysIn } = vault.value;
  if (openToAllNetworks) return NOT_NEEDED;
  const place = { vaultId, cloud };
  if (waysIn === undefined) {
    const detail = `The vault ${resourceName(vaultId)} is not open to all networks, and Keyturn did not see what ways to it there are.`;
    return { state: 'unknown', detail, remedy: '' };
  }
  // Where Azure does not name the networks of the nodes, any way may be theirs.
  const ways = (nodeNetworks?.length ? nodeNetworks : [undefined]).map((nodes) => wayOf(nodes, waysIn, place));
  const [first] = ways;
  if (first !== undefined && ways.every(({ state }) => state === first.state)) return joined(first, ways);
  const pools = (nodeNetworks ?? []).filter((_, index) => ways[index]?.state === 'missing').map(({ pool }) => pool);
  const others = ways.filter(({ state }) => state !== 'missing').map(({ detail }) => detail);
  const none = pools.length === 0 ? [] : [`The nodes of ${listed(pools)} have no way to it: pods there cannot mount.`];
  return { state: 'unknown', detail: [...new Set([...others, ...none])].join(' '), remedy: '' };
}

/** The private DNS zone that leads the name of a vault to its private endpoint. */
export function privateZone(cloud: Cloud['name']): string {
  return suffixOf(cloud).replace(/^vault\./, 'privatelink.vaultcore.');
}

interface Place {
  readonly vaultId: string;
  readonly cloud: Cloud['name'];
}

/** The way of the nodes of one pool. */
function wayOf(nodes: NodeNetwork | undefined, waysIn: WaysIn, place: Place): LineOfSight {
  const name = resourceName(place.vaultId);
  const { publicAddress, addressRules, subnetRules, endpoints } = waysIn;
  const approved = endpoints.filter(({ status }) => status.toLowerCase() === 'approved');
  const near = approved.find(({ subnetId }) => subnetId !== undefined && isWithin(subnetId, nodes?.network));
  if (near) {
    const host = `${name.toLowerCase()}.${suffixOf(place.cloud)}`;
    return seen(
      `The way of the nodes to the vault ${name}, which is not open to all networks, is its private endpoint ${resourceName(near.endpointId)}, in their network. Keyturn does not see whether ${host} leads there on the nodes: by the private DNS zone ${privateZone(place.cloud)}, linked to their network, or by DNS of their own.`,
    );
  }
  const ruled = publicAddress === 'restricted' && subnetRules.some((one) => isOf(one, nodes));
  if (ruled) {
    return seen(
      `The firewall of the vault ${name} names the subnet of the nodes. Keyturn does not see whether that subnet has the service endpoint Microsoft.KeyVault, without which the rule does nothing.`,
    );
  }
  const possible = [
    ...approved.map(({ endpointId, subnetId }) =>
      subnetId === undefined
        ? `Keyturn does not see in which network its private endpoint ${resourceName(endpointId)} is (Microsoft.Network/privateEndpoints/read).`
        : `Its private endpoint ${resourceName(endpointId)} is in the network ${networkName(subnetId)}${nodes ? ', which is not that of the nodes' : ''}: Keyturn does not see whether the nodes reach it, by a peering or otherwise.`,
    ),
    ...(publicAddress === 'restricted' && addressRules > 0
      ? [
          `Its firewall names ${addressRules} address range(s): Keyturn does not see by which address the nodes leave their network.`,
        ]
      : []),
    ...(publicAddress === 'restricted' && nodes === undefined && subnetRules.length > 0
      ? [`Its firewall names ${subnetRules.length} subnet(s), and Azure does not name that of the nodes.`]
      : []),
    ...(publicAddress === 'perimeter'
      ? ['A network security perimeter decides who reaches it, and Keyturn does not read its rules.']
      : []),
  ];
  if (possible.length > 0) {
    const detail = `The vault ${name} is not open to all networks. ${possible.slice(0, 3).join(' ')}`;
    return { state: 'unknown', detail, remedy: '' };
  }
  return missing(nodes, waysIn, place);
}

function missing(nodes: NodeNetwork | undefined, { publicAddress, endpoints }: WaysIn, place: Place): LineOfSight {
  const name = resourceName(place.vaultId);
  const [pending] = endpoints;
  const none =
    pending === undefined
      ? 'no private endpoint'
      : `no private endpoint that is approved (${listed(endpoints.map((one) => `${resourceName(one.endpointId)}: ${one.status}`))})`;
  const detail =
    publicAddress === 'closed'
      ? `The nodes have no way to the vault ${name}: its public address is closed, and it has ${none}.`
      : `The nodes have no way to the vault ${name}: its firewall names neither their subnet nor an address, and it has ${none}.`;
  const subnet = nodes?.subnetId ?? '{subnet of the network of the nodes}';
  const zone = privateZone(place.cloud);
  const endpoint =
    pending === undefined
      ? `Make a private endpoint of the vault in the network of the nodes (az network private-endpoint create --group-id vault --connection-name vault --private-connection-resource-id ${place.vaultId} --subnet ${subnet} …), and link the private DNS zone ${zone} with its record to that network`
      : `Approve it (az keyvault private-endpoint-connection approve); the private DNS zone ${zone} with its record must be linked to the network of the nodes`;
  const rule =
    publicAddress === 'closed'
      ? ''
      : `; or let the firewall name their subnet (az keyvault network-rule add --name ${name} --subnet ${subnet}), which needs the service endpoint Microsoft.KeyVault`;
  return { state: 'missing', detail, remedy: `${endpoint}${rule}.` };
}

function seen(detail: string): LineOfSight {
  return { state: 'seen', detail, remedy: '' };
}

/** Several pools of one state. */
function joined(first: LineOfSight, ways: readonly LineOfSight[]): LineOfSight {
  const details = [...new Set(ways.map(({ detail }) => detail))];
  return { ...first, detail: details.join(' ') };
}

/** Whether a firewall's subnet is that of the nodes. Where AKS made their network, all its subnets in the node resource group are theirs. */
function isOf(subnetId: string, nodes: NodeNetwork | undefined): boolean {
  if (nodes === undefined) return false;
  return nodes.subnetId === undefined ? isWithin(subnetId, nodes.network) : sameText(subnetId, nodes.subnetId);
}

function isWithin(subnetId: string, network: string | undefined): boolean {
  return network !== undefined && covers(network, subnetId);
}

function networkName(subnetId: string): string {
  return subnetId.split('/').at(-3) ?? subnetId;
}

function suffixOf(cloud: Cloud['name']): string {
  return CLOUDS.find(({ name }) => name === cloud)?.vaultSuffix ?? 'vault.azure.net';
}
