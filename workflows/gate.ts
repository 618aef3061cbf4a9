/**
 * The gate: approvals of exactly the current plan, by approvers other than the requester, before a deadline.
 *
 * The handler repeats the checks of the validator, since the state may change between the two.
 */
import { condition, log } from '@temporalio/workflow';
import { acceptanceFault, AcceptanceDecision, acceptedSecrets } from '../domain/acceptance';
import {
  approvedBy,
  Decision,
  decisionFault,
  opensGate,
  standing,
  type Approval,
  type GateState,
} from '../domain/approval';
import type { Fault } from '../domain/errors';
import { type Cancellation, CancellationMessage, OperationStatus } from '../domain/operation';
import { pauseFault, PauseRequest, resumeFault, ResumeRequest } from '../domain/pause';
import { requesterName, Role } from '../domain/people';
import type { SignedDecision } from '../activities/contract';
import type { Plan, PlanPolicy } from '../domain/plan/plan';
import type { PlanStep, StepOf } from '../domain/plan/steps';
import type { Verb } from '../domain/trust/statements';
import { local } from './activities';
import { failure, handleSignal, handleUpdate, MOST_CANCELLATIONS, MOST_MESSAGES, UpdateBudget } from './handlers';
import {
  accept,
  approve,
  cancel,
  cancelSignal,
  deny,
  pause,
  pauseSignal,
  resume,
  resumeSignal,
  retry,
  Retry,
} from './messages';
import { OperationEnds } from './endings';
import { now } from './published-operation';
import { WHILE_RUNNING, type OperationRun } from './operation-run';

/** Registers every handler. Must be called before the first await of the workflow. */
export function handleMessages(
  run: OperationRun,
  { approvalValidForInSeconds }: PlanPolicy,
): { readonly denial: () => Decision | undefined } {
  let denial: Decision | undefined;

  const gate = (): GateState => ({
    requestedBy: run.operation.requestedBy,
    planDigest: run.operation.plan?.digest ?? null,
    open: run.operation.status === OperationStatus.AwaitingApproval && !deadlinePassed(run) && denial === undefined,
    gate: openGate(run)?.id ?? null,
    approvals: run.operation.approvals,
    at: now(),
  });
  const check = (decision: Decision, verb: 'approve' | 'deny'): void => {
    const fault = decisionFault(decision, gate(), verb);
    if (fault) throw failure(fault);
  };
  const takeApproval = (decision: Decision): void => {
    check(decision, 'approve');
    const { approvals } = run.operation;
    if (approvedBy(decision, approvals, now())) return;
    const { by, gate: named, breakGlass } = decision;
    if (breakGlass) log.error('BREAK-GLASS: one person passed a gate alone', { by: by.objectId, gate: named });
    const limit =
      approvalValidForInSeconds === undefined
        ? {}
        : { validUntil: new Date(Date.now() + approvalValidForInSeconds * 1000).toISOString() };
    run.publish({ approvals: [...approvals, { ...decision, ...limit }] });
  };
  const takeDenial = (decision: Decision): void => {
    check(decision, 'deny');
    denial ??= decision;
    run.publish({ denial });
  };

  const budget = new UpdateBudget(MOST_MESSAGES);
  handleUpdate(approve, Decision, budget, {
    check: (decision) => check(decision, 'approve'),
    verify: signed('approve'),
    take: takeApproval,
  });
  handleUpdate(deny, Decision, budget, {
    check: (decision) => check(decision, 'deny'),
    verify: signed('deny'),
    take: takeDenial,
  });
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
    const secrets = acceptedSecrets(run.operation.blockedSecrets ?? { secrets: [] });
    log.info('An approver accepted Secrets that are not under the new key', {
      by: decision.by.objectId,
      count: secrets.length,
    });
    run.accept({ ...decision, secrets });
  };
  handleUpdate(accept, AcceptanceDecision, budget, {
    check: checkAcceptance,
    verify: signed('accept'),
    take: takeAcceptance,
  });
  const checkPause = (): void => refuse(pauseFault(run.operation));
  const takePause = ({ by, reason }: PauseRequest): void => {
    checkPause();
    log.info('A pause at the next safe point was requested', { by: by.objectId });
    run.requestPause({ by, at: now(), ...(reason === undefined ? {} : { reason }) });
  };
  handleUpdate(pause, PauseRequest, budget, { check: checkPause, take: takePause });
  handleSignal(pauseSignal, PauseRequest, { take: takePause });
  const checkResumption = (): void => refuse(resumeFault(run.operation));
  const takeResumption = ({ by }: ResumeRequest): void => {
    checkResumption();
    log.info('The operation was resumed', { by: by.objectId });
    run.resume({ by, at: now() });
  };
  handleUpdate(resume, ResumeRequest, budget, { check: checkResumption, take: takeResumption });
  handleSignal(resumeSignal, ResumeRequest, { take: takeResumption });
  const takeCancellation = (cancellation: Cancellation): void => {
    const { by, comment, signature } = cancellation;
    const who = signature === undefined ? `A message to Temporal that names ${by.name} and is not signed` : by.name;
    if (!run.cancelRequested) run.change({ cancellation });
    run.requestCancel(`${who} canceled the operation${comment === undefined ? '.' : `: ${comment}`}`);
  };
  // An end is always safe: it needs no signature. One that is there has to fit.
  const cancellationSigned = async (cancellation: Cancellation): Promise<void> => {
    const { at, texts, signature } = cancellation;
    if (at === undefined || texts === undefined || signature === undefined) return;
    await signed('cancel')({ ...cancellation, at, texts, signature });
  };
  const canceling = { verify: cancellationSigned, take: takeCancellation };
  handleUpdate(cancel, CancellationMessage, new UpdateBudget(MOST_CANCELLATIONS), canceling);
  handleSignal(cancelSignal, CancellationMessage, canceling);
  return { denial: () => denial };
}

