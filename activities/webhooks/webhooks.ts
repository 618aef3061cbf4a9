/** The webhooks of a worker: who is told of an operation, and the delivery of one event. */
import { Context } from '@temporalio/activity';
import { isGrpcServiceError, WorkflowNotFoundError, type Client } from '@temporalio/client';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { deliveryId, type DeliveryRecord } from '../../domain/delivery';
import { eventsOf, eventId, isLast, type OperationEvent } from '../../domain/events';
import { isFinal, OperationStatus, type Operation } from '../../domain/operation';
import { operationInMemo } from '../../domain/operation-memo';
import { OwnError } from '../../domain/own-error';
import { hearsOf, wants, type WebhookEndpoint } from '../../domain/webhooks';
import type { EventDelivered } from '../contract';
import { needsPerson, tryAgain } from '../failures';
import { createWebhookSender, type SendResult } from './send';

/** Type name and signal of workflows/webhook-delivery.ts: activities may not import workflows. */
const WORKFLOW = 'webhookDelivery';
const SIGNAL = 'events';
/** Requests of one worker under way at the same time: receivers that hang must not take the places of operations. */
const MOST_AT_ONCE = 20;
const ALREADY_EXISTS = 6;
/** A receiver may ask for more time, but not for all of it. */
const LONGEST_RETRY_AFTER_IN_MS = 24 * 3_600_000;

/** What the worker is configured with. */
export interface WebhookSettings {
  readonly endpoints: readonly WebhookEndpoint[];
  /** What clients reach the API by; links are paths without it. */
  readonly publicUrl?: string;
  readonly privateAddresses: boolean;
  readonly httpToLoopback: boolean;
  /** Between the first two tries; then twice as long each time. */
  readonly firstRetryInMs: number;
  readonly longestRetryInMs: number;
  /** For all of a request. */
  readonly timeoutInMs?: number;
}

/** The webhooks of a worker. */
export interface Webhooks {
  /** Of the operation whose workflow asks. */
  announce(cluster: string): Promise<void>;
  deliverNext(
    input: { readonly endpoint: string; readonly operationId: string; readonly after: number },
    signal: AbortSignal,
  ): Promise<EventDelivered>;
}

/** A worker that tells nobody. */
export const NO_WEBHOOKS: WebhookSettings = {
  endpoints: [],
  privateAddresses: false,
  httpToLoopback: false,
  firstRetryInMs: 5_000,
  longestRetryInMs: 3_600_000,
};

/** Makes them; contacts nothing yet. */
export function createWebhooks(client: Client, settings: WebhookSettings): Webhooks {
  const { endpoints, publicUrl, privateAddresses, httpToLoopback, timeoutInMs } = settings;
  const sender = createWebhookSender({ privateAddresses, loopback: httpToLoopback, timeoutInMs });
  let underWay = 0;

  return {
    async announce(cluster) {
      const operationId = Context.current().info.workflowExecution?.workflowId;
      if (operationId === undefined) throw new Error('Events were announced by no workflow.');
      for (const endpoint of endpoints.filter((one) => hearsOf(one, cluster))) {
        await startOrTell(client, endpoint.id, operationId);
      }
    },

    async deliverNext({ endpoint: id, operationId, after }, signal) {
      const endpoint = endpoints.find((one) => one.id === id);
      if (!endpoint) {
        throw needsPerson('WebhookGone', `The endpoint ${id} is not in KEYTURN_WEBHOOKS_FILE of this worker any more.`);
      }
      const { operation, closed } = await readOperation(client, operationId);
      const events = operation === undefined ? [] : eventsOf(operation, publicUrl);
      const event = events.find((one) => one.data.sequence > after && wants(endpoint, one));
      if (!event) {
        const [latest] = events.slice(-1);
        const last = latest === undefined || isLast(latest) || closed;
        return { kind: 'none', sequence: Math.max(after, latest?.data.sequence ?? 0), last };
      }
      if (underWay >= MOST_AT_ONCE) {
        throw tryAgain('WebhookNotDelivered', 'Other webhooks are under way.', settings.firstRetryInMs);
      }
      underWay += 1;
      try {
        return await deliver(endpoint, event, { attempt: Context.current().info.attempt, signal });
      } finally {
        underWay -= 1;
      }
    },
  };

  async function deliver(
    endpoint: WebhookEndpoint,
    event: OperationEvent,
    { attempt, signal }: { readonly attempt: number; readonly signal: AbortSignal },
  ): Promise<EventDelivered> {
    const pause = Math.min(settings.firstRetryInMs * 2 ** Math.min(attempt - 1, 20), settings.longestRetryInMs);
    const failed = (why: string, retryInMs = pause): never => {
      throw tryAgain('WebhookNotDelivered', `${endpoint.id} did not take ${eventId(event)}: ${why}`, retryInMs);
    };
    let result: SendResult;
    try {
      result = await sender.send(endpoint, event, signal);
    } catch (error) {
      signal.throwIfAborted();
      return failed(whyNot(error));
    }
    const { status, retryAfterInMs } = result;
    if (status === 410) {
      throw needsPerson(
        'WebhookGone',
        `${endpoint.id} answered 410: it wants no more events. ${eventId(event)} was the first.`,
      );
    }
    if (status < 200 || status > 299) {
      const asked = Math.min(retryAfterInMs ?? 0, LONGEST_RETRY_AFTER_IN_MS);
      failed(
        `it answered ${status}${status >= 300 && status < 400 ? '. Redirects are not followed' : ''}.`,
        Math.max(pause, asked),
      );
    }
    const { sequence } = event.data;
    const at = new Date().toISOString();
    return { kind: 'delivered', sequence, delivered: { id: eventId(event), type: event.type, at, status, attempt } };
  }
}

