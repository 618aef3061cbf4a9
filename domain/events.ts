/**
 * The events of an operation: its milestones as clients get them, by server-sent events and by webhooks alike.
 *
 * The list of an operation only grows, and an event never changes: its id is the operation's and its place in the list. An event
 * is small and has no secret, no name of a Secret and no text of others. What it says is the occasion to read the operation.
 */
import { z } from 'zod';
import { Milestone, MilestoneType } from './milestone';
import { endOf } from './milestones';
import { isFinal, type Operation } from './operation';

const ofMilestone = MilestoneType.options.map((type) => `operation.${type}` as const);
/** The types of events. */
export const EventType = z.enum(['operation.requested', ...ofMilestone]);
/** The type of an event. */
export type EventType = z.infer<typeof EventType>;

/** An event, in the form that Standard Webhooks recommends. */
export const OperationEvent = z
  .object({
    type: EventType,
    timestamp: z.string().meta({ description: 'When it happened, ISO 8601 in UTC.' }),
    data: z.object({
      operation: z.string().meta({ description: 'The id of the operation.' }),
      sequence: z.int().meta({ description: 'The place in the list of its events, from 1, without gaps.' }),
      kind: z.string(),
      cluster: z.string().meta({ description: 'ARM resource id.' }),
      change: z.string().meta({ description: 'The number of the change record.' }),
      ...Milestone.omit({ type: true, at: true }).shape,
      links: z.object({ self: z.string().meta({ description: 'The operation. Read it for all the rest.' }) }),
    }),
  })
  .meta({ id: 'OperationEvent', description: 'Something that happened to an operation. It never changes.' });
/** An event. */
export type OperationEvent = z.infer<typeof OperationEvent>;

/**
 * All events so far. Of a later view of the same operation, the list begins with this one.
 * @param publicUrl what clients reach the API by, without a slash at the end; `links.self` is a path without it
 */
export function eventsOf(operation: Operation, publicUrl = ''): OperationEvent[] {
  const { id, kind, request, requestedAt } = operation;
  const { milestones = [] } = operation;
  // A workflow that was ended from outside could not write its end.
  const ended = isFinal(operation.status) && !milestones.some(({ type }) => isEnd(type));
  const all = ended ? [...milestones, endOf(operation, operation.endedAt ?? requestedAt)] : milestones;
  const event = (type: EventType, at: string, rest: Partial<Milestone>, sequence: number): OperationEvent => ({
    type,
    timestamp: at,
    data: {
      operation: id,
      sequence,
      kind,
      cluster: request.cluster,
      change: request.change.number,
      ...rest,
      links: { self: `${publicUrl}/v1/operations/${id}` },
    },
  });
  return [
    event('operation.requested', requestedAt, {}, 1),
    ...all.map(({ type, at, ...rest }, index) => event(`operation.${type}`, at, rest, index + 2)),
  ];
}

/** The id of an event: the same in every delivery. */
export function eventId({ data }: Pick<OperationEvent, 'data'>): string {
  return `${data.operation}.${data.sequence}`;
}

/** The id of an event: that of its operation, and its place in the list. */
export const EVENT_ID = /^(op-[0-9a-f]{26})\.([1-9][0-9]{0,5})$/;

/** The place of an event in the list of an operation, by its id; undefined when it is no event of that operation. */
export function sequenceOf(eventIdText: string, operationId: string): number | undefined {
  const [, id, sequence] = EVENT_ID.exec(eventIdText) ?? [];
  return id === operationId ? Number(sequence) : undefined;
}

/** Whether no event can follow: the evidence is sealed. */
export function isLast({ type }: Pick<OperationEvent, 'type'>): boolean {
  return type === 'operation.evidence_sealed';
}

function isEnd(type: MilestoneType): boolean {
  return type === 'succeeded' || type === 'failed' || type === 'canceled';
}
