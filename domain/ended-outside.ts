/** Operations whose workflow was ended from outside: it could not update its view, which would look as if it still ran. */
import { isFinal, OperationStatus, viewAtEnd, type Operation } from './operation';
import { shortKeyId } from './resource-ids';

/** Sentences for Temporal's statuses of a workflow that was ended from outside. `COMPLETED` without a final view is one, too. */
const ENDS: Readonly<Record<string, string>> = {
  TERMINATED: 'was terminated in Temporal',
  TIMED_OUT: 'ran into a time limit of Temporal',
  CANCELLED: 'was canceled in Temporal',
  FAILED: 'failed in Temporal',
  COMPLETED: 'was completed in Temporal',
};

/**
 * The operation as it ended; undefined when it goes on, or ended by itself.
 * @param status Temporal's of the workflow  @param closedAt ISO 8601
 */
export function endedFromOutside(
  operation: Operation,
  status: string,
  closedAt: string | undefined,
): Operation | undefined {
  const how = ENDS[status];
  if (how === undefined || isFinal(operation.status)) return undefined;
  const running = operation.steps.find((step) => step.status === 'running' || step.status === 'blocked');
  const where = running === undefined ? '' : `, in the step "${running.title}"`;
  const keys = operation.keysNeeded.length === 0 ? '' : ` (${operation.keysNeeded.map(shortKeyId).join(', ')})`;
  const reason = {
    code: 'InternalError',
    detail: `The workflow of this operation ${how} while it was ${operation.status}${where}, and could not clean up. The cluster is as that step left it. Keep every key listed under keysNeeded${keys}, inspect the cluster, then ask for a new operation, which starts from what it finds.`,
  };
  return {
    ...operation,
    status: OperationStatus.Failed,
    reason,
    faults: [reason, ...operation.faults],
    endedAt: closedAt ?? null,
    ...viewAtEnd(operation),
  };
}
