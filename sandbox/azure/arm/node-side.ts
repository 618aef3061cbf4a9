/**
 * What of a managed cluster concerns its nodes: the identities that AKS makes there, and the features that programs on nodes serve.
 *
 * Needs: identities, the directory, a listener.
 * Does: makes and removes the identities of the kubelet and of the add-on in the node resource group; tells the listener what is on.
 * Never does: run a driver or a webhook. The listener does.
 */
import type { SandboxCluster } from '../../cluster/contract';
import type { Directory } from '../entra/directory';
import type { FederatedCredentials } from '../entra/federated-credentials';
import type { Identities, UserAssignedIdentity } from './identities';
import type { ManagedCluster } from './managed-cluster';
import { asksForWorkloadIdentity } from './oidc-issuer';
import { addonIdentityName, secretsProviderOf, withAddonIdentity, type SecretsProvider } from './secrets-provider';
import { nodeResourceGroup } from './vault-links';

/** A cluster whose features changed, and what is on now. */
export interface NodeFeatures {
  /** ARM id: what `InstanceIdentities` takes. */
  readonly clusterId: string;
  readonly clusterName: string;
  readonly running: SandboxCluster;
  /** The Secrets Store CSI driver with its Azure provider; null when the add-on is off. */
  readonly secretsProvider: SecretsProvider | null;
  /** Whether the workload identity webhook is on. */
  readonly workloadIdentity: boolean;
  /** Where workloads of the cluster's cloud sign in. */
  readonly loginHost: string;
  /** The API servers end after this: the cluster is being stopped or deleted. */
  readonly ends: boolean;
}

/**
 * Hears of changes inside the operation that makes them, which waits: what it throws fails the operation. It hears of features that it
 * knows already too, after every update and start of a cluster, and before the API servers end.
 */
export type NodeFeaturesListener = (features: NodeFeatures) => Promise<void>;

/** Where identities are. */
export interface NodeSideSources {
  readonly identities: Identities;
  readonly directory: Directory;
  readonly federations: FederatedCredentials;
}

/** The id of an identity that AKS makes for a cluster. */
export function nodeIdentityId(subscriptionId: string, group: string, name: string): string {
  return `/subscriptions/${subscriptionId}/resourcegroups/${group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/${name}`;
}

/** Makes a user-assigned identity, or finds the one with this id. */
export function ensureIdentity(
  { identities, directory }: Pick<NodeSideSources, 'identities' | 'directory'>,
  { id, location }: { readonly id: string; readonly location: string },
): UserAssignedIdentity {
  const known = identities.find(id);
  if (known !== undefined) return known;
  const name = id.split('/').at(-1) ?? '';
  const identity = { id, name, location, tags: {}, principal: directory.registerManagedIdentity(name) };
  identities.put(identity);
  return identity;
}

/** Brings the identity of the add-on to what the body asks for, and says what is on. */
export async function applyNodeFeatures(
  sources: NodeSideSources,
  cluster: ManagedCluster,
  listener: NodeFeaturesListener | undefined,
): Promise<void> {
  const id = nodeIdentityId(subscriptionOf(cluster), nodeResourceGroup(cluster), addonIdentityName(cluster.name));
  if (secretsProviderOf(cluster.body) === undefined) {
    removeIdentity(sources, id);
  } else {
    const { principal } = ensureIdentity(sources, { id, location: String(cluster.body['location']) });
    const identity = { resourceId: id, clientId: principal.appId, objectId: principal.objectId };
    cluster.body = withAddonIdentity(cluster.body, identity);
  }
  await tellNodeFeatures(cluster, listener, { ends: false });
}

/** Says what is on. @param at.ends whether the API servers end after this */
export async function tellNodeFeatures(
  cluster: ManagedCluster,
  listener: NodeFeaturesListener | undefined,
  { ends }: Pick<NodeFeatures, 'ends'>,
): Promise<void> {
  const { running } = cluster;
  if (running === undefined) return;
  await listener?.({
    clusterId: cluster.id,
    clusterName: cluster.name,
    running,
    secretsProvider: secretsProviderOf(cluster.body) ?? null,
    workloadIdentity: asksForWorkloadIdentity(cluster.body),
    loginHost: cluster.cloud.loginHost,
    ends,
  });
}

/** Says that the cluster ends, and removes the identities that AKS made for it. */
export async function endNodeSide(
  sources: NodeSideSources,
  cluster: ManagedCluster,
  listener: NodeFeaturesListener | undefined,
): Promise<void> {
  await tellNodeFeatures(cluster, listener, { ends: true });
  for (const name of [`${cluster.name}-agentpool`, addonIdentityName(cluster.name)]) {
    removeIdentity(sources, nodeIdentityId(subscriptionOf(cluster), nodeResourceGroup(cluster), name));
  }
}

function removeIdentity({ identities, directory, federations }: NodeSideSources, id: string): void {
  const identity = identities.find(id);
  if (identity === undefined) return;
  identities.remove(identity);
  directory.remove(identity.principal);
  federations.removeAll(identity.principal.objectId);
}

function subscriptionOf({ id }: ManagedCluster): string {
  return id.split('/')[2] ?? '';
}
