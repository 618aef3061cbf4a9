/** When the activities of a rotation ran, from its history in Temporal: what an auditor would take the times from. Pure. */
import { z } from 'zod';

/** From an activity's start to its completion, in milliseconds since the epoch. */
export interface ActivitySpan {
  readonly activity: string;
  readonly startedAt: number;
  readonly endedAt: number;
}

/** The activity that stores Secrets anew. */
export const REWRITE = 'rewriteSecrets';
/** The activity that proves. */
export const PROVE = 'proveSecrets';

const Time = z.string().transform((text, context) => {
  const time = Date.parse(text);
  if (Number.isNaN(time)) context.addIssue(`"${text}" is no time.`);
  return time;
});

/** The part of Temporal's JSON form of a history that times are in. */
const History = z.object({
  events: z.array(
    z.object({
      eventId: z.string(),
      eventTime: Time,
      activityTaskScheduledEventAttributes: z
        .object({
          activityType: z.object({ name: z.string() }),
          input: z.object({ payloads: z.array(z.object({ data: z.string() })) }),
        })
        .optional(),
      activityTaskStartedEventAttributes: z.object({ attempt: z.int() }).optional(),
      activityTaskCompletedEventAttributes: z
        .object({ scheduledEventId: z.string(), startedEventId: z.string() })
        .optional(),
    }),
  ),
});

const Input = z.object({ step: z.string() });
/** The step ids of the transition to the new key begin with this (domain/kinds/rotate-key.ts). */
const TRANSITION = 'rotate.';

/** What a history says of the rewrite and the proof of the new key. */
export interface RewriteHistory {
  /** In the order of their completion. The proof of the current key before the rotation is not here. */
  readonly spans: readonly ActivitySpan[];
  /** Events of the whole operation. */
  readonly events: number;
}

/**
 * @param history in Temporal's JSON form, as `historyToJSON` makes it
 * @throws Error when an activity was tried more than once: history has the last try only, and its time would flatter
 */
export function readRewriteHistory(history: unknown): RewriteHistory {
  const { events } = History.parse(history);
  const byId = new Map(events.map((event) => [event.eventId, event]));
  const spans: ActivitySpan[] = [];
  for (const { eventTime, activityTaskCompletedEventAttributes: completed } of events) {
    if (completed === undefined) continue;
    const scheduled = byId.get(completed.scheduledEventId)?.activityTaskScheduledEventAttributes;
    const started = byId.get(completed.startedEventId);
    if (scheduled === undefined || started === undefined) continue;
    const activity = scheduled.activityType.name;
    if (activity !== REWRITE && activity !== PROVE) continue;
    if (!Input.parse(decode(scheduled.input.payloads[0]?.data)).step.startsWith(TRANSITION)) continue;
    const { attempt = 1 } = started.activityTaskStartedEventAttributes ?? {};
    if (attempt > 1) {
      throw new Error(`${activity} needed ${attempt} tries, so its time cannot be told. Look at the worker's log.`);
    }
    spans.push({ activity, startedAt: started.eventTime, endedAt: eventTime });
  }
  for (const activity of [REWRITE, PROVE]) {
    if (!spans.some((span) => span.activity === activity)) {
      throw new Error(`The operation's history has no completed ${activity} of the new key.`);
    }
  }
  return { spans, events: events.length };
}

/** Seconds that the activities took together. */
export function secondsOf(spans: readonly ActivitySpan[]): number {
  return spans.reduce((sum, { startedAt, endedAt }) => sum + (endedAt - startedAt), 0) / 1000;
}

function decode(base64: string | undefined): unknown {
  return base64 === undefined ? undefined : (JSON.parse(Buffer.from(base64, 'base64').toString('utf8')) as unknown);
}
