/** Why nothing can be asked of an operation any more, and how it is found out when something is asked. */
import { canonicalJson, sha256Hex } from '../../domain/canonical';
import type { ErrorCode, Fault } from '../../domain/errors';
import { isFinal, OperationStatus, type Operation } from '../../domain/operation';
import type { ApiDeps } from '../deps';
import type { Message } from '../operations-gateway';
import { requireRight } from '../policy/authorize';
import type { Right } from '../policy/policy';
import { ApiError } from '../problem';
import type { Caller } from '../token-claims';
import { findOperation, readableOperation } from './get-operation';

/** The fault of asking something of an operation that has ended; undefined while it goes on. */
export function endedFault(operation: Operation, now: Date): Fault | undefined {
  const { id, status, reason, approvalDeadline, endedAt } = operation;
  if (isFinal(status)) {
    if (status === OperationStatus.Canceled && reason?.code === 'ApprovalExpired') {
      return { code: 'ApprovalExpired', detail: reason.detail };
    }
    const why = reason === null ? '' : ` ${reason.detail}`;
    return {
      code: 'OperationEnded',
      detail: `Operation ${id} ended ${status}${endedAt === null ? '' : ` at ${endedAt}`}.${why}`,
    };
  }
  // The workflow ends it as soon as a worker runs; until then the deadline holds all the same.
  const waits = status === OperationStatus.AwaitingApproval;
  if (waits && approvalDeadline !== null && Date.parse(approvalDeadline) <= now.getTime()) {
    return {
      code: 'ApprovalExpired',
      detail: `The plan could be approved until ${approvalDeadline}. Ask again with a new Idempotency-Key.`,
    };
  }
  return undefined;
}

/** @throws ApiError when the operation has ended */
export function refuseEnded(operation: Operation, now: Date): void {
  const fault = endedFault(operation, now);
  if (fault) throw new ApiError(fault);
}

/** Who may ask for an operation, or approve it, may steer it: one of these rights is needed. */
const STEERS: readonly Right[] = ['request', 'approve'];

/** What `steerableOperation` and `tellOperation` may answer. */
export const STEERING_CODES = [
  'OperationNotFound',
  'RightMissing',
  'OperationEnded',
  'ApprovalExpired',
  'TemporalUnavailable',
  'WorkerUnavailable',
] as const satisfies readonly ErrorCode[];

/** An operation that goes on, and that the caller may steer. @throws ApiError */
export async function steerableOperation(deps: ApiDeps, caller: Caller, id: string): Promise<Operation> {
  const operation = await readableOperation(deps, caller, id);
  requireRight(deps, caller, STEERS, operation);
  refuseEnded(operation, deps.clock());
  return operation;
}

/** Says something to an operation. @returns it as it stands then @throws ApiError when it has ended meanwhile */
export async function tellOperation({ gateway, clock }: ApiDeps, id: string, message: Message): Promise<Operation> {
  const told = await gateway.tell(id, message);
  const operation = await findOperation(gateway, id);
  if (told === 'ended') refuseEnded(operation, clock());
  return operation;
}

/**
 * The id of a message to an operation: what is sent again is the same message, and counts once. Temporal takes a limited
 * number of messages in.
 */
export function messageId(...parts: readonly (string | number)[]): string {
  return sha256Hex(canonicalJson(parts)).slice(0, 32);
}

/** Tells one block of an operation from the next: a retry is meant for the block that the person saw. */
export function blockOf({ planRevision, steps }: Operation): readonly (string | number)[] {
  const step = steps.find(({ status }) => status === 'blocked');
  return [planRevision, step?.id ?? 'none', step?.attempt ?? 1];
}
