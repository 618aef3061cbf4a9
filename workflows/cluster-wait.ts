/**
 * Waiting for an operation that executes on the cluster. The wait is a timer of the workflow and a short read now and then:
 * an activity that waits would take a slot of the worker, and many of them every slot that the executing operation needs.
 */
import { pauseWhileBusy } from '../domain/busy-wait';
import { OperationStatus } from '../domain/operation';
import { quick } from './activities';
import type { OperationRun } from './operation-run';

/** The operation that holds the cluster's lock; null when none does. */
export async function clusterHolder(cluster: string): Promise<string | null> {
  return (await quick('Read who holds the cluster').readClusterHolder({ cluster })).operationId;
}

/**
 * Waits, visibly, while other operations hold the cluster's lock. Whoever waits still has to win it.
 * @throws OperationEnds when somebody cancels
 */
export async function awaitClusterFree(run: OperationRun, cluster: string, then: OperationStatus): Promise<void> {
  const since = Date.now();
  for (let shown: string | undefined; ;) {
    run.safePoint();
    const holder = await clusterHolder(cluster);
    run.safePoint();
    if (holder === null) break;
    if (holder !== shown) {
      shown = holder;
      run.publish({
        status: OperationStatus.AwaitingCluster,
        waitingFor: `operation ${holder} to end: it executes on this cluster.`,
      });
    }
    await run.pause(pauseWhileBusy(Date.now() - since));
  }
  run.publish({ status: then, waitingFor: null });
}
