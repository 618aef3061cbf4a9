/**
 * The gate: approvals of exactly the plan that stands, from others than the requester, before a deadline.
 *
 * Validators are synchronous: the SDK does not await them, and an asynchronous one never rejects. What they check is
 * checked again in the handler, since the state may change between the two.
 */
import { ApplicationFailure, condition, log, setHandler } from '@temporalio/workflow';
import { acceptanceFault, type AcceptanceDecision } from '../domain/acceptance';
import { decisionFault, approvedBy, type Decision, type GateState } from '../domain/approval';
import type { Fault } from '../domain/errors';
import { OperationStatus } from '../domain/operation';
import { Role, type Person } from '../domain/people';
import { StepId, type Plan } from '../domain/plan';
import { accept, approve, approveSignal, cancel, deny, denySignal, retry } from './messages';
import { now, OperationEnds, type Run } from './run';

/** Registers every handler. Must be called before the first await of the workflow. */
export function handleMessages(run: Run): { readonly denial: () => Decision | undefined } {
  let denial: Decision | undefined;

  const gate = (): GateState => ({
    requestedBy: run.operation.requestedBy,
    planDigest: run.operation.plan?.digest ?? null,
    open: run.operation.status === OperationStatus.AwaitingApproval && !deadlinePassed(run) && denial === undefined,
    approvals: run.operation.approvals,
  });
  const check = (decision: Decision, verb: 'approve' | 'deny'): void => {
    const fault = decisionFault(decision, gate(), verb);
    if (fault) throw failure(fault);
  };
  const takeApproval = (decision: Decision): void => {
    check(decision, 'approve');
    const { approvals } = run.operation;
    if (approvedBy(decision.by, approvals, decision.planDigest)) return;
    const { by, planDigest, comment } = decision;
    run.publish({ approvals: [...approvals, { by, planDigest, comment, at: now() }] });
  };
  const takeDenial = (decision: Decision): void => {
    check(decision, 'deny');
    denial ??= decision;
  };

  setHandler(approve, takeApproval, { validator: (decision: Decision) => check(decision, 'approve') });
  setHandler(deny, takeDenial, { validator: (decision: Decision) => check(decision, 'deny') });
  const takeRetry = ({ by }: { readonly by: Person }): void => {
    log.info('A person asked for another try of the blocked step', { by: by.objectId });
    run.requestRetry();
  };
  const checkRetry = (_asked: { readonly by: Person }): void => {
    if (run.operation.status === OperationStatus.Blocked) return;
    throw failure({
      code: 'NotBlocked',
      detail: `The operation is ${run.operation.status}; there is nothing to try again.`,
    });
  };
  setHandler(retry, takeRetry, { validator: checkRetry });
  const checkAcceptance = (decision: AcceptanceDecision): void => {
    const { requestedBy, blockedSecrets } = run.operation;
    const fault = acceptanceFault(decision, { requestedBy, blocked: blockedSecrets });
    if (fault) throw failure(fault);
  };
  const takeAcceptance = (decision: AcceptanceDecision): void => {
    checkAcceptance(decision);
    const { by, digest, reason } = decision;
    const secrets = run.operation.blockedSecrets?.secrets ?? [];
    log.info('An approver accepted Secrets that are not under the new key', { by: by.objectId, count: secrets.length });
    run.accept({ by, at: now(), reason, digest, secrets });
  };
  setHandler(accept, takeAcceptance, { validator: checkAcceptance });
  setHandler(cancel, ({ by, comment }) =>
    run.requestCancel(`${by.name} canceled the operation${comment === undefined ? '.' : `: ${comment}`}`),
  );
  setHandler(approveSignal, (decision) => quietly(() => takeApproval(decision)));
  setHandler(denySignal, (decision) => quietly(() => takeDenial(decision)));
  return { denial: () => denial };
}

/**
 * Waits for the approvals that the plan needs.
 * @throws OperationEnds when somebody denies it or cancels, or when the deadline passes
 */
export async function awaitApproval(run: Run, denial: () => Decision | undefined, timeoutInMs: number): Promise<void> {
  const { plan } = run.operation;
  if (!plan) throw new Error('There is no plan to approve.');
  const missing = (): number => plan.approvalsRequired - run.operation.approvals.length;

  run.publish({
    status: OperationStatus.AwaitingApproval,
    approvalDeadline: new Date(Date.now() + timeoutInMs).toISOString(),
    waitingFor: whatIsAsked(run, plan),
    offers: ['approve', 'deny', 'cancel'],
    steps: run.operation.steps.map((step) =>
      step.id === StepId.Approve ? { ...step, status: 'running', startedAt: now() } : step,
    ),
  });
  const decided = await condition(() => missing() <= 0 || denial() !== undefined || run.cancelRequested, timeoutInMs, {
    summary: `Wait for approval: ${plan.summary}`.slice(0, 200),
  });

  const denied = denial();
  if (denied) {
    const why = denied.comment === undefined ? '.' : `: ${denied.comment}`;
    throw new OperationEnds(OperationStatus.Canceled, [
      { code: 'Denied', detail: `${denied.by.name} denied the plan${why}` },
    ]);
  }
  run.safePoint();
  if (!decided) {
    const detail = `Nobody approved the plan before ${run.operation.approvalDeadline}. Nothing was changed. Ask again with a new Idempotency-Key.`;
    throw new OperationEnds(OperationStatus.Canceled, [{ code: 'ApprovalExpired', detail }]);
  }
  run.finishStep(StepId.Approve, `Approved by ${run.operation.approvals.map(({ by }) => by.name).join(', ')}.`);
  run.publish({ status: OperationStatus.Planning, approvalDeadline: null, waitingFor: null, offers: ['cancel'] });
}

function whatIsAsked(run: Run, plan: Plan): string {
  const { planRevision, requestedBy } = run.operation;
  const anew = planRevision > 1 ? 'a new approval, since the plan is not the one that was approved: ' : '';
  const people = plan.approvalsRequired === 1 ? 'one person' : `${plan.approvalsRequired} people`;
  return `${anew}approval of the plan by ${people} with the role ${Role.Approver}, other than ${requestedBy.name}.`;
}

function deadlinePassed(run: Run): boolean {
  const { approvalDeadline } = run.operation;
  return approvalDeadline !== null && now() >= approvalDeadline;
}

function failure({ code, detail }: Fault): ApplicationFailure {
  return ApplicationFailure.nonRetryable(detail, code);
}

/** A signal has nobody to answer to: a decision that does not count is noted in the log and changes nothing. */
function quietly(take: () => void): void {
  try {
    take();
  } catch (error) {
    if (!(error instanceof ApplicationFailure)) throw error;
    log.warn('A decision sent by signal does not count', { code: error.type, detail: error.message });
  }
}
