/** How an operation waits for another one that executes on the same cluster. */

const SHORTEST_IN_MS = 2_000;
const LONGEST_IN_MS = 5 * 60_000;

/**
 * How long to pause before the next check of the lock: a tenth of the time waited so far. So a waiting operation is late by a
 * tenth at most, and a wait of days needs few checks (a workflow's history is limited).
 */
export function pauseWhileBusy(waitedInMs: number): number {
  return Math.round(Math.min(LONGEST_IN_MS, Math.max(SHORTEST_IN_MS, waitedInMs / 10)));
}
