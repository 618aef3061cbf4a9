/**
 * Delivers the events of one operation to one endpoint, in order.
 *
 * Does: delivers each event until the receiver has it, for three days; then waits for news of the operation. Its memo is the log.
 * Never does: carry a secret, a URL or an answer: the activity reads the endpoint, and gives back a status.
 * An operation neither waits for it nor hears of it.
 */
import {
  ActivityFailure,
  ApplicationFailure,
  CancellationScope,
  condition,
  isCancellation,
  makeContinueAsNewFunc,
  proxyActivities,
  setHandler,
  upsertMemo,
  workflowInfo,
} from '@temporalio/workflow';
import type { Activities, EventDelivered } from '../activities/contract';
import { MOST_LOGGED, type DeliveryRecord, type DeliveryState } from '../domain/delivery';
import type { ErrorCode } from '../domain/errors';
import { eventsSignal, Replay, replaySignal, type DeliveryInput } from './delivery-messages';

/** An operation that was ended in Temporal tells nobody. */
const LOOKS_EVERY = '1 hour';
/** The activity says when the next try is; this is for a worker that dies. */
const { deliverNextEvent } = proxyActivities<Activities>({
  startToCloseTimeout: '1 minute',
  scheduleToCloseTimeout: '3 days',
  heartbeatTimeout: '15 seconds',
  retry: { initialInterval: '5 seconds', backoffCoefficient: 2, maximumInterval: '1 hour' },
  summary: 'Deliver the next event',
});

/** Runs until the receiver has every event of an operation that has ended. Failed when the receiver is gone, or was down for too long. */
export async function webhookDelivery(input: DeliveryInput): Promise<DeliveryState> {
  const { endpoint, operationId } = input;
  let sequence = input.after;
  let delivered = [...(input.delivered ?? [])];
  let news = true;
  let replayAfter: number | undefined;
  let trying: CancellationScope | undefined;
  setHandler(eventsSignal, () => {
    news = true;
  });
  setHandler(replaySignal, (asked) => {
    const { success, data } = Replay.safeParse(asked);
    if (!success) return;
    // Never forward: what the receiver does not have is not skipped.
    replayAfter = Math.min(replayAfter ?? sequence, data.after);
    // The next try may be an hour away, and a person asked for it now.
    trying?.cancel();
  });
  const show = (state: DeliveryState, problem: string | null = null): void => {
    const record: DeliveryRecord = { endpoint, operation: operationId, state, sequence, delivered, problem };
    upsertMemo({ ...record });
  };

  for (;;) {
    if (workflowInfo().continueAsNewSuggested) {
      const { memo } = workflowInfo();
      const after = replayAfter ?? sequence;
      await makeContinueAsNewFunc<typeof webhookDelivery>({ memo })({ endpoint, operationId, after, delivered });
    }
    news = false;
    if (replayAfter !== undefined) sequence = replayAfter;
    replayAfter = undefined;
    let result: EventDelivered;
    try {
      trying = new CancellationScope();
      result = await trying.run(() => deliverNextEvent({ endpoint, operationId, after: sequence }));
    } catch (error) {
      if (replayAfter !== undefined && isCancellation(error)) continue;
      if (!(error instanceof ActivityFailure) || isCancellation(error)) throw error;
      const [state, problem] = endOf(error);
      show(state, problem);
      throw ApplicationFailure.nonRetryable(problem, state === 'gone' ? GONE : NOT_DELIVERED);
    } finally {
      trying = undefined;
    }
    if (result.kind === 'delivered') {
      ({ sequence } = result);
      delivered = [...delivered, result.delivered].slice(-MOST_LOGGED);
      show('delivering');
    } else {
      ({ sequence } = result);
      if (result.last && replayAfter === undefined) {
        show('done');
        return 'done';
      }
      if (!news && replayAfter === undefined) show('waiting');
      await condition(() => news || replayAfter !== undefined, LOOKS_EVERY);
    }
  }
}

const GONE: ErrorCode = 'WebhookGone';
const NOT_DELIVERED: ErrorCode = 'WebhookNotDelivered';

function endOf({ cause }: ActivityFailure): [DeliveryState, string] {
  if (cause instanceof ApplicationFailure && cause.type === GONE) return ['gone', cause.message];
  return ['given-up', `The receiver took no event for three days. ${cause?.message ?? ''}`.trim()];
}
