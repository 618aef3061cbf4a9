/**
 * Waiting for a cluster's lock.
 *
 * Needs: a Temporal client. Does: waits until the workflow that is the lock has ended, by Temporal's own long poll.
 * Never does: take or release a lock; only the holder's workflow does that.
 */
import { ApplicationFailure, Context } from '@temporalio/activity';
import { WorkflowFailedError, WorkflowNotFoundError, type Client } from '@temporalio/client';
import { z } from 'zod';
import { clusterLockId } from '../domain/resource-ids';
import { HOLDER_MEMO } from './contract';

/** The activities about a cluster's lock. */
export interface LockActivities {
  /** The operation that executes on a cluster now; null when none does. */
  readClusterHolder(input: { readonly cluster: string }): Promise<{ operationId: string | null }>;
  /** Resolves when nobody holds the lock any more. Whoever waits still has to win it. Heartbeats. */
  awaitClusterFree(input: { readonly cluster: string }): Promise<void>;
}

const HEARTBEAT_INTERVAL_IN_MS = 3_000;
const holderMemo = z.object({ [HOLDER_MEMO]: z.string() });

/** Makes the activities about a cluster's lock. */
export function createLockActivities({ client }: { readonly client: Client }): LockActivities {
  return {
    async readClusterHolder({ cluster }) {
      try {
        const lock = await client.workflow.getHandle(clusterLockId(cluster)).describe();
        if (lock.status.name !== 'RUNNING') return { operationId: null };
        return { operationId: holderMemo.parse(lock.memo)[HOLDER_MEMO] };
      } catch (error) {
        if (error instanceof WorkflowNotFoundError) return { operationId: null };
        throw error;
      }
    },

    async awaitClusterFree({ cluster }) {
      const context = Context.current();
      const beat = setInterval(() => context.heartbeat(), HEARTBEAT_INTERVAL_IN_MS);
      try {
        await Promise.race([client.workflow.getHandle(clusterLockId(cluster)).result(), context.cancelled]);
      } catch (error) {
        // Terminated with its holder, or never there: either way nobody holds it.
        if (error instanceof WorkflowFailedError || error instanceof WorkflowNotFoundError) return;
        throw error instanceof Error ? error : ApplicationFailure.retryable(String(error));
      } finally {
        clearInterval(beat);
      }
    },
  };
}
