/** What Azure shows of the connection between the pods of a cluster and a vault. Reads only what the request's way in needs. */
import type { AzureAccess } from '../../azure/access';
import type { CallOptions } from '../../azure/call-options';
import { isNotForUs } from '../../azure/errors';
import type { ClusterSnapshot } from '../../azure/managed-clusters';
import type { CsiFacts, ReadingIdentity } from '../../domain/csi/facts';
import { isId, type ConnectParameters } from '../../domain/csi/parameters';
import { parseClusterId, resourceName } from '../../domain/resource-ids';
import { nodePlaceOf, systemAssignedOf } from './identity';
import { nodeNetworksOf, withEndpointSubnets } from './network';
import { readingRights, rightsOfOtherNodes } from './rights';

type Azure = Pick<
  AzureAccess,
  | 'cloud'
  | 'own'
  | 'vaults'
  | 'roles'
  | 'identities'
  | 'clusters'
  | 'nodeMachines'
  | 'federatedCredentials'
  | 'serviceConnections'
  | 'privateEndpoints'
>;

/** What a request of the CSI kinds names; the schema of the kind has read it. */
export type CsiRequest = Partial<Pick<ConnectParameters, 'mode' | 'vaultId' | 'identity'>>;

/** @throws ArmError, TokenError when Azure cannot say now */
export async function observeCsi(
  azure: Azure,
  snapshot: ClusterSnapshot,
  { mode, vaultId, identity: named }: CsiRequest,
  options: CallOptions = {},
): Promise<CsiFacts> {
  const cloud = azure.cloud.name;
  if (mode === undefined || vaultId === undefined) {
    const why = 'The request names no vault: no right is given.';
    // What Service Connector made may have to go.
    const connections = await connectionsOf(azure, snapshot.observed.resourceId, options);
    return { cloud, vault: { known: false, why }, identity: { state: 'unknown', why }, connections };
  }
  const ofNodes = mode === 'managed-identity' && (isId(named) || named === 'system-assigned');
  const nodes = ofNodes ? await nodesOf(azure, snapshot, options) : undefined;
  const identity = await identityOf(azure, snapshot, { named, nodes }, options);
  const principalId = identity.state === 'exists' ? identity.principalId : undefined;
  const { subscriptionId = '' } = parseClusterId(snapshot.observed.resourceId) ?? {};
  const [tenantId, rights, otherNodes, credentials, connections] = await Promise.all([
    azure.own.tenantOf(subscriptionId, options),
    readingRights(azure, { vaultId, principalId }, options),
    rightsOfOtherNodes(azure, { vaultId, nodes, identity }, options),
    mode === 'workload-identity' && isId(named) ? credentialsOf(azure, named, identity, options) : undefined,
    mode === 'service-connector' ? connectionsOf(azure, snapshot.observed.resourceId, options) : undefined,
  ]);
  const nodeNetworks = nodeNetworksOf(snapshot);
  return {
    cloud,
    tenantId,
    ...rights,
    vault: await withEndpointSubnets(rights.vault, (id) => azure.privateEndpoints.subnetOf(id, options)),
    identity,
    ...(nodeNetworks === undefined ? {} : { nodeNetworks }),
    ...(otherNodes === undefined ? {} : { otherNodes }),
    ...(credentials === undefined ? {} : { credentials }),
    ...(nodes === undefined ? {} : { nodes }),
    ...(connections === undefined ? {} : { connections }),
  };
}

async function identityOf(
  { identities }: Azure,
  { observed }: ClusterSnapshot,
  { named, nodes }: { readonly named: CsiRequest['identity']; readonly nodes: CsiFacts['nodes'] },
  options: CallOptions,
): Promise<ReadingIdentity> {
  if (isId(named)) {
    const found = await identities.read(named, options);
    if (found.found) {
      const { principalId, clientId } = found;
      return { state: 'exists', resourceId: named, clientId, principalId };
    }
    // Keyturn makes an identity, and no resource group for it.
    const possible = found.state === 'missing' && found.noGroup !== true;
    return possible ? { state: 'to-be-made' } : { state: 'unknown', why: found.why };
  }
  if (named === 'system-assigned') {
    if (nodes?.known !== true) return { state: 'unknown', why: nodes?.why ?? 'The nodes were not looked at.' };
    const found = systemAssignedOf(nodes.value);
    return 'why' in found
      ? { state: 'unknown', why: found.why }
      : { state: 'exists', principalId: found.principalIds[0] };
  }
  const made = observed.secretsProvider?.identity;
  if (!made) return { state: 'to-be-made' };
  const { resourceId, clientId, objectId: principalId } = made;
  return { state: 'exists', resourceId, clientId, principalId };
}

export async function nodesOf(
  { nodeMachines }: Azure,
  snapshot: ClusterSnapshot,
  options: CallOptions,
): Promise<NonNullable<CsiFacts['nodes']>> {
  const place = nodePlaceOf(snapshot);
  if (place === undefined) return { known: false, why: 'Azure does not name the resource group of the nodes.' };
  const right = 'Microsoft.Compute/virtualMachineScaleSets/read';
  try {
    const value = await nodeMachines.list(place, options);
    if (value.length > 0) return { known: true, value };
    const why = `Azure shows no scale set or virtual machine in the node resource group ${place.resourceGroup}: there are no nodes, or Keyturn may not read them (${right}).`;
    return { known: false, why };
  } catch (error) {
    if (!isNotForUs(error)) throw error;
    return {
      known: false,
      why: `Keyturn may not read the machines in the node resource group ${place.resourceGroup} (${right}).`,
    };
  }
}

export async function credentialsOf(
  { federatedCredentials }: Azure,
  identityId: string,
  { state }: ReadingIdentity,
  options: CallOptions,
): Promise<NonNullable<CsiFacts['credentials']>> {
  if (state !== 'exists') return { known: true, value: [] };
  try {
    return { known: true, value: await federatedCredentials.list(identityId, options) };
  } catch (error) {
    if (!isNotForUs(error)) throw error;
    const why = `Keyturn may not read the federated credentials of the identity ${resourceName(identityId)} (Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials/read).`;
    return { known: false, why };
  }
}

async function connectionsOf(
  { serviceConnections }: Azure,
  cluster: string,
  options: CallOptions,
): Promise<NonNullable<CsiFacts['connections']>> {
  try {
    const found = await serviceConnections.list(cluster, options);
    const value = found.map(({ name, targetId, byCsiDriver }) => ({ name, targetId, byCsiDriver }));
    return { known: true, value };
  } catch (error) {
    if (!isNotForUs(error)) throw error;
    const why =
      'Keyturn may not read the connections of the cluster (Microsoft.ServiceLinker/linkers/read), or the subscription does not use Service Connector yet (az provider register --namespace Microsoft.ServiceLinker).';
    return { known: false, why };
  }
}
