/** The sorts of vault of whole connections; a private one with its way from the nodes. */
import type { NodeNetwork, ReadVault } from '../../../domain/csi/facts';

const NETWORKS = '/subscriptions/s/resourceGroups/rg/providers/Microsoft.Network';
/** The network of the nodes. */
export const NODES: NodeNetwork = {
  pool: 'nodepool1',
  subnetId: `${NETWORKS}/virtualNetworks/spoke/subnets/nodes`,
  network: `${NETWORKS}/virtualNetworks/spoke`,
};
/** The private endpoint in the network of the nodes. */
export const ENDPOINT = {
  endpointId: `${NETWORKS}/privateEndpoints/pe-app`,
  status: 'Approved',
  subnetId: `${NODES.network}/subnets/endpoints`,
};
/** A subnet of a network that is not that of the nodes. */
export const ELSEWHERE = `${NETWORKS}/virtualNetworks/hub/subnets/endpoints`;

/** Every sort of vault. All have all rights. */
export const VAULTS = {
  'Azure RBAC': { permissionModel: 'rbac' },
  'access policies': {
    permissionModel: 'access-policy',
    policy: { secrets: ['get', 'list'], keys: ['get', 'list'], certificates: ['get', 'list'] },
  },
  'Azure RBAC that is private': {
    permissionModel: 'rbac',
    openToAllNetworks: false,
    waysIn: { publicAddress: 'closed', addressRules: 0, subnetRules: [], endpoints: [ENDPOINT] },
  },
} as const satisfies Readonly<Record<string, Partial<ReadVault>>>;
/** A sort of vault. */
export type VaultSort = keyof typeof VAULTS;

/** What Keyturn does not see of a connection that is whole, in an inspection. */
export const UNSEEN: Readonly<Record<VaultSort, string>> = {
  'Azure RBAC': '',
  'access policies': '',
  'Azure RBAC that is private':
    'The way of the nodes to the vault kv-app, which is not open to all networks, is its private endpoint pe-app, in their network. Keyturn does not see whether kv-app.vault.azure.net leads there on the nodes: by the private DNS zone privatelink.vaultcore.azure.net, linked to their network, or by DNS of their own.',
};
