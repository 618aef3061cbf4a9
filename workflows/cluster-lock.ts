/**
 * The lock of a cluster (O1): a child workflow whose id is the cluster's.
 *
 * Temporal lets one workflow with an id run at a time, so the operation that starts it holds the lock. It ends when its holder
 * releases it or ends for any reason (parent close policy), so it can neither expire under a live holder nor outlive a dead one.
 * An administrator may still end it in Temporal: the holder watches the lock, and learns of its end.
 */
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import {
  condition,
  defineSignal,
  log,
  ParentClosePolicy,
  setHandler,
  startChild,
  workflowInfo,
  type ChildWorkflowHandle,
} from '@temporalio/workflow';
import { clusterLockId, resourceName } from '../domain/resource-ids';
import { MemoKey } from '../domain/operation-memo';
import { CLUSTER_LOCK_WORKFLOW } from './messages';

const release = defineSignal('release');

/** The workflow that is the lock: it waits to be released. */
export async function clusterLock(): Promise<void> {
  let released = false;
  setHandler(release, () => void (released = true));
  await condition(() => released);
}

/** The lock was lost: another operation may change the cluster, so this one must not write before it holds it again. */
export class LockLost extends Error {
  constructor(cluster: string) {
    super(`The lock of ${cluster} was lost.`);
    this.name = 'LockLost';
  }
}

/** One hold of the lock: a child workflow, and whether it has ended. */
interface Hold {
  readonly child: ChildWorkflowHandle<typeof clusterLock>;
  ended: boolean;
}

/**
 * Takes a cluster's lock, watches it, and releases it.
 *
 * Does: knows at each moment whether its operation holds the lock; calls `onLost` when the lock ends before it was released.
 * Never does: take the lock again by itself, or fail because a lock that is gone cannot be released.
 */
export class ClusterLockGuard {
  private hold: Hold | undefined;
  private wasLost = false;
  /** Called when the lock ends without having been released. */
  onLost: () => void = () => undefined;

  constructor(private readonly cluster: string) {}

  /** Whether the lock was taken and ended before it was released. False once the operation has taken it again. */
  get lost(): boolean {
    return this.wasLost;
  }

  /** Call before each write. @throws LockLost when another operation could write at the same time */
  check(): void {
    if (this.hold === undefined || this.hold.ended) throw new LockLost(this.cluster);
  }

  /** Takes the lock; false when another operation holds it. */
  async take(): Promise<boolean> {
    const child = await startLock(this.cluster);
    if (child === undefined) return false;
    const hold: Hold = { child, ended: false };
    this.hold = hold;
    this.wasLost = false;
    const end = (): void => {
      hold.ended = true;
      if (this.hold !== hold) return;
      this.wasLost = true;
      log.warn('The lock of the cluster was lost', { cluster: this.cluster });
      this.onLost();
    };
    child.result().then(end, end);
    return true;
  }

  /** Releases the lock if it is held. A lock that has ended counts as released. */
  async release(): Promise<void> {
    const hold = this.hold;
    this.hold = undefined;
    this.wasLost = false;
    if (hold === undefined || hold.ended) return;
    try {
      await hold.child.signal(release);
    } catch {
      // The lock ended at this moment: there is nothing left to release.
      return;
    }
    await condition(() => hold.ended);
  }
}

async function startLock(cluster: string): Promise<Hold['child'] | undefined> {
  try {
    return await startChild<typeof clusterLock>(CLUSTER_LOCK_WORKFLOW, {
      workflowId: clusterLockId(cluster),
      parentClosePolicy: ParentClosePolicy.TERMINATE,
      memo: { [MemoKey.Holder]: workflowInfo().workflowId },
      staticSummary: `Lock of ${resourceName(cluster)}`,
    });
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) return undefined;
    throw error;
  }
}
