/**
 * Whether a step may begin now: by the window of the change, and by what the change system says. Pure: the time is given.
 *
 * The window of the request counts. Where the change system reports a window, its end counts instead, since only the change
 * system may extend a window; of both starts the later one counts, since the approver read that the plan does not begin before.
 */
import type { Fault } from '../errors';
import { secondsBetween } from '../times';
import type { Change, ChangeWindow } from './change';

/** What the change system says of a change. */
export type ChangeAnswer =
  /** There is no change system. */
  | { readonly state: 'not-asked' }
  | { readonly state: 'allowed'; readonly window?: ChangeWindow }
  /** `says` completes "the change system says: …", with its full stop. */
  | { readonly state: 'refused'; readonly says: string; readonly window?: ChangeWindow }
  | { readonly state: 'unknown'; readonly says: string }
  /** It does not answer, or not with an answer that can be used. */
  | { readonly state: 'away'; readonly says: string };

/** Whether a step may begin. */
export type Verdict =
  | { readonly go: true }
  /** `waitsFor` completes "Waiting for …". `seconds` until the change is looked at again. */
  | { readonly go: false; readonly waitsFor: string; readonly seconds: number; readonly over: false }
  /** The window has ended, and nothing that Keyturn can ask opens another one. */
  | { readonly go: false; readonly waitsFor: string; readonly over: true };

/** Where a change system may move a window, it is asked at least so often. */
const LOOK_AT_LEAST_EVERY = 900;
/** No pause between two questions is longer. */
const LONGEST_PAUSE = 300;

/** The window that counts; undefined when there is none. */
export function windowThatCounts(asked: ChangeWindow | undefined, answer: ChangeAnswer): ChangeWindow | undefined {
  const reported = 'window' in answer ? answer.window : undefined;
  if (reported === undefined || asked === undefined) return reported ?? asked;
  return { start: asked.start > reported.start ? asked.start : reported.start, end: reported.end };
}

/**
 * Whether a step may begin.
 * @param askEvery seconds between two questions to the change system, at first; later a tenth of the time waited
 */
export function verdictOf(
  change: Pick<Change, 'number' | 'window'>,
  answer: ChangeAnswer,
  time: { readonly now: string; readonly waitingSince: string; readonly askEvery: number },
): Verdict {
  const { now } = time;
  const { number } = change;
  const window = windowThatCounts(change.window, answer);
  const asks = answer.state !== 'not-asked';
  const pause = pauseOf(secondsBetween(time.waitingSince, now), time.askEvery);
  if (answer.state === 'away' || answer.state === 'unknown') {
    const waitsFor = `the change system to answer for ${number}: ${answer.says} Keyturn asks again by itself.`;
    return { go: false, over: false, waitsFor, seconds: pause };
  }
  if (window !== undefined && now >= window.end) {
    const ended = `The window of ${number} ended at ${window.end}.`;
    if (!asks) return { go: false, over: true, waitsFor: ended };
    const waitsFor = `a new window of ${number} in the change system: ${ended} Keyturn asks again by itself.`;
    return { go: false, over: false, waitsFor, seconds: pause };
  }
  if (window !== undefined && now < window.start) {
    // Never too early: the timer may be a moment ahead of the text of a time.
    const left = Math.max(1, secondsBetween(now, window.start));
    return {
      go: false,
      over: false,
      waitsFor: `the window of ${number}: it opens at ${window.start} and ends at ${window.end}. The operation then goes on by itself.`,
      seconds: asks ? Math.min(left, LOOK_AT_LEAST_EVERY) : left,
    };
  }
  if (answer.state === 'refused') {
    const waitsFor = `the change system to let ${number} be carried out. It says: ${answer.says} Keyturn asks again by itself.`;
    return { go: false, over: false, waitsFor, seconds: pause };
  }
  return { go: true };
}

/** A wait of days needs few questions: a workflow's history is limited. */
function pauseOf(waited: number, askEvery: number): number {
  return Math.max(askEvery, Math.min(LONGEST_PAUSE, Math.round(waited / 10)));
}

/** What is wrong with the window of a request that is made now. */
export function windowFaults({ number, window }: Pick<Change, 'number' | 'window'>, now: string): Fault[] {
  if (window === undefined || now < window.end) return [];
  return [
    {
      code: 'ChangeWindowEnded',
      pointer: '/change/window/end',
      detail: `The window of ${number} ended at ${window.end}, so no step could begin. Nothing was started. Ask with the window that the change has now.`,
    },
  ];
}
