/**
 * One way in for everything that is said to a running operation.
 *
 * Anybody who may write to the Temporal namespace may send any JSON, or none. An error that is no `ApplicationFailure` would
 * fail the workflow task for ever, with the cluster's lock held. So each argument is parsed first: an update that does not
 * fit is rejected with a code, a signal is noted in the log and ignored.
 *
 * Temporal takes 2,000 updates in by one workflow, and refuses all others after them. The budget here ends long before, and
 * leaves room for `cancel`.
 */
import type { UpdateDefinition } from '@temporalio/common';
import { ApplicationFailure, log, setHandler, type SignalDefinition } from '@temporalio/workflow';
import type { z } from 'zod';
import type { Fault } from '../domain/errors';

/** Messages that one operation takes in, beside cancellations. */
export const MOST_MESSAGES = 200;
/** Cancellations that one operation takes in: the first counts, the others change nothing. */
export const MOST_CANCELLATIONS = 200;

/** How a message is judged and taken in. */
export interface MessageHandler<T> {
  /** @throws ApplicationFailure when it does not count; asked again by `take`, since the state may have changed */
  check?(message: T): void;
  take(message: T): void;
}

/** Counts the updates that were taken in. */
export class UpdateBudget {
  #taken = 0;

  constructor(private readonly most: number) {}

  /** @throws ApplicationFailure `TooManyMessages` */
  check(): void {
    if (this.#taken < this.most) return;
    throw failure({
      code: 'TooManyMessages',
      detail: `The operation has taken in ${this.most} messages of this kind and takes no more. Nothing was changed by this one. Cancel the operation, and ask again with a new Idempotency-Key.`,
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
    (message) => {
      budget.spend();
      handler.take(parsed(schema, message, definition.name));
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

/** Takes a signal. It has nobody to answer to: one that does not count is noted in the log and changes nothing. */
export function handleSignal<T>(
  definition: SignalDefinition<[T]>,
  schema: z.ZodType<T>,
  handler: Pick<MessageHandler<T>, 'take'>,
): void {
  setHandler(definition, (message) => {
    try {
      handler.take(parsed(schema, message, definition.name));
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

/** The failure that tells a fault. */
export function failure({ code, detail }: Fault): ApplicationFailure {
  return ApplicationFailure.nonRetryable(detail, code);
}

function parsed<T>(schema: z.ZodType<T>, message: unknown, name: string): T {
  const result = schema.safeParse(message);
  if (result.success) return result.data;
  // Where it is wrong, not what was sent: that may be anything, of any length.
  const [first] = result.error.issues;
  const member = first?.path[0];
  const where = typeof member === 'string' && /^[a-zA-Z]{1,20}$/.test(member) ? `its member "${member}"` : 'it';
  throw failure({
    code: 'InvalidRequest',
    detail: `The message "${name}" does not have its form: ${where} is missing or not as it must be. Nothing was changed.`,
  });
}
