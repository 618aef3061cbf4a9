/**
 * Who holds a cluster's lock, and the check that keeps every other operation from writing.
 *
 * Needs: a Temporal client. Does: reads the workflow that is the lock.
 * Never does: take or release a lock; only the holder's workflow does that. Wait for a lock: a wait in an activity takes a
 * slot of the worker, and waiting operations would take the slots that the holder needs.
 */
import { WorkflowNotFoundError, type Client } from '@temporalio/client';
import { z } from 'zod';
import { MemoKey } from '../domain/operation-memo';
import { clusterLockId } from '../domain/resource-ids';
import { needsPerson, tryAgain } from './failures';

const HolderMemo = z.object({ [MemoKey.Holder]: z.string() });

/**
 * Before each write: a try of an activity may come long after its workflow asked for it (a service was away, a worker was lost),
 * and another operation may have the lock by then.
 * @throws ApplicationFailure `LockLost`, non-retryable, when the operation does not hold it; `TemporalUnavailable`
 */
export async function requireLock(client: Client, cluster: string, operationId: string): Promise<void> {
  const holder = await readClusterHolder(client, cluster);
  if (holder.operationId === operationId) return;
  throw needsPerson(
    'LockLost',
    'The operation does not hold the lock of the cluster any more, so nothing was sent. It takes the lock again first.',
  );
}

/** The operation that executes on a cluster now; null when none does. @throws ApplicationFailure `TemporalUnavailable` */
export async function readClusterHolder(client: Client, cluster: string): Promise<{ operationId: string | null }> {
  const workflowId = clusterLockId(cluster);
  try {
    const lock = await client.workflow.getHandle(workflowId).describe();
    if (lock.status.name !== 'RUNNING') return { operationId: null };
    const memo = HolderMemo.safeParse(lock.memo);
    if (memo.success) return { operationId: memo.data[MemoKey.Holder] };
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return { operationId: null };
    const message = error instanceof Error ? error.message : String(error);
    throw tryAgain('TemporalUnavailable', `Reading who holds the cluster's lock failed: ${message}`, undefined, error);
  }
  throw tryAgain(
    'InternalError',
    `The workflow ${workflowId} runs and does not say which operation holds the lock: Keyturn did not start it. Keyturn changes nothing on this cluster while it runs. Find out who started it, then end it in Temporal.`,
  );
}
