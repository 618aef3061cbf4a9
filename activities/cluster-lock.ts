/**
 * Who holds a cluster's lock, and the fence that keeps every other operation from writing.
 *
 * Needs: a Temporal client. Does: reads the workflow that is the lock.
 * Never does: take or release a lock; only the holder's workflow does that. Wait for a lock: a wait in an activity takes a
 * slot of the worker, and waiting operations would take the slots that the holder needs.
 */
import { Context } from '@temporalio/activity';
import { WorkflowNotFoundError, type Client } from '@temporalio/client';
import { z } from 'zod';
import { clusterLockId } from '../domain/resource-ids';
import { HOLDER_MEMO, type Activities } from './contract';
import { needsPerson, tryAgain } from './failures';

/** The activities about a cluster's lock. */
export interface LockActivities {
  /** The operation that executes on a cluster now; null when none does. */
  readClusterHolder(input: { readonly cluster: string }): Promise<{ operationId: string | null }>;
}

const holderMemo = z.object({ [HOLDER_MEMO]: z.string() });

/** Makes the activities about a cluster's lock. */
export function createLockActivities({ client }: { readonly client: Client }): LockActivities {
  return { readClusterHolder: ({ cluster }) => readHolder(client, cluster) };
}

/**
 * The activities that only the holder of a cluster's lock may run: each try first reads who holds the lock. A try may start long
 * after its workflow asked for it (a service was away, a worker was lost), and another operation may hold the lock by then.
 */
export function fencedByLock(activities: Activities, client: Client): Activities {
  const fenced =
    <Input extends { readonly cluster: string }, Result>(work: (input: Input) => Promise<Result>) =>
    async (input: Input): Promise<Result> => {
      const { operationId } = await readHolder(client, input.cluster);
      if (operationId !== Context.current().info.workflowExecution?.workflowId) {
        throw needsPerson(
          'LockLost',
          'The operation does not hold the lock of the cluster any more, so Keyturn sent nothing. The operation takes the lock again first.',
        );
      }
      return await work(input);
    };
  return {
    ...activities,
    takeBaseline: fenced((input) => activities.takeBaseline(input)),
    submitClusterChange: fenced((input) => activities.submitClusterChange(input)),
    awaitConvergence: fenced((input) => activities.awaitConvergence(input)),
    rewriteSecrets: fenced((input) => activities.rewriteSecrets(input)),
    proveSecrets: fenced((input) => activities.proveSecrets(input)),
    changeLedger: fenced((input) => activities.changeLedger(input)),
  };
}

async function readHolder(client: Client, cluster: string): Promise<{ operationId: string | null }> {
  const workflowId = clusterLockId(cluster);
  try {
    const lock = await client.workflow.getHandle(workflowId).describe();
    if (lock.status.name !== 'RUNNING') return { operationId: null };
    const memo = holderMemo.safeParse(lock.memo);
    if (memo.success) return { operationId: memo.data[HOLDER_MEMO] };
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
