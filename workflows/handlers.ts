/**
 * The one entry for all messages to a running operation.
 *
 * A client that may write to the Temporal namespace may send any JSON, or none. An error that is not an `ApplicationFailure`
 * would fail the workflow task again and again, with the cluster's lock held. So each argument is parsed first: a malformed
 * update is rejected with a code, a malformed signal is logged and ignored.
 *
 * Whether the API signed a decision is verified by an activity, since workflow code has no keys: the handlers wait for it.
 *
 * Temporal accepts 2,000 updates for one workflow, and refuses all later ones. The budget here ends long before, and leaves
 * room for `cancel`.
 */
import type { UpdateDefinition } from '@temporalio/common';
import {
  ActivityFailure,
  ApplicationFailure,
  CancellationScope,
  log,
  setHandler,
  type SignalDefinition,
} from '@temporalio/workflow';
import type { z } from 'zod';
import type { Fault } from '../domain/errors';
import { faultOf } from './endings';

/** Messages that one operation accepts, in addition to cancellations. */
export const MOST_MESSAGES = 200;
/** Cancellations that one operation accepts: the first counts, the others change nothing. */
export const MOST_CANCELLATIONS = 200;

/** How a message is checked and accepted. */
export interface MessageHandler<T> {
  /** @throws ApplicationFailure when it does not count; `take` checks again, since the state may have changed */
  check?(message: T): void;
  take(message: T): void;
  /** Between the two: whether it is signed. @throws ActivityFailure when it is not */
  verify?(message: T): Promise<void>;
}

/** Counts the updates that were accepted. */
export class UpdateBudget {
  #taken = 0;

  constructor(private readonly most: number) {}

  /** @throws ApplicationFailure `TooManyMessages` */
  check(): void {
    if (this.#taken < this.most) return;
    throw failure({
      code: 'TooManyMessages',
      detail: `The operation has accepted ${this.most} messages of this kind and accepts no more. This message changed nothing. Cancel the operation, and ask again with a new Idempotency-Key.`,
    });
  }

  spend(): void {
    this.#taken += 1;
  }
}

/** Answers an update. Its validator is synchronous: the SDK does not await one, and an asynchronous one never rejects. */
export function handleUpdate<T>(
  definition: UpdateDefinition<void, [T]>,
  schema: z.ZodType<T>,
  budget: UpdateBudget,
  handler: MessageHandler<T>,
): void {
  setHandler(
    definition,
    async (message) => {
      budget.spend();
      const said = parsed(schema, message, definition.name);
      await verified(handler, said);
      handler.take(said);
    },
    {
      validator: (message) => {
        budget.check();
        const said = parsed(schema, message, definition.name);
        handler.check?.(said);
      },
    },
  );
}

/** Handles a signal. A signal has no answer: one that does not count is logged and changes nothing. */
export function handleSignal<T>(
  definition: SignalDefinition<[T]>,
  schema: z.ZodType<T>,
  handler: Pick<MessageHandler<T>, 'take' | 'verify'>,
): void {
  setHandler(definition, async (message) => {
    try {
      const said = parsed(schema, message, definition.name);
      await verified(handler, said);
      handler.take(said);
    } catch (error) {
      if (!(error instanceof ApplicationFailure)) throw error;
      log.warn('A message sent by signal does not count', {
        signal: definition.name,
        code: error.type,
        detail: error.message,
      });
    }
  });
}

/** The failure that reports a fault. */
export function failure({ code, detail }: Fault): ApplicationFailure {
  return ApplicationFailure.nonRetryable(detail, code);
}

/** A workflow that is canceled still hears what people decided. */
async function verified<T>({ verify }: Pick<MessageHandler<T>, 'verify'>, message: T): Promise<void> {
  try {
    await CancellationScope.nonCancellable(async () => verify?.(message));
  } catch (error) {
    if (!(error instanceof ActivityFailure)) throw error;
    const { code, detail } = faultOf(error);
    throw ApplicationFailure.nonRetryable(detail, code);
  }
}

function parsed<T>(schema: z.ZodType<T>, message: unknown, name: string): T {
  const result = schema.safeParse(message);
  if (result.success) return result.data;
  // Names the wrong member, and does not quote what was sent: that may be any text of any length.
  const [first] = result.error.issues;
  const member = first?.path[0];
  const where = typeof member === 'string' && /^[a-zA-Z]{1,20}$/.test(member) ? `its member "${member}"` : 'it';
  throw failure({
    code: 'InvalidRequest',
    detail: `The message "${name}" is malformed: ${where} is missing or invalid. This message changed nothing.`,
  });
}
