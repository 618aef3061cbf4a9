/** The delivery of the events of one operation to one endpoint: what is shown of it. */
import { z } from 'zod';

/** Entries of the log that are kept: the newest. */
export const MOST_LOGGED = 40;

/** An event that the receiver took. */
export const Delivered = z.object({
  /** The `webhook-id`: the id of the event. */
  id: z.string(),
  type: z.string(),
  at: z.string().meta({ description: 'When the receiver answered, ISO 8601 in UTC.' }),
  /** The HTTP status of the answer. */
  status: z.int(),
  /** Which try it was. */
  attempt: z.int(),
});
/** An event that the receiver took. */
export type Delivered = z.infer<typeof Delivered>;

/** How a delivery stands. */
export const DeliveryState = z.enum(['delivering', 'waiting', 'done', 'gone', 'given-up']);
/** How a delivery stands. */
export type DeliveryState = z.infer<typeof DeliveryState>;

/** What the workflow of a delivery shows in its memo. */
export const DeliveryRecord = z.object({
  endpoint: z.string(),
  operation: z.string(),
  state: DeliveryState.meta({
    description:
      '`delivering`: an event is on its way, or tried again. `waiting`: the receiver has all so far. `done`: all, and the operation has ended. `gone`: the receiver answered 410, or the endpoint is not configured any more. `given-up`: three days without success.',
  }),
  /** The place of the last event that the receiver took, or did not ask for; 0 before the first. */
  sequence: z.int(),
  delivered: z.array(Delivered),
  /** Why it ended early: one sentence; null otherwise. */
  problem: z.string().nullable(),
});
/** What the workflow of a delivery shows in its memo. */
export type DeliveryRecord = z.infer<typeof DeliveryRecord>;

/** The id of the workflow. */
export function deliveryId(endpoint: string, operationId: string): string {
  return `webhook:${endpoint}:${operationId}`;
}
