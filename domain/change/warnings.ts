/** What a plan says of the window of its change. */
import type { Warning } from '../plan/plan';
import type { PlanStep } from '../plan/steps';
import { secondsAfter, secondsBetween } from '../times';
import type { Change } from './change';
import { shortestSeconds, usualSeconds } from './held-steps';

/** What an approver should know of the window. @param secrets by the census, where one was taken */
export function windowWarnings(
  { number, window }: Pick<Change, 'number' | 'window'>,
  steps: readonly PlanStep[],
  { now, secrets }: { readonly now: string; readonly secrets: number | undefined },
): Warning[] {
  if (window === undefined) return [];
  const said: Warning = {
    code: 'ChangeWindow',
    detail: `The window of ${number} is from ${window.start} to ${window.end}. Steps that change something begin only in it; otherwise the operation waits, with the keys as they are then. What has begun is finished, and a change of the key is proven, also after its end.`,
  };
  const length = secondsBetween(window.start, window.end);
  const shortest = shortestSeconds(steps, secrets);
  if (length < shortest) {
    const detail = `The window lasts ${length} s, and the plan takes at least ${shortest} s: it cannot end in it. The operation will wait half-way, and then both keys stay needed. Ask for a longer window, or for less.`;
    // It may rest on a count of Secrets, which is of one moment.
    return [said, { code: 'ChangeWindowTooShort', detail, volatile: true }];
  }
  const from = now > window.start ? now : window.start;
  const end = secondsAfter(from, usualSeconds(steps, secrets));
  if (end <= window.end) return [said];
  const detail = `Begun at ${from}, the plan would usually end about ${end}, after the window. The operation may have to wait half-way, and then both keys stay needed.`;
  return [said, { code: 'ChangeWindowMayEnd', detail, volatile: true }];
}
