/** Why nothing can be asked of an operation any more. */
import type { Fault } from '../../domain/errors';
import { isFinal, OperationStatus, type Operation } from '../../domain/operation';

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