/** A delivery that has ended is left alone: only a person starts it again, by a replay. */
async function startOrTell(client: Client, endpoint: string, operationId: string): Promise<void> {
  const record: DeliveryRecord = {
    endpoint,
    operation: operationId,
    state: 'delivering',
    sequence: 0,
    delivered: [],
    problem: null,
  };
  try {
    await client.workflow.signalWithStart(WORKFLOW, {
      workflowId: deliveryId(endpoint, operationId),
      taskQueue: Context.current().info.taskQueue,
      args: [{ endpoint, operationId, after: 0 }],
      signal: SIGNAL,
      signalArgs: [],
      workflowIdReusePolicy: 'REJECT_DUPLICATE',
      memo: { ...record },
      staticSummary: `Events of ${operationId} to ${endpoint}`,
    });
  } catch (error) {
    if (!isDuplicate(error)) throw error;
  }
}

function isDuplicate(error: unknown): boolean {
  if (error instanceof WorkflowExecutionAlreadyStartedError) return true;
  const grpc = [error, error instanceof Error ? error.cause : undefined].find(isGrpcServiceError);
  return Number(grpc?.code) === ALREADY_EXISTS;
}

/** The operation as its workflow shows it. One that was ended in Temporal could not write its end. */
async function readOperation(client: Client, id: string): Promise<{ operation?: Operation; closed: boolean }> {
  try {
    const { memo, status, closeTime } = await client.workflow.getHandle(id).describe();
    const operation = operationInMemo(memo);
    const closed = status.name !== 'RUNNING';
    if (!closed || isFinal(operation.status)) return { operation, closed };
    const reason = { code: 'InternalError', detail: '' };
    const endedAt = closeTime?.toISOString() ?? null;
    return { operation: { ...operation, status: OperationStatus.Failed, reason, endedAt }, closed };
  } catch (error) {
    // Forgotten by Temporal: nothing more can be told of it.
    if (error instanceof WorkflowNotFoundError) return { closed: true };
    throw error;
  }
}

/** Never the message of a library: it may have what was sent or answered. */
function whyNot(error: unknown): string {
  const known = [error, error instanceof Error ? error.cause : undefined].find((one) => one instanceof OwnError);
  if (known instanceof OwnError) return known.message;
  const { code, name } = error as NodeJS.ErrnoException;
  if (name === 'TimeoutError' || code === 'UND_ERR_HEADERS_TIMEOUT' || code === 'UND_ERR_CONNECT_TIMEOUT')
    return 'it did not answer in time.';
  return `it could not be reached (${/^[A-Z0-9_]{2,40}$/.test(code ?? '') ? code : 'an unexpected error'}).`;
}
