/**
 * The gateway to Temporal.
 *
 * Needs: a client; its connection may be lazy, so that the API starts and answers 503 while Temporal is away.
 * Does: starts operations, reads their memo, sends them updates; every call has a deadline.
 * Never does: query a workflow (that needs a worker), or decide by a list of workflows (that is not consistent).
 */
import {
  WorkflowExecutionAlreadyStartedError,
  type Client,
  type WorkflowExecutionDescription,
  type WorkflowStartOptions,
} from '@temporalio/client';
import type { CsiInspected, Inspected, LedgerInspected } from '../activities/contract';
import type { KeyUsers } from '../domain/key-users';
import type { WorkerReport } from '../domain/worker-report';
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { assertNever } from '../domain/assert-never';
import { KINDS } from '../domain/kinds';
import { memoOf, MemoKey } from '../domain/operation-memo';
import type { RequestSeal } from '../domain/trust/statements';
import { inMarkdown } from '../domain/markdown';
import { requesterName } from '../domain/people';
import { clusterLockId, parseClusterId, resourceName, shortKeyId } from '../domain/resource-ids';
import {
  accept,
  approve,
  cancel,
  cancelSignal,
  clusterAttribute,
  deny,
  CSI_INSPECTION_WORKFLOW,
  EXAMINATION_WORKFLOW,
  INSPECTION_WORKFLOW,
  KEY_USERS_WORKFLOW,
  LEDGER_INSPECTION_WORKFLOW,
  pause,
  PLAN_ONLY_WORKFLOW,
  resume,
  resumeSignal,
  retry,
  SearchAttributes,
  workflowTypeOf,
} from '../workflows/messages';
import type { Message, NewOperation, OperationsGateway, StoredOperation } from './operations-gateway';
import { missingSearchAttributes } from './missing-attributes';
import { missingPollers } from './pollers';
import { ApiError } from './problem';
import { storedOperation } from './stored-operation';
import { countOpen, listOperations, Reaches } from './temporal-list';
import {
  inspectionFault,
  isNotFound,
  isUpdateLimit,
  planFault,
  temporalFault,
  unknownAttributes,
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

/** A workflow that ends while a client waits. */
interface ShortWorkflow {
  readonly type: string;
  /** The beginning of its id. */
  readonly id: string;
  readonly summary: string;
  /** What a failure of it means. */
  readonly fault: (error: unknown) => ApiError | undefined;
}

/** Makes the gateway. */
export function createTemporalGateway({ client, taskQueue, clock }: TemporalGatewayOptions): OperationsGateway {
  const { namespace } = client.options;
  const reaches = new Reaches();

  /** Runs calls with a deadline, and describes their failures in our own words. */
  const call = async <T>(work: () => Promise<T>, timeoutInMs = CALL_TIMEOUT_IN_MS): Promise<T> => {
    try {
      return await client.withDeadline(Date.now() + timeoutInMs, work);
    } catch (error) {
      throw temporalFault(error, namespace) ?? error;
    }
  };

  /** Has a worker run a short workflow that a client waits for. */
  const ask = async <Input, Result>({ type, id, summary, fault }: ShortWorkflow, input: Input): Promise<Result> => {
    const started: WorkflowStartOptions<(input: Input) => Promise<Result>> = {
      workflowId: `${id}-${randomUUID()}`,
      taskQueue,
      args: [input],
      workflowExecutionTimeout: INSPECTION_TIMEOUT_IN_MS,
      staticSummary: summary,
    };
    // Temporal takes the workflow at once or not at all: while it is away nobody waits as long as for the answer of a worker.
    const handle = await call(() => client.workflow.start<(input: Input) => Promise<Result>>(type, started));
    try {
      // Longer than the workflow may take: Temporal says then that no worker answered.
      const deadline = Date.now() + INSPECTION_TIMEOUT_IN_MS + CALL_TIMEOUT_IN_MS;
      return await client.withDeadline(deadline, () => handle.result());
    } catch (error) {
      throw fault(error) ?? temporalFault(error, namespace) ?? error;
    }
  };

  /** Has a worker look at a cluster. */
  const look = <Result>(type: string, cluster: string): Promise<Result> => {
    const summary = `Look at ${resourceName(cluster)}`;
    return ask({ type, id: 'inspect', summary, fault: inspectionFault }, { cluster });
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
        throw unknownAttributes(error, namespace, 'Nothing was started.') ?? error;
      }
    },

    list: (wanted) => listOperations({ client, call, types: OPERATION_TYPES, clock, reaches }, wanted),

    countOpen: (filters) => countOpen({ client, call, types: OPERATION_TYPES }, filters),

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

    inspect: (cluster) => look<Inspected>(INSPECTION_WORKFLOW, cluster),
    inspectCsi: (cluster) => look<CsiInspected>(CSI_INSPECTION_WORKFLOW, cluster),
    inspectLedger: (cluster) => look<LedgerInspected>(LEDGER_INSPECTION_WORKFLOW, cluster),
    keyUsers: (keyId) =>
      ask<{ keyId: string }, KeyUsers>(
        {
          type: KEY_USERS_WORKFLOW,
          id: 'key-users',
          summary: `Who needs ${shortKeyId(keyId)}`,
          fault: inspectionFault,
        },
        { keyId },
      ),
    examineWorker: () =>
      ask<object, WorkerReport>(
        { type: EXAMINATION_WORKFLOW, id: 'doctor', summary: 'What the worker has and may', fault: inspectionFault },
        {},
      ),
    missingSearchAttributes: () => call(() => missingSearchAttributes(client)),

    plan: (input) => {
      const { kind, cluster } = input.request;
      const summary = `Only the plan: ${kind} of ${resourceName(cluster)}`;
      return ask({ type: PLAN_ONLY_WORKFLOW, id: 'plan', summary, fault: planFault }, input);
    },

    async missing() {
      try {
        return await call(() => missingPollers(client, taskQueue, clock), PROBE_TIMEOUT_IN_MS);
      } catch (error) {
        const detail =
          error instanceof ApiError
            ? error.faults[0].detail
            : 'Temporal does not tell who polls the task queue of this API.';
        return [{ code: 'TemporalUnavailable', detail }];
      }
    },
  };
}

