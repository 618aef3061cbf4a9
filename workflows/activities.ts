/** The activities as workflows call them: time limits and retries in one place. */
import {
  ActivityCancellationType,
  proxyActivities,
  proxyLocalActivities,
  type ActivityOptions,
} from '@temporalio/workflow';
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

/** What a worker knows without asking anybody: run in the process of the workflow, with little history. */
export function local(): Activities {
  return proxyLocalActivities<Activities>({ startToCloseTimeout: '10 seconds', retry: RETRY });
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

/** `lasting` activities whose cancellation takes effect when they have stopped: what is removed after that is not made again. */
export function stopping(summary: string): Activities {
  return proxyActivities<Activities>({
    startToCloseTimeout: '12 hours',
    heartbeatTimeout: HEARTBEAT_TIMEOUT,
    retry: RETRY,
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    summary: cut(summary),
  });
}

/** Temporal documents 200 bytes for a summary. */
function cut(summary: string): string {
  return summary.length <= 200 ? summary : `${summary.slice(0, 197)}...`;
}
