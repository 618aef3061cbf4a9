/**
 * What somebody with write access to Temporal can do without any of Keyturn's code: a workflow of their own, on a task queue of their
 * own, that schedules Keyturn's activities on Keyturn's queue.
 */
import { randomUUID } from 'node:crypto';
import { defaultPayloadConverter } from '@temporalio/common';
import { msToTs } from '@temporalio/common/lib/time';
import type { Client } from '@temporalio/client';
import { temporal } from '@temporalio/proto';

const { CommandType, EventType } = temporal.api.enums.v1;

/** How an activity that a rogue workflow asked for ended: the type of its failure; null when it succeeded. */
export async function rogueActivity(
  client: Client,
  asked: {
    readonly activity: string;
    readonly input: unknown;
    readonly memo: Readonly<Record<string, unknown>>;
    readonly taskQueue: string;
    /** Default: one of its own. */
    readonly workflowId?: string;
  },
): Promise<{ readonly failure: string | null }> {
  const { workflowService } = client;
  const { namespace } = client.options;
  const queue = `rogue-${randomUUID()}`;
  const handle = await client.workflow.start('anything', {
    workflowId: asked.workflowId ?? queue,
    taskQueue: queue,
    memo: { ...asked.memo },
    args: [],
  });
  const poll = { namespace, taskQueue: { name: queue }, identity: 'rogue' };
  const nextTask = async (): Promise<Uint8Array> => {
    for (;;) {
      // A poll without a task ends after a minute, with an empty token.
      const { taskToken } = await client.withDeadline(Date.now() + 70_000, () =>
        workflowService.pollWorkflowTaskQueue(poll),
      );
      if (taskToken.length > 0) return taskToken;
    }
  };
  await workflowService.respondWorkflowTaskCompleted({
    namespace,
    taskToken: await nextTask(),
    identity: 'rogue',
    commands: [
      {
        commandType: CommandType.COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK,
        scheduleActivityTaskCommandAttributes: {
          activityId: '1',
          activityType: { name: asked.activity },
          taskQueue: { name: asked.taskQueue },
          input: { payloads: [defaultPayloadConverter.toPayload<unknown>(asked.input)] },
          scheduleToCloseTimeout: msToTs('2 minutes'),
          startToCloseTimeout: msToTs('2 minutes'),
          retryPolicy: { maximumAttempts: 1 },
        },
      },
    ],
  });
  // The next workflow task comes when the activity has ended.
  await nextTask();
  const { events } = await handle.fetchHistory();
  await handle.terminate('The attack was tried.');
  const ended = events?.find(({ eventType }) =>
    [EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED, EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED].includes(
      eventType as number,
    ),
  );
  if (!ended) throw new Error('The activity neither completed nor failed.');
  const failure = ended.activityTaskFailedEventAttributes?.failure?.applicationFailureInfo?.type;
  return { failure: ended.activityTaskCompletedEventAttributes ? null : (failure ?? 'without a type') };
}
