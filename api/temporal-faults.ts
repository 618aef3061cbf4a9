/** Errors of Temporal's client, in our own words. */
import { status } from '@grpc/grpc-js';
import {
  isGrpcServiceError,
  WorkflowFailedError,
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
} from '@temporalio/client';
import { ActivityFailure, ApplicationFailure, NamespaceNotFoundError, TimeoutFailure } from '@temporalio/common';
import { isErrorCode } from '../domain/errors';
import { ApiError } from './problem';

/** Errors that end by themselves: no connection, no answer in time, too many calls. */
const PASSING: ReadonlySet<number> = new Set([
  status.UNAVAILABLE,
  status.DEADLINE_EXCEEDED,
  status.CANCELLED,
  status.RESOURCE_EXHAUSTED,
  status.ABORTED,
]);

const NOT_FOUND: number = status.NOT_FOUND;
const INVALID_ARGUMENT: number = status.INVALID_ARGUMENT;
const REFUSING: ReadonlySet<number> = new Set([status.UNAUTHENTICATED, status.PERMISSION_DENIED]);

/** Whether the workflow does not exist, or, for an update, does not run any more. */
export function isNotFound(error: unknown): boolean {
  if (error instanceof WorkflowNotFoundError) return true;
  // The workflow accepted the update and ended before it answered.
  const failure = error instanceof WorkflowUpdateFailedError ? error.cause : undefined;
  return failure instanceof ApplicationFailure && failure.type === 'AcceptedUpdateCompletedWorkflow';
}

/**
 * `WorkerUnavailable`, when the namespace lacks the search attributes of operations: the worker registers them when it starts for the
 * first time. Undefined for any other error.
 * @param meaning one sentence: what that means for the request
 */
export function unknownAttributes(error: unknown, namespace: string, meaning: string): ApiError | undefined {
  const grpc = grpcErrorOf(error);
  if (grpc?.code !== INVALID_ARGUMENT || !/search attribute/i.test(grpc.details)) return undefined;
  const detail = `The Temporal namespace "${namespace}" does not know the search attributes of operations yet. ${meaning} Start a worker: it registers them, or logs the command that an administrator of the namespace must run. Then send the request again.`;
  return new ApiError({ code: 'WorkerUnavailable', detail }, { cause: error });
}

/** Whether an operation accepts no more updates: by Temporal's limit for one workflow, or by the operation's own. */
export function isUpdateLimit(error: unknown): boolean {
  const failure = error instanceof WorkflowUpdateFailedError ? error.cause : undefined;
  if (failure instanceof ApplicationFailure) return failure.type === 'TooManyMessages';
  const details = grpcErrorOf(error)?.details ?? '';
  return /limit/i.test(details) && /\bupdates\b/i.test(details);
}

/** `TemporalUnavailable`, when the error says that Temporal did not answer, or not us; undefined for any other error. */
export function temporalFault(error: unknown, namespace: string): ApiError | undefined {
  const unavailable = (detail: string): ApiError =>
    new ApiError({ code: 'TemporalUnavailable', detail }, { cause: error });
  const grpc = grpcErrorOf(error);
  if (error instanceof NamespaceNotFoundError || (grpc?.code === NOT_FOUND && /namespace/i.test(grpc.details))) {
    return unavailable(
      `Temporal answers, and has no namespace "${namespace}". Create it, or correct TEMPORAL_NAMESPACE.`,
    );
  }
  if (grpc === undefined) return undefined;
  if (PASSING.has(grpc.code)) return unavailable('Temporal did not answer in time. Send the same request again.');
  if (REFUSING.has(grpc.code)) {
    return unavailable(
      `Temporal answers, and refuses Keyturn in the namespace "${namespace}". Check the TEMPORAL_* settings of the API.`,
    );
  }
  return undefined;
}

/** Why an update failed: the workflow's refusal by its code, or `WorkerUnavailable`; undefined for any other error. */
export function updateFault(error: unknown): ApiError | undefined {
  if (error instanceof WorkflowUpdateRPCTimeoutOrCancelledError) {
    return new ApiError(
      {
        code: 'WorkerUnavailable',
        detail:
          'No worker accepted the message within 10 s; a worker may still accept it later. Read the operation, or send the same message again: it counts once.',
      },
      { cause: error },
    );
  }
  const failure = error instanceof WorkflowUpdateFailedError ? error.cause : undefined;
  if (failure instanceof ApplicationFailure && typeof failure.type === 'string' && isErrorCode(failure.type)) {
    return new ApiError({ code: failure.type, detail: failure.message }, { cause: error });
  }
  return undefined;
}

/** Why a look at a cluster failed: no worker in time, or Azure; undefined for any other error. */
export function inspectionFault(error: unknown): ApiError | undefined {
  if (!(error instanceof WorkflowFailedError)) return undefined;
  if (error.cause instanceof TimeoutFailure) {
    const detail = 'No worker looked at the cluster within 25 s. Start a worker, or ask again.';
    return new ApiError({ code: 'WorkerUnavailable', detail }, { cause: error });
  }
  const failure = error.cause instanceof ActivityFailure ? error.cause.cause : error.cause;
  const detail = `The look at the cluster failed. ${failure instanceof Error ? failure.message : 'Azure does not answer.'} Ask again.`;
  return new ApiError({ code: 'AzureUnavailable', detail }, { cause: error });
}

/** Why a plan alone was not made: no worker in time, or what it asks does not answer; undefined for any other error. */
export function planFault(error: unknown): ApiError | undefined {
  if (!(error instanceof WorkflowFailedError)) return undefined;
  if (error.cause instanceof TimeoutFailure) {
    const detail = 'No worker made the plan within 25 s. Nothing was started. Start a worker, or ask again.';
    return new ApiError({ code: 'WorkerUnavailable', detail }, { cause: error });
  }
  const failure = error.cause instanceof ActivityFailure ? error.cause.cause : error.cause;
  const type = failure instanceof ApplicationFailure ? failure.type : undefined;
  const code = type === 'ClusterUnavailable' ? type : 'AzureUnavailable';
  const detail = `The plan could not be made. ${failure instanceof Error ? failure.message : 'Azure does not answer.'} Nothing was started. Ask again.`;
  return new ApiError({ code, detail }, { cause: error });
}

/** The client wraps what gRPC throws, sometimes twice. */
function grpcErrorOf(error: unknown): { readonly code: number; readonly details: string } | undefined {
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    if (isGrpcServiceError(at)) return { code: at.code, details: at.details };
  }
  return undefined;
}
