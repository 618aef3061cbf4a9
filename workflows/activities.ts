/** The activities as workflows call them: time limits and retries in one place. */
import { proxyActivities, type ActivityOptions } from '@temporalio/workflow';
import type { Activities } from '../activities/contract';

/** A fault outside is retried for as long as it lasts: what needs a person is thrown as non-retryable by the activity. */
const RETRY: NonNullable<ActivityOptions['retry']> = {
  initialInterval: '1 second',
  backoffCoefficient: 2,
  maximumInterval: '30 seconds',
};

/** How soon a dead worker is noticed. Activities heartbeat every few seconds at the latest. */
const HEARTBEAT_TIMEOUT = '15 seconds';

/**
 * Activities with a line for the Temporal UI.
 * @param summary what this call does, at most 200 bytes
 */
export function quick(summary: string): Activities {
  return proxyActivities<Activities>({
    startToCloseTimeout: '3 minutes',
    heartbeatTimeout: HEARTBEAT_TIMEOUT,
    retry: RETRY,
    summary: cut(summary),
  });
}

/** Activities that are tried for two minutes and then given up: for what is good to have done and no reason to wait. */
export function bestEffort(summary: string): Activities {
  return proxyActivities<Activities>({
    scheduleToCloseTimeout: '2 minutes',
    heartbeatTimeout: HEARTBEAT_TIMEOUT,
    retry: RETRY,
    summary: cut(summary),
  });
}

/** Activities that may take hours: long-running operations of Azure, convergence, the rewrite of many Secrets. */
export function lasting(summary: string): Activities {
  return proxyActivities<Activities>({
    startToCloseTimeout: '12 hours',
    heartbeatTimeout: HEARTBEAT_TIMEOUT,
    retry: RETRY,
    summary: cut(summary),
  });
}

/** Temporal documents 200 bytes for a summary. */
function cut(summary: string): string {
  return summary.length <= 200 ? summary : `${summary.slice(0, 197)}...`;
}
