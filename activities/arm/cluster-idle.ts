/** Waits until Azure is not changing a cluster, whichever client asked for the change. */
import type { AzureAccess } from '../../azure/access';
import { ArmError } from '../../azure/errors';
import { isBusy } from '../../domain/cluster-change';
import { lookUntil, type Running } from '../running';

const POLL_IN_MS = 5_000;
const GONE = 'Deleted';

/**
 * Waits until the provisioning state is one that the cluster does not leave by itself. Its heartbeats say what it waits for.
 * @returns the state; `Deleted` when there is no such cluster any more
 * @throws ArmError, TokenError
 */
export async function awaitClusterIdle(
  { clusters }: Pick<AzureAccess, 'clusters'>,
  { cluster }: { readonly cluster: string },
  running: Running,
  pollInMs = POLL_IN_MS,
): Promise<{ provisioningState: string }> {
  return await lookUntil<{ provisioningState: string }>(
    running,
    { first: 'Azure to answer', everyMs: pollInMs },
    async () => {
      const provisioningState = await stateOf(clusters, cluster, running.signal);
      if (!isBusy(provisioningState) || provisioningState === GONE) return { answer: { provisioningState } };
      return { waitsFor: `Azure: the cluster is ${provisioningState}` };
    },
  );
}

async function stateOf(clusters: AzureAccess['clusters'], cluster: string, abortSignal: AbortSignal): Promise<string> {
  try {
    return (await clusters.read(cluster, { abortSignal })).observed.provisioningState;
  } catch (error) {
    if (error instanceof ArmError && error.status === 404) return GONE;
    throw error;
  }
}
