/** Times from a recorded history. */
import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { readRewriteHistory, secondsOf } from '../../bench/history';

const recorded = JSON.parse(readFileSync(path.join(__dirname, '..', 'histories', 'happy.json'), 'utf8')) as {
  history: { events: Record<string, unknown>[] };
};

/** The key ids of all proofs of the recorded operation, in their order: the current key's, then the new one's. */
function provenKeys(): string[] {
  return recorded.history.events.flatMap((event) => {
    const scheduled = event.activityTaskScheduledEventAttributes as
      { activityType: { name: string }; input: { payloads: { data: string }[] } } | undefined;
    if (scheduled?.activityType.name !== 'proveSecrets') return [];
    const input = Buffer.from(scheduled.input.payloads[0]?.data ?? '', 'base64').toString();
    return [(JSON.parse(input) as { target: { keyId: string } }).target.keyId];
  });
}

/** One activity as history has it. */
function activity(name: string, keyId: string, first: number, times: readonly string[], attempt = 1): unknown[] {
  const data = Buffer.from(JSON.stringify({ target: { scheme: 'kms-v2', keyId } })).toString('base64');
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
  it('are those of the turned key alone: the proof of the current key before the turn does not count', () => {
    const [currentKey = '', newKey = ''] = provenKeys();
    expect(newKey).not.toBe(currentKey);
    const { spans, events } = readRewriteHistory(recorded.history, newKey);
    expect(spans.map(({ activity: name }) => name)).toEqual(['rewriteSecrets', 'proveSecrets']);
    expect(events).toBe(recorded.history.events.length);
    // The current key is proven without a rewrite before it, which this reader does not take for a rewrite.
    expect(() => readRewriteHistory(recorded.history, currentKey)).toThrow('no completed rewriteSecrets');
  });

  it('go from start to completion, without the time in the queue, and are added up', () => {
    const events = [
      ...activity('rewriteSecrets', 'k', 1, [at(0), at(5), at(9)]),
      ...activity('proveSecrets', 'k', 4, [at(9), at(20), at(21)]),
    ];
    expect(secondsOf(readRewriteHistory({ events }, 'k').spans)).toBe(5);
  });

  it('are refused when an activity needed a second try, because history has the time of the last one only', () => {
    const events = [
      ...activity('rewriteSecrets', 'k', 1, [at(0), at(5), at(9)], 2),
      ...activity('proveSecrets', 'k', 4, [at(9), at(20), at(21)]),
    ];
    expect(() => readRewriteHistory({ events }, 'k')).toThrow('rewriteSecrets needed 2 tries');
  });

  it('are refused when nothing was proven', () => {
    const events = activity('rewriteSecrets', 'k', 1, [at(0), at(5), at(9)]);
    expect(() => readRewriteHistory({ events }, 'k')).toThrow('no completed proveSecrets');
  });
});
