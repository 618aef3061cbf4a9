/** What tests do in Temporal past Keyturn. */
import type { Client, WorkflowHandle } from '@temporalio/client';
import { clusterLockId } from '../../domain/resource-ids';
import { openTemporal } from './stack';

/** Runs work with a client of the test run's Temporal, which is closed afterwards. */
export async function withTemporal<T>(work: (client: Client) => Promise<T>): Promise<T> {
  const client = await openTemporal();
  try {
    return await work(client);
  } finally {
    await client.connection.close();
  }
}

/**
 * Ends the lock of a cluster and takes its place in the same moment, so that its holder cannot take it again first.
 * @returns the lock: the signal `release` ends it
 */
export async function takeLockOver(client: Client, cluster: string, holder: string): Promise<WorkflowHandle> {
  const lock = client.workflow.getHandle(clusterLockId(cluster));
  const { taskQueue } = await lock.describe();
  await client.workflow.start('clusterLock', {
    workflowIdConflictPolicy: 'TERMINATE_EXISTING',
    workflowId: clusterLockId(cluster),
    taskQueue,
    memo: { holder },
  });
  return lock;
}
