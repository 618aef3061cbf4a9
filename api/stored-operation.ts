/**
 * Makes an operation from Temporal's description of its workflow.
 *
 * The workflow writes its view into the memo. It cannot write three things: the progress of a running activity (that is in the
 * activity's heartbeat), why Temporal retries an activity, and that the workflow was ended from outside.
 */
import { defaultPayloadConverter, type Payload } from '@temporalio/common';
import type { WorkflowExecutionDescription } from '@temporalio/client';
import { tsToMs } from '@temporalio/common/lib/time';
import { z } from 'zod';
import type { WaitProgress, PassProgress } from '../activities/contract';
import { isFinal, type Operation, OperationStatus, stepsAtEnd, type StepProgress } from '../domain/operation';
import { MemoKey, operationInMemo } from '../domain/operation-memo';
import type { StoredOperation } from './operations-gateway';
import { ApiError } from './problem';

/** The parts of a workflow's description that Keyturn reads. */
export type DescribedWorkflow = Pick<
  WorkflowExecutionDescription,
  'workflowId' | 'status' | 'memo' | 'closeTime' | 'raw'
>;

type PendingActivity = NonNullable<DescribedWorkflow['raw']['pendingActivities']>[number];
/** `PENDING_ACTIVITY_STATE_STARTED` of Temporal's API: a worker runs it. In the other states the activity waits for a worker, or for the next try. */
const ACTIVITY_STARTED = 2;
/** Most faults show again within this time. */
const RUNS_WELL_AFTER_MS = 15_000;

const Heartbeat: z.ZodType<PassProgress> = z.object({
  done: z.int(),
  total: z.int(),
  perSecond: z.number(),
  etaInSeconds: z.number().optional(),
});
const Wait: z.ZodType<WaitProgress> = z.object({ waitsFor: z.string() });
/** While the plan is made no step runs: the counts are those of the census. */
const CENSUS = 'census';

/** Sentences for Temporal's statuses of a workflow that was ended from outside. `COMPLETED` without a final view is one, too. */
const ENDS: Partial<Record<WorkflowExecutionDescription['status']['name'], string>> = {
  TERMINATED: 'was terminated in Temporal',
  TIMED_OUT: 'ran into a time limit of Temporal',
  CANCELLED: 'was canceled in Temporal',
  FAILED: 'failed in Temporal',
  COMPLETED: 'was completed in Temporal',
};

/**
 * The operation that a workflow is.
 * @throws ApiError `InternalError` when its memo is not one of an operation
 */
export function storedOperation(description: DescribedWorkflow): StoredOperation {
  const { operation, fingerprint } = recordIn(description);
  const how = ENDS[description.status.name];
  const view =
    how !== undefined && !isFinal(operation.status)
      ? endedFromOutside(operation, how, description.closeTime)
      : {
          ...operation,
          progress: liveProgress(operation, description) ?? operation.progress,
          waitingFor: faultOutside(description) ?? liveWait(operation, description) ?? operation.waitingFor,
        };
  return { operation: view, fingerprint };
}

function recordIn({ memo, workflowId }: DescribedWorkflow): StoredOperation {
  try {
    return { operation: operationInMemo(memo), fingerprint: z.string().parse(memo?.[MemoKey.Fingerprint]) };
  } catch (error) {
    throw new ApiError(
      {
        code: 'InternalError',
        detail: `The record of operation ${workflowId} in Temporal cannot be read: another version of Keyturn may have written it.`,
      },
      { cause: error },
    );
  }
}

/** An operation whose workflow was ended from outside. The workflow cannot update its view, which would look as if it still ran. */
function endedFromOutside(operation: Operation, how: string, closeTime: Date | undefined): Operation {
  const running = operation.steps.find(({ status }) => status === 'running' || status === 'blocked');
  const where = running === undefined ? '' : `, in the step "${running.title}"`;
  const reason = {
    code: 'InternalError',
    detail: `The workflow of this operation ${how} while it was ${operation.status}${where}, and could not clean up. The cluster is as that step left it. Keep every key listed under keysNeeded, inspect the cluster, then ask for a new operation, which starts from what it finds.`,
  };
  return {
    ...operation,
    status: OperationStatus.Failed,
    reason,
    faults: [reason, ...operation.faults],
    endedAt: closeTime?.toISOString() ?? null,
    approvalDeadline: null,
    progress: null,
    waitingFor: null,
    offers: [],
    blockedSecrets: null,
    steps: stepsAtEnd(operation.steps),
  };
}

/** The visible wait for an outside fault to end: what Temporal retries, and why. */
function faultOutside({ raw }: DescribedWorkflow): string | undefined {
  const failing = raw.pendingActivities?.find(
    (activity) => (activity.attempt ?? 1) > 1 && activity.lastFailure && !runsWell(activity),
  );
  const message = failing?.lastFailure?.message;
  if (!failing || !message) return undefined;
  // Temporal's own text about a lost worker is not a sentence for people.
  const said = failing.lastFailure?.timeoutFailureInfo
    ? 'the worker that ran this step was lost; another one takes over.'
    : message;
  return `a fault outside to end; try ${failing.attempt} is under way: ${said}`;
}

/** Temporal keeps the last failure while the next try runs. A try that has sent heartbeats for a while has overcome the failure. */
function runsWell({ lastStartedTime, lastHeartbeatTime, state }: PendingActivity): boolean {
  if (Number(state) !== ACTIVITY_STARTED || !lastStartedTime || !lastHeartbeatTime) return false;
  return tsToMs(lastHeartbeatTime) - tsToMs(lastStartedTime) >= RUNS_WELL_AFTER_MS;
}

function liveProgress(operation: Operation, { raw }: DescribedWorkflow): StepProgress | undefined {
  const running = operation.steps.find(({ status }) => status === 'running');
  // Between two steps there are no counts.
  const step = running?.id ?? (operation.status === OperationStatus.Planning ? CENSUS : undefined);
  const heartbeat = step === undefined ? undefined : heartbeatOf(Heartbeat, raw);
  return step === undefined || heartbeat === undefined ? undefined : { step, ...heartbeat };
}

function liveWait(operation: Operation, { raw }: DescribedWorkflow): string | undefined {
  return operation.status === OperationStatus.Running ? heartbeatOf(Wait, raw)?.waitsFor : undefined;
}

function heartbeatOf<T>(schema: z.ZodType<T>, { pendingActivities }: DescribedWorkflow['raw']): T | undefined {
  for (const { heartbeatDetails } of pendingActivities ?? []) {
    const heartbeat = schema.safeParse(decoded(heartbeatDetails?.payloads?.[0]));
    if (heartbeat.success) return heartbeat.data;
  }
  return undefined;
}

/** Other activities heartbeat other things, or nothing; a heartbeat that cannot be decoded is not progress. */
function decoded(payload: Payload | null | undefined): unknown {
  if (!payload) return undefined;
  try {
    return defaultPayloadConverter.fromPayload(payload);
  } catch {
    return undefined;
  }
}
