/** Whether a worker still polls a task queue. */
import type { Client } from '@temporalio/client';
import { temporal } from '@temporalio/proto';
import type { Missing } from './operations-gateway';

/** Temporal answers a worker's poll, or the worker renews it, within a minute; an older one belongs to a worker that is gone. */
const POLLER_IS_GONE_AFTER_IN_MS = 90_000;

/** @param nowInMs since the epoch */
export function stillPolls(
  { lastAccessTime }: Pick<temporal.api.taskqueue.v1.IPollerInfo, 'lastAccessTime'>,
  nowInMs: number,
): boolean {
  return nowInMs - Number(lastAccessTime?.seconds ?? 0) * 1000 < POLLER_IS_GONE_AFTER_IN_MS;
}

/** A worker polls separately for workflow tasks and for activity tasks; one that polls for only one kind cannot run an operation. */
export async function missingPollers(client: Client, taskQueue: string, clock: () => Date): Promise<Missing[]> {
  const { namespace } = client.options;
  const { TASK_QUEUE_TYPE_WORKFLOW, TASK_QUEUE_TYPE_ACTIVITY } = temporal.api.enums.v1.TaskQueueType;
  const polls = await Promise.all(
    [TASK_QUEUE_TYPE_WORKFLOW, TASK_QUEUE_TYPE_ACTIVITY].map(async (taskQueueType) => {
      const { pollers } = await client.workflowService.describeTaskQueue({
        namespace,
        taskQueue: { name: taskQueue },
        taskQueueType,
      });
      return (pollers ?? []).some((poller) => stillPolls(poller, clock().getTime()));
    }),
  );
  if (polls.every(Boolean)) return [];
  return [
    {
      code: 'WorkerUnavailable',
      detail: `No worker polls the task queue of this API (KEYTURN_TASK_QUEUE). Operations are kept, and go on when a worker is started.`,
    },
  ];
}
