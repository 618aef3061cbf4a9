/**
 * The deliveries of webhooks, as Temporal has them.
 *
 * Does: reads the memo of the workflows that deliver, and tells one to deliver again. Never does: read a secret or an endpoint's URL.
 */
import { WorkflowNotFoundError, type Client, type WorkflowExecutionDescription } from '@temporalio/client';
import { tsToMs } from '@temporalio/common/lib/time';
import { deliveryId, DeliveryRecord } from '../domain/delivery';
import {
  replaySignal,
  WEBHOOK_DELIVERY_WORKFLOW,
  type DeliveryInput,
  type Replay,
} from '../workflows/delivery-messages';
import { temporalFault } from './temporal-faults';

const CALL_TIMEOUT_IN_MS = 5_000;
const MOST_LISTED = 50;

/** A delivery as it stands. */
export interface StoredDelivery extends DeliveryRecord {
  /** While an event is tried again: which try is next or under way, when, and why the last one failed. */
  readonly trying: { readonly attempt: number; readonly nextAt: string | null; readonly problem: string } | null;
}

/** The deliveries of webhooks. */
export interface DeliveriesGateway {
  /** The newest of an endpoint. */
  list(endpoint: string): Promise<readonly StoredDelivery[]>;
  /** That of one operation; undefined when there is none, or none any more. */
  find(endpoint: string, operationId: string): Promise<StoredDelivery | undefined>;
  /** Delivers again what follows a place, also when the delivery has ended. */
  replay(endpoint: string, operationId: string, from: Replay): Promise<void>;
}

/** Makes it. */
export function createDeliveriesGateway(client: Client, taskQueue: string): DeliveriesGateway {
  const call = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await client.withDeadline(Date.now() + CALL_TIMEOUT_IN_MS, work);
    } catch (error) {
      throw temporalFault(error, client.options.namespace) ?? error;
    }
  };
  const read = async (workflowId: string): Promise<StoredDelivery | undefined> => {
    try {
      return stored(await call(() => client.workflow.getHandle(workflowId).describe()));
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return undefined;
      throw error;
    }
  };

  return {
    async list(endpoint) {
      const ids = await call(async () => {
        const found: string[] = [];
        const query = `WorkflowType = '${WEBHOOK_DELIVERY_WORKFLOW}' AND WorkflowId STARTS_WITH '${deliveryId(endpoint, '')}'`;
        for await (const { workflowId } of client.workflow.list({ query, pageSize: MOST_LISTED })) {
          // Of several runs of a workflow the newest is the one that a description shows.
          if (!found.includes(workflowId)) found.push(workflowId);
          if (found.length >= MOST_LISTED) break;
        }
        return found;
      });
      const all = await Promise.all(ids.map(read));
      return all.filter((one) => one !== undefined);
    },

    find: (endpoint, operationId) => read(deliveryId(endpoint, operationId)),

    async replay(endpoint, operationId, from) {
      const input: DeliveryInput = { endpoint, operationId, after: from.after };
      const memo: DeliveryRecord = {
        endpoint,
        operation: operationId,
        state: 'delivering',
        sequence: from.after,
        delivered: [],
        problem: null,
      };
      await call(() =>
        client.workflow.signalWithStart(WEBHOOK_DELIVERY_WORKFLOW, {
          workflowId: deliveryId(endpoint, operationId),
          taskQueue,
          args: [input],
          signal: replaySignal,
          signalArgs: [from],
          memo: { ...memo },
          staticSummary: `Events of ${operationId} to ${endpoint}, again`,
        }),
      );
    },
  };
}

function stored({ memo, raw }: WorkflowExecutionDescription): StoredDelivery {
  // Temporal removes a field that is set to null or to an empty list.
  const record = DeliveryRecord.parse({ delivered: [], problem: null, ...memo });
  const [activity] = raw.pendingActivities ?? [];
  const problem = activity?.lastFailure?.message;
  if (!activity || !problem) return { ...record, trying: null };
  const next = activity.nextAttemptScheduleTime;
  return {
    ...record,
    trying: { attempt: activity.attempt ?? 1, nextAt: next ? new Date(tsToMs(next)).toISOString() : null, problem },
  };
}
