/**
 * The private endpoints that AKS makes for KMS Private, as the seeds describe them: one in the node resource group for each vault
 * that a key slot, current or previous, reads privately.
 *
 * Needs: private endpoints, role assignments.
 * Does: makes an endpoint with the rights of the cluster's identity; removes those that no slot needs.
 * Never does: remove one while a key of its vault is in a slot.
 */
import type { ServicePrincipal } from '../entra/directory';
import { AzureError } from '../errors';
import { objectAt } from '../json';
import { parseKid } from '../vault/kid';
import type { Vault, VaultRegistry } from '../vault/registry';
import { holdsAction } from './authorization';
import type { ManagedCluster } from './managed-cluster';
import type { PrivateEndpoint, PrivateEndpoints } from './private-endpoints';
import type { RoleAssignments } from './role-assignments';

/** The right to approve one's own endpoint: Key Vault Contributor has it. */
const APPROVAL = 'Microsoft.KeyVault/vaults/PrivateEndpointConnectionsApproval/action';

/** Where endpoints, vaults and rights are. */
export interface LinkSources {
  readonly endpoints: PrivateEndpoints;
  readonly registry: VaultRegistry;
  readonly assignments: RoleAssignments;
}

/**
 * Prepares the way to the vault of a key that is to be written with.
 * @param isPrivate whether the profile says Private
 * @throws AzureError 403 LinkedAuthorizationFailed when the identity may not approve the endpoint
 */
export function linkVault(
  sources: LinkSources,
  cluster: ManagedCluster,
  {
    kid,
    isPrivate,
    identity,
  }: { readonly kid: string; readonly isPrivate: boolean; readonly identity: ServicePrincipal | undefined },
): void {
  if (!isPrivate) {
    cluster.privateKeys.delete(kid);
    return;
  }
  const vault = vaultOf(sources, kid);
  if (vault === undefined) throw new AzureError(404, 'VaultNotFound', `There is no vault for the key ${kid}.`);
  if (!sources.endpoints.reaches(cluster.id, vault.id)) {
    const endpoint = endpointOf(cluster, vault);
    if (identity === undefined || !holdsAction(sources.assignments, identity.objectId, APPROVAL, vault.id)) {
      throw linkedAuthorizationFailed(endpoint, identity);
    }
    sources.endpoints.put(endpoint);
  }
  cluster.privateKeys.add(kid);
}

/** Removes the endpoints to vaults that no key slot of the cluster reads privately. */
export function dropUnusedLinks(sources: LinkSources, cluster: ManagedCluster): void {
  const slots = cluster.applied.slots.filter((kid) => cluster.privateKeys.has(kid));
  const vaults = new Set(slots.map((kid) => vaultOf(sources, kid)?.id.toLowerCase()));
  for (const kid of [...cluster.privateKeys]) if (!slots.includes(kid)) cluster.privateKeys.delete(kid);
  for (const endpoint of sources.endpoints.of(cluster.id)) {
    if (!vaults.has(endpoint.vaultId.toLowerCase())) sources.endpoints.remove(endpoint);
  }
}

function vaultOf({ registry }: LinkSources, kid: string): Vault | undefined {
  const host = parseKid(kid)?.host ?? '';
  // A vault that was deleted keeps its endpoints: it may be recovered.
  return registry
    .all()
    .find((vault) => `${vault.name}.${vault.cloud.vaultSuffix}`.toLowerCase() === host.toLowerCase());
}

function endpointOf(cluster: ManagedCluster, vault: Vault): PrivateEndpoint {
  const name = `kms-${cluster.name}-${vault.name}`;
  const [, , subscription = ''] = cluster.id.split('/');
  return {
    id: `/subscriptions/${subscription}/resourceGroups/${nodeResourceGroup(cluster)}/providers/Microsoft.Network/privateEndpoints/${name}`,
    name,
    location: String(cluster.body['location']),
    vaultId: vault.id,
    clusterId: cluster.id,
    status: 'Approved',
    description: '',
  };
}

/** The group of the resources that AKS makes for a cluster. */
export function nodeResourceGroup({ body }: Pick<ManagedCluster, 'body'>): string {
  return String(objectAt(body, 'properties')['nodeResourceGroup']);
}

/** ARM's words for a right that is missing at a second resource. */
function linkedAuthorizationFailed(endpoint: PrivateEndpoint, identity: ServicePrincipal | undefined): AzureError {
  const { appId = '', objectId = '' } = identity ?? {};
  return new AzureError(
    403,
    'LinkedAuthorizationFailed',
    `The client '${appId}' with object id '${objectId}' has permission to perform action 'Microsoft.Network/privateEndpoints/write' on scope '${endpoint.id}'; however, it does not have permission to perform action(s) '${APPROVAL}' on the linked scope(s) '${endpoint.vaultId}' (respectively) or the linked scope(s) are invalid.`,
  );
}
