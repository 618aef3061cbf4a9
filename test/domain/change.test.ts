/** The change record of a request, its window, and which steps wait for it. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Change, StoredChange } from '../../domain/change/change';
import { shortestSeconds, usualSeconds, waitsForChange } from '../../domain/change/held-steps';
import { windowWarnings } from '../../domain/change/warnings';
import { verdictOf, windowFaults, windowThatCounts, type ChangeAnswer } from '../../domain/change/window';
import { KINDS } from '../../domain/kinds';
import { turnOnVnetIntegration } from '../../domain/plan/vnet-integration';
import { writesTo, type PlanStep } from '../../domain/plan/steps';
import { secondsAfter, secondsBetween } from '../../domain/times';
import { planned } from './fixtures';

const START = '2026-11-22T22:00:00.000Z';
const END = '2026-11-23T02:00:00.000Z';
const window = { start: START, end: END };
const change = { number: 'CHG1', window };
const NOT_ASKED: ChangeAnswer = { state: 'not-asked' };

const at = (now: string, answer: ChangeAnswer = NOT_ASKED, waitingSince = now): ReturnType<typeof verdictOf> =>
  verdictOf(change, answer, { now, waitingSince, askEvery: 60 });
const times = fc.integer({ min: -200_000, max: 200_000 }).map((seconds) => secondsAfter(START, seconds));
const windows = fc
  .tuple(times, fc.integer({ min: 1, max: 100_000 }))
  .map(([start, seconds]) => ({ start, end: secondsAfter(start, seconds) }));
const reported = fc.option(windows, { nil: undefined }).map((one) => (one === undefined ? {} : { window: one }));
const answers: fc.Arbitrary<ChangeAnswer> = fc.oneof(
  fc.constant(NOT_ASKED),
  reported.map((more) => ({ state: 'allowed' as const, ...more })),
  reported.map((more) => ({ state: 'refused' as const, says: 'not now.', ...more })),
  fc.constant({ state: 'unknown' as const, says: 'no.' }),
  fc.constant({ state: 'away' as const, says: 'no.' }),
);

describe('the change of a request', () => {
  it('has a system, a link and a window, whose times are kept in UTC', () => {
    const given = {
      number: ' CHG0030192 ',
      reason: 'Jährliche Rotation',
      system: 'ServiceNow',
      url: 'https://example.service-now.com/change_request.do?sys_id=9d385017c611228701d22104cc95c371',
      window: { start: '2026-11-22T23:00:00+01:00', end: '2026-11-23T02:00:00Z' },
    };
    const parsed = Change.parse(given);
    expect(parsed).toEqual({ ...given, number: 'CHG0030192', window });
    expect(StoredChange.parse(parsed)).toEqual(parsed);
  });

  it.each([
    ['a window that ends before it starts', { window: { start: END, end: START } }],
    ['a window of no length', { window: { start: START, end: START } }],
    ['a time without a zone', { window: { start: '2026-11-22T22:00:00', end: END } }],
    ['a window without an end', { window: { start: START } }],
    ['an http link', { url: 'http://example.com/1' }],
    ['a link with a user', { url: 'https://user:secret@example.com/1' }],
    ['a link that ends a line of Markdown', { url: 'https://example.com/`x' }],
    ['a link that is none', { url: 'javascript:alert(1)' }],
    ['an escape sequence', { number: 'CHG1\u001b[2J' }],
    ['a NUL', { reason: 'a\u0000b' }],
    ['a line break', { reason: 'a\nb' }],
    ['a mark of the writing direction', { reason: 'a\u202egnp.exe' }],
    ['an isolate', { system: 'a\u2066b' }],
    ['half of a surrogate pair', { reason: 'a\ud83d' }],
    ['too long a system', { system: 's'.repeat(65) }],
    ['too long a link', { url: `https://example.com/${'a'.repeat(300)}` }],
    ['a member that does not exist', { windows: window }],
  ])('is refused with %s', (_what, wrong) => {
    expect(Change.safeParse({ number: 'CHG1', ...wrong }).success).toBe(false);
  });

  it('may have any other character, also outside of the first plane', () => {
    expect(Change.parse({ number: 'CHG1', reason: '轮换 🔑 é' }).reason).toBe('轮换 🔑 é');
  });

  it('is refused when its window lies in the past', () => {
    expect(windowFaults(change, END)).toMatchObject([{ code: 'ChangeWindowEnded', pointer: '/change/window/end' }]);
    expect(windowFaults(change, secondsAfter(END, -1))).toEqual([]);
    expect(windowFaults({ number: 'CHG1' }, END)).toEqual([]);
  });
});

describe('a step', () => {
  it('begins in the window, from its start to before its end', () => {
    expect(at(START)).toEqual({ go: true });
    expect(at(secondsAfter(END, -1))).toEqual({ go: true });
    expect(at(secondsAfter(START, -90))).toMatchObject({ go: false, over: false, seconds: 90 });
    expect(at(END)).toMatchObject({ go: false, over: true });
  });

  it('begins only where the window that counts and the change system both allow it', () => {
    fc.assert(
      fc.property(fc.option(windows, { nil: undefined }), answers, times, (asked, answer, now) => {
        const given = { number: 'CHG1', ...(asked === undefined ? {} : { window: asked }) };
        const verdict = verdictOf(given, answer, { now, waitingSince: now, askEvery: 60 });
        const counts = windowThatCounts(asked, answer);
        const open = counts === undefined || (counts.start <= now && now < counts.end);
        expect(verdict.go).toBe(open && (answer.state === 'allowed' || answer.state === 'not-asked'));
        // The approver read that the plan does not begin before.
        if (verdict.go && asked !== undefined) expect(now >= asked.start).toBe(true);
        // Only without a change system is an ended window the end: otherwise it may be moved.
        if (!verdict.go && verdict.over) expect(answer.state).toBe('not-asked');
        if (!verdict.go && !verdict.over) expect(verdict.seconds).toBeGreaterThanOrEqual(1);
      }),
    );
  });

  it('that waits is looked at no later than when its window opens', () => {
    fc.assert(
      fc.property(windows, answers, times, (asked, answer, now) => {
        const verdict = verdictOf({ number: 'CHG1', window: asked }, answer, { now, waitingSince: now, askEvery: 60 });
        const counts = windowThatCounts(asked, answer) ?? asked;
        if (verdict.go || verdict.over || answer.state === 'away' || answer.state === 'unknown') return;
        if (now < counts.start && now < counts.end)
          expect(verdict.seconds).toBeLessThanOrEqual(Math.max(1, secondsBetween(now, counts.start)));
      }),
    );
  });

  it('goes on in a window that the change system has moved, and not before the window of the request', () => {
    const later = { start: secondsAfter(END, 3_600), end: secondsAfter(END, 7_200) };
    expect(at(secondsAfter(END, 60), { state: 'allowed', window: later })).toMatchObject({ go: false, over: false });
    expect(at(later.start, { state: 'allowed', window: later })).toEqual({ go: true });
    const earlier = { start: secondsAfter(START, -3_600), end: END };
    expect(at(secondsAfter(START, -60), { state: 'allowed', window: earlier })).toMatchObject({ seconds: 60 });
  });

  it('asks less often the longer it waits: every minute at first, every five minutes in the end', () => {
    const refused: ChangeAnswer = { state: 'refused', says: 'on hold.' };
    const waited = (seconds: number): unknown => at(secondsAfter(START, seconds), refused, START);
    expect(waited(0)).toMatchObject({ seconds: 60 });
    expect(waited(1_200)).toMatchObject({ seconds: 120 });
    expect(waited(12_000)).toMatchObject({ seconds: 300 });
  });
});

describe('steps that wait for their change', () => {
  const restart = turnOnVnetIntegration({ mode: 'off' }, 'subnet');
  const all = [...KINDS.flatMap(({ name }) => planned(name).steps), ...restart];

  it('are those that write, but for the start after a stop, and what observes, proves and records a switch', () => {
    const free = all
      .filter(({ type }) => writesTo(type) !== 'nothing' && !waitsForChange(type))
      .map(({ type }) => type);
    expect([...new Set(free)].sort()).toEqual(['converge', 'prove', 'record-proof', 'start-cluster']);
    expect(all.filter(({ type }) => waitsForChange(type) && writesTo(type) === 'nothing')).toEqual([]);
  });

  it('do not lie between a stop and the start after it', () => {
    const held = restart.filter(({ type }) => waitsForChange(type)).map(({ type }) => type);
    expect(held).toEqual(['enable-vnet-integration', 'stop-cluster']);
  });
});

describe('what a plan says of the window', () => {
  const { steps } = planned('rotate-key');
  const codes = (warned: readonly PlanStep[], now: string, secrets?: number): string[] =>
    windowWarnings(change, warned, { now, secrets }).map(({ code }) => code);

  it('is when steps begin; and that the usual end lies after it, or the least time does', () => {
    expect(windowWarnings({ number: 'CHG1' }, steps, { now: START, secrets: 1 })).toEqual([]);
    expect(codes(steps, secondsAfter(START, -86_400))).toEqual(['ChangeWindow']);
    expect(codes(steps, secondsAfter(END, -60))).toEqual(['ChangeWindow', 'ChangeWindowMayEnd']);
    const slow = steps.map((step) => (step.type === 'rewrite' ? { ...step, perSecond: 1 } : step));
    expect(codes(slow, START, 100_000)).toEqual(['ChangeWindow', 'ChangeWindowTooShort']);
    expect(usualSeconds(slow, 100_000)).toBeGreaterThan(shortestSeconds(slow, 100_000));
  });
});
