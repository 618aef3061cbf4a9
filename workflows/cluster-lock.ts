/**
 * The lock of a cluster (O1): a child workflow whose id is the cluster's.
 *
 * Temporal lets one workflow with an id run at a time, so whoever starts it holds the lock. It ends when its holder
 * releases it or ends for whatever reason (parent close policy), so it can neither expire under a live holder nor outlive
 * a dead one.
 */
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { condition, defineSignal, ParentClosePolicy, setHandler, startChild, workflowInfo } from '@temporalio/workflow';
import { clusterLockId } from '../domain/resource-ids';
import { CLUSTER_LOCK_WORKFLOW, Memo } from './messages';

const release = defineSignal('release');

/** The workflow that is the lock: it waits to be released. */
export async function clusterLock(): Promise<void> {
  let released = false;
  setHandler(release, () => void (released = true));
  await condition(() => released);
}

/** A held lock. */
export interface HeldLock {
  release(): Promise<void>;
}

/** Takes the lock of a cluster for this operation; undefined when another one holds it. */
export async function takeClusterLock(cluster: string): Promise<HeldLock | undefined> {
  try {
    const child = await startChild(CLUSTER_LOCK_WORKFLOW, {
      workflowId: clusterLockId(cluster),
      parentClosePolicy: ParentClosePolicy.TERMINATE,
      memo: { [Memo.Holder]: workflowInfo().workflowId },
      staticSummary: `Lock of ${cluster.split('/').at(-1)}`,
    });
    return {
      async release() {
        await child.signal(release);
        await child.result();
      },
    };
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) return undefined;
    throw error;
  }
}
