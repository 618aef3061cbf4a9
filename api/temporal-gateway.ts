/**
 * The gateway to Temporal.
 *
 * Needs: a client; its connection may be lazy, so that the API starts and answers 503 while Temporal is away.
 * Does: starts operations, reads their memo, sends them updates; every call has a deadline.
 * Never does: query a workflow (that needs a worker) or list workflows (that is not consistent).
 */
import {
  WorkflowExecutionAlreadyStartedError,
  type Client,
  type WorkflowExecutionDescription,
  type WorkflowHandle,
  type WorkflowStartOptions,
} from '@temporalio/client';
import { temporal } from '@temporalio/proto';
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { assertNever } from '../domain/assert-never';
import { KINDS } from '../domain/kinds';
import { memoOf, MemoKey } from '../domain/operation-memo';
import { clusterLockId, parseClusterId, resourceName } from '../domain/resource-ids';
import {
  accept,
  approve,
  cancel,
  cancelSignal,
  deny,
  INSPECTION_WORKFLOW,
  retry,
  SearchAttributes,
  workflowTypeOf,
} from '../workflows/messages';
import type { inspectCluster } from '../workflows/inspect-cluster';
import type { Message, Missing, NewOperation, OperationsGateway, StoredOperation } from './operations-gateway';
import { stillPolls } from './pollers';
import { ApiError } from './problem';
import { storedOperation } from './stored-operation';
import {
  inspectionFault,
  isNotFound,
  isRefusedArgument,
  isUpdateLimit,
  temporalFault,
  updateFault,
} from './temporal-faults';

/** The types of workflows that are operations. */
const OPERATION_TYPES = KINDS.map(({ name }) => workflowTypeOf(name));
const CALL_TIMEOUT_IN_MS = 5_000;
const UPDATE_TIMEOUT_IN_MS = 10_000;
/** A person or a dashboard waits for it. */
const INSPECTION_TIMEOUT_IN_MS = 25_000;
const PROBE_TIMEOUT_IN_MS = 2_000;

/** What the gateway is made from. */
export interface TemporalGatewayOptions {
  readonly client: Client;
  readonly taskQueue: string;
  readonly clock: () => Date;
}

