/**
 * The gate: approvals of exactly the current plan, by approvers other than the requester, before a deadline.
 *
 * The handler repeats the checks of the validator, since the state may change between the two.
 */
import { condition, log } from '@temporalio/workflow';
import { acceptanceFault, AcceptanceDecision, acceptedSecrets } from '../domain/acceptance';
import { decisionFault, approvedBy, Decision, START_GATE, type Approval, type GateState } from '../domain/approval';
import { OperationStatus } from '../domain/operation';
import { Role } from '../domain/people';
import type { Plan } from '../domain/plan/plan';
import type { PlanStep, StepOf } from '../domain/plan/steps';
import { failure, handleSignal, handleUpdate, MOST_CANCELLATIONS, MOST_MESSAGES, UpdateBudget } from './handlers';
import {
  accept,
  approve,
  approveSignal,
  cancel,
  Cancellation,
  cancelSignal,
  deny,
  denySignal,
  retry,
  Retry,
} from './messages';
import { OperationEnds } from './endings';
import { now } from './published-operation';
import type { OperationRun } from './operation-run';

/** Registers every handler. Must be called before the first await of the workflow. */
export function handleMessages(run: OperationRun): { readonly denial: () => Decision | undefined } {
  let denial: Decision | undefined;

  const gate = (): GateState => ({
    requestedBy: run.operation.requestedBy,
    planDigest: run.operation.plan?.digest ?? null,
    open: run.operation.status === OperationStatus.AwaitingApproval && !deadlinePassed(run) && denial === undefined,
    gate: openGate(run)?.id ?? null,
    approvals: run.operation.approvals,
  });
  const check = (decision: Decision, verb: 'approve' | 'deny'): void => {
    const fault = decisionFault(decision, gate(), verb);
    if (fault) throw failure(fault);
  };
  const takeApproval = (decision: Decision): void => {
    check(decision, 'approve');
    const { approvals } = run.operation;
    if (approvedBy(decision, approvals)) return;
    const { by, planDigest, comment, gate: named = START_GATE } = decision;
    run.publish({ approvals: [...approvals, { by, planDigest, gate: named, comment, at: now() }] });
  };
  const takeDenial = (decision: Decision): void => {
    check(decision, 'deny');
    denial ??= decision;
  };

  const budget = new UpdateBudget(MOST_MESSAGES);
  handleUpdate(approve, Decision, budget, { check: (decision) => check(decision, 'approve'), take: takeApproval });
  handleUpdate(deny, Decision, budget, { check: (decision) => check(decision, 'deny'), take: takeDenial });
  handleUpdate(retry, Retry, budget, {
    check() {
      if (run.operation.status === OperationStatus.Blocked) return;
      throw failure({
        code: 'NotBlocked',
        detail: `The operation is ${run.operation.status}; there is no blocked step to retry.`,
      });
    },
    take({ by }) {
      log.info('A retry of the blocked step was requested', { by: by.objectId });
      run.requestRetry();
    },
  });
  const checkAcceptance = (decision: AcceptanceDecision): void => {
    const { requestedBy, blockedSecrets } = run.operation;
    const fault = acceptanceFault(decision, { requestedBy, blocked: blockedSecrets });
    if (fault) throw failure(fault);
  };
  const takeAcceptance = (decision: AcceptanceDecision): void => {
    checkAcceptance(decision);
    const { by, digest, reason } = decision;
    const secrets = acceptedSecrets(run.operation.blockedSecrets ?? { secrets: [] });
    log.info('An approver accepted Secrets that are not under the new key', { by: by.objectId, count: secrets.length });
    run.accept({ by, at: now(), reason, digest, secrets });
  };
  handleUpdate(accept, AcceptanceDecision, budget, { check: checkAcceptance, take: takeAcceptance });
  const takeCancellation = ({ by, comment }: Cancellation): void =>
    run.requestCancel(`${by.name} canceled the operation${comment === undefined ? '.' : `: ${comment}`}`);
  handleUpdate(cancel, Cancellation, new UpdateBudget(MOST_CANCELLATIONS), { take: takeCancellation });
  handleSignal(approveSignal, Decision, { take: takeApproval });
  handleSignal(denySignal, Decision, { take: takeDenial });
  handleSignal(cancelSignal, Cancellation, { take: takeCancellation });
  return { denial: () => denial };
}

