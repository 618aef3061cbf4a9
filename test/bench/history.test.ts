/** Times from a recorded history. */
import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { readRewriteHistory, secondsOf } from '../../bench/history';

const recorded = JSON.parse(readFileSync(path.join(__dirname, '..', 'histories', 'happy.json'), 'utf8')) as {
  history: { events: Record<string, unknown>[] };
};

/** One activity as history has it. */
function activity(name: string, step: string, first: number, times: readonly string[], attempt = 1): unknown[] {
  const data = Buffer.from(JSON.stringify({ step })).toString('base64');
  const [scheduledEventId, startedEventId, eventId] = [first, first + 1, first + 2].map(String);
  return [
    {
      eventId: scheduledEventId,
      eventTime: times[0],
      activityTaskScheduledEventAttributes: { activityType: { name }, input: { payloads: [{ data }] } },
    },
    { eventId: startedEventId, eventTime: times[1], activityTaskStartedEventAttributes: { attempt } },
    { eventId, eventTime: times[2], activityTaskCompletedEventAttributes: { scheduledEventId, startedEventId } },
  ];
}

const at = (second: number): string => `2026-01-01T00:00:${String(second).padStart(2, '0')}.500Z`;

describe('the times of a rewrite', () => {
  it('are those of the new key alone: the proof of the current key before the rotation does not count', () => {
    const { spans, events } = readRewriteHistory(recorded.history);
    expect(spans.map(({ activity: name }) => name)).toEqual(['rewriteSecrets', 'proveSecrets']);
    expect(events).toBe(recorded.history.events.length);
    const before = { events: activity('proveSecrets', 'current.prove', 1, [at(0), at(5), at(9)]) };
    expect(() => readRewriteHistory(before)).toThrow('no completed rewriteSecrets');
  });

  it('go from start to completion, without the time in the queue, and are added up', () => {
    const events = [
      ...activity('rewriteSecrets', 'rotate.rewrite', 1, [at(0), at(5), at(9)]),
      ...activity('proveSecrets', 'rotate.prove', 4, [at(9), at(20), at(21)]),
    ];
    expect(secondsOf(readRewriteHistory({ events }).spans)).toBe(5);
  });

  it('are refused when an activity needed a second try, because history has the time of the last one only', () => {
    const events = [
      ...activity('rewriteSecrets', 'rotate.rewrite', 1, [at(0), at(5), at(9)], 2),
      ...activity('proveSecrets', 'rotate.prove', 4, [at(9), at(20), at(21)]),
    ];
    expect(() => readRewriteHistory({ events })).toThrow('rewriteSecrets needed 2 tries');
  });

  it('are refused when nothing was proven', () => {
    const events = activity('rewriteSecrets', 'rotate.rewrite', 1, [at(0), at(5), at(9)]);
    expect(() => readRewriteHistory({ events })).toThrow('no completed proveSecrets');
  });
});
