/**
 * Waits for an operation that executes on the cluster. The wait is a timer of the workflow and a short read now and then. An
 * activity that waits would take a slot of the worker; many of them would take every slot that the executing operation needs.
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
 * Waits, visibly, while other operations hold the cluster's lock. It does not take the lock: the caller must do that next.
 * @throws OperationEnds when a person cancels
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