/** Whether the API signed a decision on this operation. */
function signed(
  verb: Verb,
): (decision: SignedDecision & { readonly comment?: string; readonly reason?: string }) => Promise<void> {
  return ({ comment, reason, ...decision }) => local().verifyDecision({ verb, decision, words: comment ?? reason });
}

/** A gate of the plan. */
type Gate = StepOf<'gate'>;

/** The gates that a plan begins with: they are passed before the cluster's lock is taken. */
export function firstGates({ steps }: Plan): Gate[] {
  const end = steps.findIndex(({ type }) => type !== 'gate');
  return steps.slice(0, end < 0 ? steps.length : end) as Gate[];
}

/**
 * Whether the approvals of the gates that a plan begins with still counted at a time: the operation may have waited for the cluster
 * since people gave them.
 */
export function firstGatesStood(run: OperationRun, at: string): boolean {
  const { approvals } = run.operation;
  return firstGates(run.plan).every(({ id, approvals: required }) =>
    opensGate(standing(approvals, { gate: id, at }), required),
  );
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
  const granted = (): Approval[] => standing(run.operation.approvals, { gate: gate.id, at: now() });
  const enough = (): boolean => opensGate(granted(), gate.approvals);

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
  const approvals = granted();
  const approvedBy = approvals.map(({ by }) => by.name);
  const alone = approvals.find(({ breakGlass }) => breakGlass !== undefined);
  const result = alone
    ? `Break-glass: ${alone.by.name} passed the gate alone. Reason: ${alone.breakGlass?.reason}`
    : `Approved by ${approvedBy.join(', ')}.`;
  run.keep(gate.id, { type: 'gate', approvedBy });
  run.publish({
    ...run.withStep(gate.id, { status: 'done', endedAt: now(), result }),
    status: executing ? OperationStatus.Running : OperationStatus.Planning,
    approvalDeadline: null,
    waitingFor: null,
    offers: executing ? WHILE_RUNNING : ['cancel'],
  });
}

/** @throws ApplicationFailure when there is a fault */
function refuse(fault: Fault | undefined): void {
  if (fault) throw failure(fault);
}

function openGate({ operation }: OperationRun): PlanStep | undefined {
  const running = operation.steps.find(({ status }) => status === 'running');
  return operation.plan?.steps.find(({ id, type }) => id === running?.id && type === 'gate');
}

function whatIsAsked(run: OperationRun, gate: Gate): string {
  const { planRevision, requestedBy, approvals } = run.operation;
  const late = approvals.some(({ gate: id, validUntil }) => id === gate.id && validUntil !== undefined);
  const anew = late
    ? 'a new approval, since an earlier one counts no more: '
    : planRevision > 1
      ? 'a new approval, since the plan is not the one that was approved: '
      : '';
  const people = gate.approvals === 1 ? 'one person' : `${gate.approvals} people`;
  const asked = {
    start: 'the plan',
    plaintext: 'plaintext at rest',
    upgrade: 'the upgrade of Kubernetes, which is final',
    deletion: 'the retirement of the old key',
    'vnet-integration': 'the stop and start of the cluster for API Server VNet Integration, which is final',
  }[gate.gate];
  const what = gate.gate === 'start' ? asked : `${asked} (\`gate\`: ${gate.id})`;
  return `${anew}approval of ${what} by ${people} with the role ${Role.Approver}, other than ${requesterName(requestedBy)}.`;
}

function deadlinePassed(run: OperationRun): boolean {
  const { approvalDeadline } = run.operation;
  return approvalDeadline !== null && now() >= approvalDeadline;
}
