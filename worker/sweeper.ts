/** The schedule of the sweeper: made once, by the first worker of a task queue. */
import { ScheduleAlreadyRunning, ScheduleOverlapPolicy, type Client } from '@temporalio/client';
import { SWEEPER_WORKFLOW } from '../workflows/messages';

/** How long an operation that was ended from outside waits for its evidence. */
const SWEEPS_EVERY = '5 minutes';

/** The id of the schedule of a task queue. */
export function sweeperId(taskQueue: string): string {
  return `keyturn-sweeper-${taskQueue}`;
}

/** Makes the schedule, unless it is there. @throws what Temporal answers */
export async function ensureSweeper({ schedule }: Client, taskQueue: string): Promise<void> {
  const scheduleId = sweeperId(taskQueue);
  try {
    await schedule.create({
      scheduleId,
      spec: { intervals: [{ every: SWEEPS_EVERY }] },
      policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: '1 minute' },
      action: {
        type: 'startWorkflow',
        workflowType: SWEEPER_WORKFLOW,
        workflowId: scheduleId,
        taskQueue,
        workflowRunTimeout: '30 minutes',
      },
    });
  } catch (error) {
    if (!(error instanceof ScheduleAlreadyRunning)) throw error;
  }
}
