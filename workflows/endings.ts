/** How steps and operations end before they are done, and what is said of it. */
import { ActivityFailure, ApplicationFailure, isCancellation, TemporalFailure } from '@temporalio/workflow';
import type { ErrorCode } from '../domain/errors';
import type { OperationStatus, StoredFault } from '../domain/operation';
import type { RefusedSecret } from '../domain/refusal';

/** A step cannot go on without a person. */
export class StepBlocked extends Error {
  constructor(
    readonly fault: { readonly code: ErrorCode; readonly detail: string },
    /** The Secrets that the API server refuses to rewrite, when that is the reason. */
    readonly refused?: { readonly count: number; readonly secrets: readonly RefusedSecret[] },
  ) {
    super(fault.detail);
    this.name = 'StepBlocked';
  }
}

/** The operation ends before its plan is done. */
export class OperationEnds extends Error {
  constructor(
    readonly status: typeof OperationStatus.Failed | typeof OperationStatus.Canceled,
    readonly faults: readonly [StoredFault, ...StoredFault[]],
  ) {
    super(faults[0].detail);
    this.name = 'OperationEnds';
  }
}

/**
 * The fault that a failed activity or a blocked step tells of. Anything else is a bug of ours. It must fail the workflow task,
 * which Temporal retries, and not the workflow: failures of Temporal's own kind would, so they are wrapped.
 */
export function faultOf(error: unknown): StoredFault {
  if (error instanceof StepBlocked) return error.fault;
  if (error instanceof ActivityFailure && !isCancellation(error)) {
    const { cause } = error;
    if (cause instanceof ApplicationFailure) return { code: cause.type ?? 'InternalError', detail: cause.message };
    return { code: 'InternalError', detail: `An activity failed: ${cause?.message ?? error.message}.` };
  }
  if (error instanceof TemporalFailure)
    throw new Error(`No code handles this failure: ${error.message}`, { cause: error });
  throw error;
}
