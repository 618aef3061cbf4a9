/** Pieces of the way from the nodes to a private vault. */
import type { WaysIn } from '../../../domain/csi/facts';
import { withCsi, withVault, type Connection } from './connected';
import type { Piece } from './piece';
import { ELSEWHERE, ENDPOINT } from './sorts-of-vault';

type Endpoint = WaysIn['endpoints'][number];

/** With other private endpoints; undefined where the vault is open to all networks, and needs none. */
function withEndpoints(whole: Connection, ...endpoints: Endpoint[]): Connection | undefined {
  const waysIn = waysOf(whole);
  return waysIn && withVault(whole, { waysIn: { ...waysIn, endpoints } });
}
const waysOf = ({ csi: { vault } }: Connection): WaysIn | undefined => (vault.known ? vault.value.waysIn : undefined);
const { endpointId, status } = ENDPOINT;
const MAYBE = {
  same: 'Keyturn does not see whether the nodes reach it: the mount shows it.',
  warned: 'VaultNotOpenToNodes',
} as const;

export const OF_NETWORKS: readonly Piece[] = [
  {
    what: 'the private endpoint',
    removed: (whole) => withEndpoints(whole),
    planned: { refused: 'VaultNotReachedByNodes' },
    names: 'The nodes have no way to the vault kv-app: its public address is closed, and it has no private endpoint.',
    inspected: 'broken',
    inspectedAs: 'it has no private endpoint. Make a private endpoint of the vault in the network of the nodes',
  },
  {
    what: 'the approval of the private endpoint',
    removed: (whole) => withEndpoints(whole, { ...ENDPOINT, status: 'Pending' }),
    planned: { refused: 'VaultNotReachedByNodes' },
    names: 'it has no private endpoint that is approved (pe-app: Pending).',
    inspected: 'broken',
    inspectedAs: 'approved (pe-app: Pending). Approve it (az keyvault private-endpoint-connection approve)',
  },
  {
    what: 'the network of the private endpoint, which is not that of the nodes',
    removed: (whole) => withEndpoints(whole, { ...ENDPOINT, subnetId: ELSEWHERE }),
    planned: MAYBE,
    names: 'Its private endpoint pe-app is in the network hub, which is not that of the nodes',
    inspected: 'unknown',
  },
  {
    what: 'the sight of the private endpoint',
    removed: (whole) => withEndpoints(whole, { endpointId, status }),
    planned: MAYBE,
    names: 'in which network its private endpoint pe-app is (Microsoft.Network/privateEndpoints/read)',
    inspected: 'unknown',
  },
  {
    what: 'the sight of the network of the nodes',
    removed: (whole) => waysOf(whole) && withCsi(whole, { nodeNetworks: [] }),
    planned: MAYBE,
    names: 'Its private endpoint pe-app is in the network spoke: Keyturn does not see whether the nodes reach it',
    inspected: 'unknown',
  },
  {
    what: 'the private DNS zone in the network of the nodes',
    removed: (whole) => waysOf(whole) && whole,
    planned: MAYBE,
    names: 'Keyturn does not see whether kv-app.vault.azure.net leads there on the nodes',
    inspected: 'unknown',
  },
];