/** Makes the gateway. */
export function createTemporalGateway({ client, taskQueue, clock }: TemporalGatewayOptions): OperationsGateway {
  const { namespace } = client.options;

  /** Runs calls with a deadline, and describes their failures in our own words. */
  const call = async <T>(work: () => Promise<T>, timeoutInMs = CALL_TIMEOUT_IN_MS): Promise<T> => {
    try {
      return await client.withDeadline(Date.now() + timeoutInMs, work);
    } catch (error) {
      throw temporalFault(error, namespace) ?? error;
    }
  };

  const describe = async (workflowId: string): Promise<WorkflowExecutionDescription | undefined> => {
    try {
      return await call(() => client.workflow.getHandle(workflowId).describe());
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  };

  return {
    namespace,

    async find(id): Promise<StoredOperation | undefined> {
      const description = await describe(id);
      if (description === undefined || !OPERATION_TYPES.includes(description.type)) return undefined;
      return storedOperation(description);
    },

    async start(operation) {
      try {
        await call(() =>
          client.workflow.start(workflowTypeOf(operation.operation.kind), startOptions(operation, taskQueue)),
        );
        return 'started';
      } catch (error) {
        if (error instanceof WorkflowExecutionAlreadyStartedError) return 'exists';
        // The worker registers the search attributes of operations when it starts for the first time.
        if (isRefusedArgument(error, /search attribute/i)) {
          throw new ApiError(
            {
              code: 'WorkerUnavailable',
              detail: `The Temporal namespace "${namespace}" does not know the search attributes of operations yet. Nothing was started. Start a worker: it registers them, or logs the command that an administrator of the namespace must run. Then send the request again.`,
            },
            { cause: error },
          );
        }
        throw error;
      }
    },

    async holderOf(cluster) {
      const lock = await describe(clusterLockId(cluster));
      if (lock?.status.name !== 'RUNNING') return undefined;
      const holder = z.object({ [MemoKey.Holder]: z.string() }).safeParse(lock.memo);
      // The holder did not record its name; the lock is held all the same.
      return holder.data?.[MemoKey.Holder] ?? 'unknown';
    },

    async tell(id, message) {
      try {
        await client.withDeadline(Date.now() + UPDATE_TIMEOUT_IN_MS, () => tellWorkflow(client, id, message));
        return 'taken';
      } catch (error) {
        if (isNotFound(error)) return 'ended';
        throw updateFault(error) ?? temporalFault(error, namespace) ?? error;
      }
    },

    async inspect(cluster) {
      const started: WorkflowStartOptions<typeof inspectCluster> = {
        workflowId: `inspect-${randomUUID()}`,
        taskQueue,
        args: [{ cluster }],
        workflowExecutionTimeout: INSPECTION_TIMEOUT_IN_MS,
        staticSummary: `Look at ${resourceName(cluster)}`,
      };
      try {
        // Longer than the workflow may take: Temporal says then that no worker answered.
        const deadline = Date.now() + INSPECTION_TIMEOUT_IN_MS + CALL_TIMEOUT_IN_MS;
        return await client.withDeadline(deadline, () =>
          client.workflow.execute<typeof inspectCluster>(INSPECTION_WORKFLOW, started),
        );
      } catch (error) {
        throw inspectionFault(error) ?? temporalFault(error, namespace) ?? error;
      }
    },

    async missing() {
      try {
        return await call(() => missingPollers(client, taskQueue, clock), PROBE_TIMEOUT_IN_MS);
      } catch (error) {
        const detail =
          error instanceof ApiError
            ? error.faults[0].detail
            : `Temporal does not tell who polls the task queue "${taskQueue}".`;
        return [{ code: 'TemporalUnavailable', detail }];
      }
    },
  };
}

function startOptions({ operation, fingerprint, input }: NewOperation, taskQueue: string): WorkflowStartOptions {
  const { id, kind, status, request, requestedBy } = operation;
  const cluster = parseClusterId(request.cluster);
  const names = cluster ? [cluster.subscriptionId, cluster.resourceGroup, cluster.name] : [];
  return {
    workflowId: id,
    taskQueue,
    args: [input],
    workflowIdReusePolicy: 'REJECT_DUPLICATE',
    workflowIdConflictPolicy: 'FAIL',
    memo: { [MemoKey.Fingerprint]: fingerprint, ...memoOf(operation) },
    typedSearchAttributes: [
      { key: SearchAttributes.kind, value: kind },
      { key: SearchAttributes.status, value: status },
      // Not the resource id: it can be longer than the 255 characters that a Keyword has room for in SQL visibility.
      { key: SearchAttributes.cluster, value: names.join('/').toLowerCase() },
      { key: SearchAttributes.change, value: request.change.number },
    ],
    staticSummary: `${kind} of ${names.at(-1) ?? 'a cluster'}, ${request.change.number}`,
    staticDetails: [
      `Cluster: \`${request.cluster}\``,
      `Asked for by: ${requestedBy.name} (${requestedBy.type} ${requestedBy.objectId})`,
      `Change: ${request.change.number}${request.change.reason === undefined ? '' : `. ${request.change.reason}`}`,
    ].join('\n\n'),
  };
}

async function tellWorkflow(client: Client, id: string, message: Message): Promise<void> {
  const handle = client.workflow.getHandle(id);
  switch (message.type) {
    case 'approve':
      return await handle.executeUpdate(approve, { args: [message.decision], updateId: message.id });
    case 'deny':
      return await handle.executeUpdate(deny, { args: [message.decision], updateId: message.id });
    case 'cancel':
      return await cancelByAnyMeans(handle, message);
    case 'retry':
      return await handle.executeUpdate(retry, { args: [{ by: message.by }], updateId: message.id });
    case 'accept':
      return await handle.executeUpdate(accept, { args: [message.decision], updateId: message.id });
    default:
      return assertNever(message);
  }
}

/** After a flood of updates an operation accepts no more of them; it can still be canceled, by a signal. */
async function cancelByAnyMeans(
  handle: WorkflowHandle,
  { by, comment, id }: Extract<Message, { type: 'cancel' }>,
): Promise<void> {
  const cancellation = { by, comment };
  try {
    await handle.executeUpdate(cancel, { args: [cancellation], updateId: id });
  } catch (error) {
    if (!isUpdateLimit(error)) throw error;
    await handle.signal(cancelSignal, cancellation);
  }
}

/** A worker polls separately for workflow tasks and for activity tasks; one that polls for only one kind cannot run an operation. */
async function missingPollers(client: Client, taskQueue: string, clock: () => Date): Promise<Missing[]> {
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
      detail: `No worker polls the task queue "${taskQueue}" of the Temporal namespace "${namespace}". Operations are kept, and go on when a worker is started.`,
    },
  ];
}
