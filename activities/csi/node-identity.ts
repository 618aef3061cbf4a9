/**
 * Gives a user-assigned identity to the machines of a cluster's nodes that lack it, and waits until Azure shows it.
 *
 * Never does: take an identity away.
 */
import type { AzureAccess } from '../../azure/access';
import { ArmError } from '../../azure/errors';
import type { NodeGroup } from '../../domain/csi/facts';
import { resourceName } from '../../domain/resource-ids';
import { needsPerson, sentenceOf, tryAgain } from '../failures';
import { lookUntil, type Running } from '../running';
import { nodePlaceOf } from './identity';

/** Between two looks at machines that Azure is changing. */
const LOOK_IN_MS = 2_000;

/**
 * @returns the ARM ids of the machines that got it; of all of them when none lacked it
 * @throws ApplicationFailure `ConnectionRefused`, non-retryable; ArmError, TokenError
 */
export async function assignNodeIdentity(
  { clusters, nodeMachines }: Pick<AzureAccess, 'clusters' | 'nodeMachines'>,
  { cluster, identityId }: { readonly cluster: string; readonly identityId: string },
  running: Running,
): Promise<{ changed: boolean; nodes: readonly string[] }> {
  const options = { abortSignal: running.signal };
  const place = nodePlaceOf(await clusters.read(cluster, options));
  if (place === undefined) throw tryAgain('AzureUnavailable', 'Azure does not name the resource group of the nodes.');
  const asked = new Map<string, string | undefined>();
  const first = `Azure to show the identity ${resourceName(identityId)} at the nodes`;
  return await lookUntil<{ changed: boolean; nodes: readonly string[] }>(
    running,
    { first, everyMs: LOOK_IN_MS },
    async () => {
      // Each time anew: autoscalers and upgrades make machines meanwhile.
      const machines = await refusing(identityId, () => nodeMachines.list(place, options));
      const lacking = machines.filter((one) => !hasIdentity(one, identityId));
      if (lacking.length === 0) {
        const changed = asked.size > 0;
        return { answer: { changed, nodes: changed ? [...asked.keys()] : machines.map((one) => one.resourceId) } };
      }
      for (const { resourceId } of lacking) {
        if (asked.has(resourceId)) await requireGoing(resourceId, asked.get(resourceId));
        else {
          const { operationUrl } = await refusing(identityId, () =>
            nodeMachines.addIdentity(resourceId, identityId, options),
          );
          asked.set(resourceId, operationUrl);
        }
      }
      return { waitsFor: `${first}: ${lacking.map((one) => resourceName(one.resourceId)).join(', ')}` };
    },
  );

  async function requireGoing(resourceId: string, operationUrl: string | undefined): Promise<void> {
    if (operationUrl === undefined) return;
    const { status, error } = await clusters.operation(operationUrl, options);
    if (status !== 'Failed' && status !== 'Canceled') return;
    const why = [error.code, error.message].filter(Boolean).join(': ') || 'Azure gave no reason.';
    throw refused(identityId, `Azure's operation on ${resourceName(resourceId)} ended ${status}. ${why}`);
  }
}

async function refusing<T>(identityId: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof ArmError) || error.retryable || error.status === 401) throw error;
    throw refused(identityId, sentenceOf(error), error);
  }
}

function refused(identityId: string, why: string, cause?: unknown): Error {
  return needsPerson(
    'ConnectionRefused',
    `The identity ${resourceName(identityId)} was not assigned to all nodes. ${why} Identities that the nodes had stay, and keys are as they were. Keyturn needs Microsoft.Compute/virtualMachineScaleSets/write (or virtualMachines/write) in the node resource group, and Microsoft.ManagedIdentity/userAssignedIdentities/assign/action at the identity. Or assign it yourself (az vmss identity assign --identities ${identityId}). Then retry; or cancel.`,
    cause,
  );
}

function hasIdentity({ identities }: NodeGroup, identityId: string): boolean {
  return identities.some((one) => one.toLowerCase() === identityId.toLowerCase());
}
