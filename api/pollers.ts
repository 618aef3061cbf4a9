/** Whether a worker still polls a task queue. */
import type { temporal } from '@temporalio/proto';

/** Temporal answers a worker's poll, or the worker renews it, within a minute; an older one belongs to a worker that is gone. */
const POLLER_IS_GONE_AFTER_IN_MS = 90_000;

/** @param nowInMs since the epoch */
export function stillPolls(
  { lastAccessTime }: Pick<temporal.api.taskqueue.v1.IPollerInfo, 'lastAccessTime'>,
  nowInMs: number,
): boolean {
  return nowInMs - Number(lastAccessTime?.seconds ?? 0) * 1000 < POLLER_IS_GONE_AFTER_IN_MS;
}
