/**
 * Which identity reads the vault: what a step names, resolved when the step runs. The identity of the add-on is there only once AKS has
 * made it, and one that was deleted and made again stands for another principal.
 *
 * Never does: write.
 */
import type { AzureAccess } from '../../azure/access';
import type { NodePlace } from '../../azure/node-machines';
import type { ClusterSnapshot } from '../../azure/managed-clusters';
import type { NodeGroup } from '../../domain/csi/facts';
import type { IdentityRef } from '../../domain/csi/steps';
import { parseClusterId, resourceName } from '../../domain/resource-ids';
import { needsPerson, tryAgain } from '../failures';

type Azure = Pick<AzureAccess, 'identities' | 'clusters' | 'nodeMachines'>;

/** Between two looks for an identity that AKS is making. */
const LOOK_IN_MS = 10_000;

/** An identity that reads a vault. */
export interface Principal {
  /** Object id in Entra ID: what grants name. */
  readonly principalId: string;
  /** What a SecretProviderClass names; absent for a system-assigned identity, which it names by an empty text. */
  readonly clientId?: string;
  /** For sentences. */
  readonly name: string;
}

/**
 * @param cluster ARM id
 * @throws ApplicationFailure `IdentityNotAsApproved`, non-retryable, when there is no such identity; `AzureUnavailable` while Azure does not
 *         show the add-on's yet; ArmError, TokenError
 */
export async function principalOf(
  azure: Azure,
  cluster: string,
  ref: IdentityRef,
  options: { readonly abortSignal?: AbortSignal } = {},
): Promise<Principal> {
  const [first] = await principalsOf(azure, cluster, ref, options);
  return first;
}

/** All that read the vault: of several only where each scale set reads by an identity of its own. @throws as `principalOf` */
export async function principalsOf(
  azure: Azure,
  cluster: string,
  ref: IdentityRef,
  options: { readonly abortSignal?: AbortSignal } = {},
): Promise<[Principal, ...Principal[]]> {
  if (ref.from === 'resource') {
    const found = await azure.identities.read(ref.identityId, options);
    if (!found.found) throw notAsApproved(found.why);
    return [{ principalId: found.principalId, clientId: found.clientId, name: resourceName(ref.identityId) }];
  }
  const snapshot = await azure.clusters.read(cluster, options);
  if (ref.from === 'add-on') {
    const { secretsProvider } = snapshot.observed;
    if (secretsProvider?.identity) {
      const { objectId: principalId, clientId, resourceId } = secretsProvider.identity;
      return [{ principalId, clientId, name: resourceName(resourceId) }];
    }
    if (secretsProvider?.enabled !== true) {
      throw notAsApproved(`The add-on azureKeyvaultSecretsProvider of ${resourceName(cluster)} is off.`);
    }
    throw tryAgain('AzureUnavailable', 'Azure does not show the identity of the add-on yet.', LOOK_IN_MS);
  }
  const place = nodePlaceOf(snapshot);
  const system = systemAssignedOf(place === undefined ? [] : await azure.nodeMachines.list(place, options));
  if ('why' in system) throw notAsApproved(system.why);
  const [first, ...others] = system.principalIds;
  const named = (principalId: string): Principal => ({
    principalId,
    name: `the system-assigned identity ${principalId} of the nodes`,
  });
  return [named(first), ...others.map(named)];
}

/** Where the nodes are; undefined while Azure does not say. */
export function nodePlaceOf({ body, observed }: Pick<ClusterSnapshot, 'body' | 'observed'>): NodePlace | undefined {
  const { nodeResourceGroup } = body.properties;
  const { subscriptionId } = parseClusterId(observed.resourceId) ?? {};
  return nodeResourceGroup && subscriptionId ? { subscriptionId, resourceGroup: nodeResourceGroup } : undefined;
}

/** The system-assigned identities of the nodes, one of each scale set, or why not all have one. */
export function systemAssignedOf(
  nodes: readonly NodeGroup[],
): { readonly principalIds: readonly [string, ...string[]] } | { readonly why: string } {
  const without = nodes.filter(({ systemAssigned }) => systemAssigned === undefined);
  const [principalId, ...others] = new Set(nodes.flatMap(({ systemAssigned }) => systemAssigned ?? []));
  if (principalId === undefined || without.length > 0) {
    const which = without.map(({ resourceId }) => resourceName(resourceId)).join(', ');
    return {
      why: `The nodes have no system-assigned identity${which === '' ? '' : `: ${which}`}. Give each scale set one (az vmss identity assign); or name a user-assigned identity, or the one of the add-on.`,
    };
  }
  return { principalIds: [principalId, ...others] };
}

function notAsApproved(why: string): Error {
  return needsPerson(
    'IdentityNotAsApproved',
    `The identity that is to read the vault is not there. ${why} Nothing was given to it, and keys are as they were. Find out who changed it; then retry, or cancel and ask again.`,
  );
}
