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
import { endedFromOutside } from '../domain/ended-outside';
import { type Operation, OperationStatus, type StepProgress } from '../domain/operation';
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

/**
 * The operation that a workflow is.
 * @throws ApiError `InternalError` when its memo is not one of an operation
 */
export function storedOperation(description: DescribedWorkflow): StoredOperation {
  const { operation, fingerprint } = recordIn(description);
  const view = endedFromOutside(operation, description.status.name, description.closeTime?.toISOString()) ?? {
    ...operation,
    progress: liveProgress(operation, description) ?? operation.progress,
    waitingFor: faultOutside(description) ?? liveWait(operation, description) ?? operation.waitingFor,
  };
  return { operation: view, fingerprint, closed: description.status.name !== 'RUNNING' };
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
