/**
 * Waits while Azure makes another client's change to the cluster: visible, interruptible, and no reason to fail or to block.
 */
import { lasting } from './activities';
import type { OperationRun } from './operation-run';

/**
 * Waits until Azure is not changing the cluster. While a step runs, the activity's heartbeats say what it waits for.
 * @param seen the provisioning state that was read, when no step runs that could show the wait
 * @throws OperationEnds when a person cancels; ActivityFailure
 */
export async function awaitIdleCluster(run: OperationRun, cluster: string, seen?: string): Promise<void> {
  if (seen !== undefined) {
    const waitingFor = `Azure: the cluster is ${seen}, by a change that is not Keyturn's. The operation goes on when that has ended.`;
    run.publish({ waitingFor });
  }
  await run.interruptibly(() => lasting('Wait until Azure is not changing the cluster').awaitClusterIdle({ cluster }));
  if (seen !== undefined) run.publish({ waitingFor: null });
}
