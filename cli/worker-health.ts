/**
 * `node dist/cli/worker-health.js`: the health check of a worker's container. Exit code 0 only when a worker of this host
 * polls Keyturn's task queue: a worker that lost Temporal, or hangs, does not.
 */
import { Connection } from '@temporalio/client';
import { temporal } from '@temporalio/proto';
import { hostname } from 'node:os';
import { z } from 'zod';
import { stillPolls } from '../api/pollers';
import { readEnvironment, readTogether, text } from '../settings/environment';
import { readTemporalSettings } from '../settings/temporal';
import { runCommand } from './terminal';

const CALL_TIMEOUT_IN_MS = 5_000;

async function main(): Promise<number> {
  const settings = readTogether({
    temporal: () => readTemporalSettings(process.env),
    variables: () => readEnvironment(z.object({ KEYTURN_TASK_QUEUE: text('keyturn') }), process.env),
  });
  const { namespace, connection: to } = settings.temporal;
  const taskQueue = settings.variables.KEYTURN_TASK_QUEUE;
  const connection = await Connection.connect({ ...to, connectTimeout: CALL_TIMEOUT_IN_MS });
  const { pollers } = await connection.withDeadline(Date.now() + CALL_TIMEOUT_IN_MS, () =>
    connection.workflowService.describeTaskQueue({
      namespace,
      taskQueue: { name: taskQueue },
      taskQueueType: temporal.api.enums.v1.TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
    }),
  );
  // The SDK calls a worker `pid@host`.
  const own = (pollers ?? []).filter(({ identity }) => identity?.endsWith(`@${hostname()}`));
  if (own.some((poller) => stillPolls(poller, Date.now()))) return 0;
  console.error(`No worker of ${hostname()} polls the task queue "${taskQueue}" of the namespace "${namespace}".`);
  return 1;
}

runCommand(main);