function startOptions({ operation, fingerprint, input }: NewOperation, taskQueue: string): WorkflowStartOptions {
  const { id, kind, status, request, requestedBy, requestedAt } = operation;
  const cluster = parseClusterId(request.cluster);
  const { number, reason } = request.change;
  return {
    workflowId: id,
    taskQueue,
    args: [input],
    workflowIdReusePolicy: 'REJECT_DUPLICATE',
    workflowIdConflictPolicy: 'FAIL',
    memo: { [MemoKey.Fingerprint]: fingerprint, [MemoKey.Seal]: sealOf(input), ...memoOf(operation) },
    typedSearchAttributes: [
      { key: SearchAttributes.kind, value: kind },
      { key: SearchAttributes.status, value: status },
      { key: SearchAttributes.cluster, value: cluster ? clusterAttribute(cluster) : '' },
      { key: SearchAttributes.change, value: request.change.number },
      { key: SearchAttributes.requester, value: requestedBy.objectId.toLowerCase() },
      { key: SearchAttributes.requestedAt, value: new Date(requestedAt) },
    ],
    staticSummary: `${kind} of ${cluster?.name ?? 'a cluster'}, ${inMarkdown(number)}`,
    staticDetails: [
      `Cluster: \`${request.cluster}\``,
      `Asked for by: ${inMarkdown(requesterName(requestedBy))} (${requestedBy.type} ${requestedBy.objectId})`,
      `Change: ${[number, ...(reason === undefined ? [] : [reason])].map(inMarkdown).join('. ')}`,
    ].join('\n\n'),
  };
}

/** What activities verify the request by. */
function sealOf({ policy, approvalTimeoutInMs, signature }: NewOperation['input']): RequestSeal {
  return { policy: { ...policy }, approvalTimeoutInMs, signature };
}

async function tellWorkflow(client: Client, id: string, message: Message): Promise<void> {
  const handle = client.workflow.getHandle(id);
  switch (message.type) {
    case 'approve':
      return await handle.executeUpdate(approve, { args: [message.decision], updateId: message.id });
    case 'deny':
      return await handle.executeUpdate(deny, { args: [message.decision], updateId: message.id });
    case 'cancel': {
      const { cancellation } = message;
      return await orBySignal(handle.executeUpdate(cancel, { args: [cancellation], updateId: message.id }), () =>
        handle.signal(cancelSignal, cancellation),
      );
    }
    case 'retry':
      return await handle.executeUpdate(retry, { args: [{ by: message.by }], updateId: message.id });
    case 'pause': {
      const { by, reason } = message;
      return await handle.executeUpdate(pause, { args: [{ by, reason }], updateId: message.id });
    }
    case 'resume':
      return await orBySignal(handle.executeUpdate(resume, { args: [{ by: message.by }], updateId: message.id }), () =>
        handle.signal(resumeSignal, { by: message.by }),
      );
    case 'accept':
      return await handle.executeUpdate(accept, { args: [message.decision], updateId: message.id });
    default:
      return assertNever(message);
  }
}

/** After a flood of updates an operation accepts no more of them; it can still be canceled and resumed, by a signal. */
async function orBySignal(update: Promise<void>, signal: () => Promise<void>): Promise<void> {
  try {
    await update;
  } catch (error) {
    if (!isUpdateLimit(error)) throw error;
    await signal();
  }
}
