/** A look at one cluster, asked for by the API: the worker has the rights to look into clusters, and the API has none. */
import { proxyActivities } from '@temporalio/workflow';
import type { Activities, Inspected } from '../activities/contract';

const { inspectCluster: look } = proxyActivities<Activities>({
  startToCloseTimeout: '20 seconds',
  heartbeatTimeout: '15 seconds',
  // The API waits, and answers with the failure: its client asks again.
  retry: { maximumAttempts: 1 },
  summary: 'Look at the encryption of the cluster',
});

/** Writes nothing, and takes no lock. */
export function inspectCluster(input: { readonly cluster: string }): Promise<Inspected> {
  return look(input);
}