/** A gate of the plan. */
type Gate = StepOf<'gate'>;

/** The gates that a plan begins with: they are passed before the cluster's lock is taken. */
export function firstGates({ steps }: Plan): Gate[] {
  const end = steps.findIndex(({ type }) => type !== 'gate');
  return steps.slice(0, end < 0 ? steps.length : end) as Gate[];
}

/**
 * Waits for the approvals that a gate of the plan needs.
 * @throws OperationEnds when an approver denies it, a person cancels, or the deadline passes
 */
export async function passGate(
  run: OperationRun,
  gate: Gate,
  denial: () => Decision | undefined,
  timeoutInMs: number,
): Promise<void> {
  const executing = run.operation.status === OperationStatus.Running;
  const left = (): string => run.stateLeft();
  const granted = (): Approval[] => run.operation.approvals.filter(({ gate: id }) => id === gate.id);
  const enough = (): boolean => granted().length >= gate.approvals;

  run.publish({
    ...run.withStep(gate.id, { status: 'running', startedAt: now() }),
    status: OperationStatus.AwaitingApproval,
    approvalDeadline: new Date(Date.now() + timeoutInMs).toISOString(),
    waitingFor: whatIsAsked(run, gate),
    offers: ['approve', 'deny', 'cancel'],
  });
  const decided = await condition(() => enough() || denial() !== undefined || run.cancelRequested, timeoutInMs, {
    summary: gate.title.slice(0, 200),
  });

  const denied = denial();
  if (denied) {
    const why = denied.comment === undefined ? '.' : `: ${denied.comment}${/[.!?]$/.test(denied.comment) ? '' : '.'}`;
    const detail = `${denied.by.name} denied the plan${why}${executing ? ` ${left()}` : ''}`;
    throw new OperationEnds(OperationStatus.Canceled, [{ code: 'Denied', detail }]);
  }
  run.safePoint();
  if (!decided) {
    const state = executing ? left() : 'Nothing was changed.';
    const detail = `The plan was not approved before ${run.operation.approvalDeadline}. ${state} Ask again with a new Idempotency-Key.`;
    throw new OperationEnds(OperationStatus.Canceled, [{ code: 'ApprovalExpired', detail }]);
  }
  const approvedBy = granted().map(({ by }) => by.name);
  run.keep(gate.id, { type: 'gate', approvedBy });
  run.publish({
    ...run.withStep(gate.id, { status: 'done', endedAt: now(), result: `Approved by ${approvedBy.join(', ')}.` }),
    status: executing ? OperationStatus.Running : OperationStatus.Planning,
    approvalDeadline: null,
    waitingFor: null,
    offers: ['cancel'],
  });
}

function openGate({ operation }: OperationRun): PlanStep | undefined {
  const running = operation.steps.find(({ status }) => status === 'running');
  return operation.plan?.steps.find(({ id, type }) => id === running?.id && type === 'gate');
}

function whatIsAsked(run: OperationRun, gate: Gate): string {
  const { planRevision, requestedBy } = run.operation;
  const anew = planRevision > 1 ? 'a new approval, since the plan is not the one that was approved: ' : '';
  const people = gate.approvals === 1 ? 'one person' : `${gate.approvals} people`;
  const asked = {
    start: 'the plan',
    plaintext: 'plaintext at rest',
    upgrade: 'the upgrade of Kubernetes, which is final',
    deletion: 'the retirement of the old key',
  }[gate.gate];
  const what = gate.gate === 'start' ? asked : `${asked} (\`gate\`: ${gate.id})`;
  return `${anew}approval of ${what} by ${people} with the role ${Role.Approver}, other than ${requestedBy.name}.`;
}

function deadlinePassed(run: OperationRun): boolean {
  const { approvalDeadline } = run.operation;
  return approvalDeadline !== null && now() >= approvalDeadline;
}
