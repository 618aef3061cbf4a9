/** The sweeper: seals operations that were ended from outside. A schedule starts it every few minutes (worker/sweeper.ts). */
import { proxyActivities } from '@temporalio/workflow';
import type { Activities } from '../activities/contract';

/** Looks once. @returns the ids of the operations that it sealed */
export function sweepOperations(): Promise<{ sealed: string[] }> {
  return proxyActivities<Activities>({
    startToCloseTimeout: '10 minutes',
    heartbeatTimeout: '15 seconds',
    // The schedule comes again.
    retry: { maximumAttempts: 3 },
    summary: 'Seal operations that were ended from outside',
  }).sweepOperations({});
}
