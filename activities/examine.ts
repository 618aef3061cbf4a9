/** What a worker says of its own surroundings: clock, signing key, Azure. Reads only. */
import type { AzureAccess } from '../azure/access';
import { AzureError } from '../azure/errors';
import type { WorkerReport } from '../domain/worker-report';
import type { Signer } from '../evidence/signer';

/** Looks round. Azure that does not answer is a part of the answer, not a failure. */
export async function examineWorker(
  azure: Pick<AzureAccess, 'clusters' | 'own'>,
  { keyId: signingKeyId, algorithm, vaultKeyId }: Pick<Signer, 'keyId' | 'algorithm' | 'vaultKeyId'>,
  signal: AbortSignal,
): Promise<WorkerReport> {
  const at = new Date().toISOString();
  const signing = { algorithm, vaultKeyId };
  try {
    const options = { abortSignal: signal };
    const [objectId, { clusters, refused }] = await Promise.all([
      azure.own.objectId(options),
      azure.clusters.listEverywhere(options),
    ]);
    const refusedSubscriptions = refused.map(({ subscriptionId }) => subscriptionId).sort();
    return { at, signingKeyId, signing, azure: { objectId, clusters: clusters.length, refusedSubscriptions } };
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof AzureError) return { at, signingKeyId, signing, azure: { failed: error.message } };
    throw error;
  }
}
