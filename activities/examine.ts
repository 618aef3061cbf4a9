/** What a worker says of its own surroundings: clock, signing key, Azure. Reads only. */
import type { AzureAccess } from '../azure/access';
import { AzureError } from '../azure/errors';
import type { WorkerReport } from '../domain/worker-report';

/** Looks round. Azure that does not answer is a part of the answer, not a failure. */
export async function examineWorker(
  azure: Pick<AzureAccess, 'clusters' | 'own'>,
  { signingKeyId }: Pick<WorkerReport, 'signingKeyId'>,
  signal: AbortSignal,
): Promise<WorkerReport> {
  const at = new Date().toISOString();
  try {
    const options = { abortSignal: signal };
    const [objectId, { clusters, refused }] = await Promise.all([
      azure.own.objectId(options),
      azure.clusters.listEverywhere(options),
    ]);
    const refusedSubscriptions = refused.map(({ subscriptionId }) => subscriptionId).sort();
    return { at, signingKeyId, azure: { objectId, clusters: clusters.length, refusedSubscriptions } };
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof AzureError) return { at, signingKeyId, azure: { failed: error.message } };
    throw error;
  }
}
