/** How deliveries of webhooks are started and told. Imported by the API, the activities and the workflow alike. */
import { defineSignal } from '@temporalio/workflow';
import { z } from 'zod';
import type { Delivered } from '../domain/delivery';

/** Type name of the workflow that delivers the events of one operation to one endpoint. */
export const WEBHOOK_DELIVERY_WORKFLOW = 'webhookDelivery';

/** What it is started with. */
export interface DeliveryInput {
  readonly endpoint: string;
  readonly operationId: string;
  /** The place of the event to go on after; 0 for all. */
  readonly after: number;
  /** What an earlier run delivered. */
  readonly delivered?: readonly Delivered[];
}

/** Where a replay begins. */
export const Replay = z.object({ after: z.int().min(0) });
/** Where a replay begins. */
export type Replay = z.infer<typeof Replay>;

/** There may be new events. */
export const eventsSignal = defineSignal('events');
/** Deliver again what follows a place, now. */
export const replaySignal = defineSignal<[Replay]>('replay');
