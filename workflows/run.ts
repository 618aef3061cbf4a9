/**
 * The state of one running operation, and its publication.
 *
 * Does: holds the view, changes it step by step, and shows each change in the memo (API), the search attributes (lists)
 * and the current details (Temporal UI). Runs a step: a fault that needs a person blocks it until somebody asks for
 * another try or for the end.
 * Never does: decide anything about keys.
 */
import {
  ActivityFailure,
  ApplicationFailure,
  CancellationScope,
  condition,
  isCancellation,
  setCurrentDetails,
  upsertMemo,
  upsertSearchAttributes,
} from '@temporalio/workflow';
import { blockedSecrets, type Acceptance } from '../domain/acceptance';
import type { ErrorCode } from '../domain/errors';
import { isFinal, OperationStatus, type Operation, type StepState, type StoredFault } from '../domain/operation';
import type { Plan, StepId } from '../domain/plan';
import { renderProgress } from '../domain/progress';
import type { RefusedSecret } from '../domain/refusal';
import { stateLeft } from '../domain/state-left';
import { Memo, SearchAttributes } from './messages';

/** A step cannot go on without a person. */
export class StepBlocked extends Error {
  constructor(
    readonly fault: { readonly code: ErrorCode; readonly detail: string },
    /** The Secrets that stand in the way, when that is the reason. */
    readonly inTheWay?: { readonly count: number; readonly secrets: readonly RefusedSecret[] },
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

/** What a step gives back: its value, and the sentence that people read. */
export interface StepOutcome<T> {
  readonly value: T;
  readonly text: string;
}

/** How a step may be treated. */
export interface StepOptions {
  /** Whether a cancellation may end its activities in the middle. */
  readonly interruptible?: boolean;
  /** Whether Secrets in its way may be accepted as they are: never before a key leaves its slot. */
  readonly acceptable?: boolean;
}

/** What a step is told. */
export interface StepAttempt {
  /** 1 at first; one more each time a person asked for another try. */
  readonly number: number;
}

/** ISO 8601. Workflow time: the same in every replay. */
export function now(): string {
  return new Date().toISOString();
}

/** One running operation. */
export class Run {
  /** Set by the `cancel` update or by Temporal's own cancellation: the sentence says by whom. */
  private cancelReason: string | undefined;
  private retriesAsked = 0;
  /** The scope of what a cancellation may interrupt now. */
  private interruptible: CancellationScope | undefined;

  constructor(private view: Operation) {}

  /** The operation as it stands. */
  get operation(): Operation {
    return this.view;
  }

  /** Changes the view and shows it. */
  publish(change: Partial<Operation>): void {
    const statusChanged = change.status !== undefined && change.status !== this.view.status;
    this.view = { ...this.view, ...change };
    upsertMemo({ [Memo.Operation]: this.view });
    if (statusChanged) upsertSearchAttributes([{ key: SearchAttributes.status, value: this.view.status }]);
    setCurrentDetails(renderProgress(this.view));
  }

  /** Takes a plan: its steps are shown as pending. */
  takePlan(plan: Plan): void {
    this.publish({
      plan,
      planRevision: this.view.planRevision + 1,
      steps: plan.steps.map((step): StepState => ({ ...step, status: 'pending' })),
      approvals: [],
    });
  }

  /** Whether the plan has a step. */
  plans(step: StepId): boolean {
    return this.view.plan?.steps.some(({ id }) => id === step) ?? false;
  }

  /** Asks for the end at the next safe point; interrupts what may be interrupted. */
  requestCancel(reason: string): void {
    this.cancelReason ??= reason;
    this.interruptible?.cancel();
  }

  /** An approver accepts the Secrets in the way: the blocked step is tried again, and takes them as they are. */
  accept(acceptance: Acceptance): void {
    this.publish({ acceptance });
    this.requestRetry();
  }

  /** Whether somebody asked for the end. */
  get cancelRequested(): boolean {
    return this.cancelReason !== undefined;
  }

  /** Asks for another try of the blocked step. */
  requestRetry(): void {
    this.retriesAsked += 1;
  }

  /** A safe point: ends the operation here when somebody asked for it. @throws OperationEnds */
  safePoint(): void {
    if (this.cancelReason === undefined) return;
    const detail = `${this.cancelReason} ${stateLeft(this.view)}`;
    throw new OperationEnds(OperationStatus.Canceled, [{ code: 'CanceledOnRequest', detail }]);
  }

  /**
   * Runs one step of the plan until it is done. While it is blocked the operation says why and what may be asked of it.
   * @throws OperationEnds at a safe point after somebody asked for the end
   */
  async step<T>(
    id: StepId,
    work: (attempt: StepAttempt) => Promise<StepOutcome<T>>,
    options: StepOptions = {},
  ): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      this.safePoint();
      this.showStep(id, { status: 'running', startedAt: this.stepState(id)?.startedAt ?? now() });
      try {
        const attemptIt = (): Promise<StepOutcome<T>> => work({ number: attempt });
        const outcome = await (options.interruptible ? this.interruptibly(attemptIt) : attemptIt());
        this.showStep(id, { status: 'done', endedAt: now(), result: outcome.text });
        return outcome.value;
      } catch (error) {
        if (error instanceof OperationEnds) throw error;
        await this.block(id, error, options);
      }
    }
  }

  /**
   * Work that changes nothing half-way, and is given up in the middle when somebody asks for the end.
   * @throws OperationEnds then
   */
  async interruptibly<T>(work: () => Promise<T>): Promise<T> {
    this.safePoint();
    const scope = new CancellationScope();
    this.interruptible = scope;
    try {
      return await scope.run(work);
    } catch (error) {
      if (isCancellation(error)) this.safePoint();
      throw error;
    } finally {
      this.interruptible = undefined;
    }
  }

  /** Marks a step done that needed no work of its own. */
  finishStep(id: StepId, result: string): void {
    this.showStep(id, { status: 'done', startedAt: this.stepState(id)?.startedAt ?? now(), endedAt: now(), result });
  }

  /** Shows the end. */
  end(status: OperationStatus, faults: readonly StoredFault[]): void {
    if (!isFinal(status)) throw new Error(`${status} is not an end.`);
    this.publish({
      status,
      reason: faults[0] ?? null,
      faults: [...faults],
      endedAt: now(),
      approvalDeadline: null,
      progress: null,
      waitingFor: null,
      offers: [],
      blockedSecrets: null,
      steps: this.view.steps.map((step) => (step.status === 'done' ? step : { ...step, status: 'skipped' })),
    });
  }

  private async block(id: StepId, error: unknown, { acceptable = false }: StepOptions): Promise<void> {
    const asked = this.retriesAsked;
    const fault = faultOf(error);
    const inTheWay = error instanceof StepBlocked ? error.inTheWay : undefined;
    const blocked = inTheWay ? blockedSecrets(inTheWay.count, inTheWay.secrets, { acceptable }) : null;
    const choice = blocked?.acceptable
      ? ', have an approver accept these Secrets as they are, or cancel'
      : ', or cancel';
    this.showStep(id, { status: 'blocked', result: fault.detail });
    this.publish({
      status: OperationStatus.Blocked,
      reason: fault,
      faults: [fault],
      waitingFor: `a person: ${fault.detail} Ask for another try when the cause is gone${choice}.`,
      offers: blocked?.acceptable ? ['retry', 'accept', 'cancel'] : ['retry', 'cancel'],
      blockedSecrets: blocked,
    });
    await condition(() => this.cancelRequested || this.retriesAsked > asked);
    this.publish({
      status: OperationStatus.Running,
      reason: null,
      faults: [],
      waitingFor: null,
      offers: ['cancel'],
      blockedSecrets: null,
    });
  }

  private stepState(id: StepId): StepState | undefined {
    return this.view.steps.find((step) => step.id === id);
  }

  private showStep(id: StepId, change: Partial<StepState>): void {
    this.publish({
      steps: this.view.steps.map((step) => {
        if (step.id !== id) return step;
        const { result: _earlier, ...rest } = step;
        return { ...rest, ...change };
      }),
    });
  }
}

/** The fault that a failed activity or a blocked step tells of. Anything else is a bug of ours: it fails the workflow task, visibly. */
export function faultOf(error: unknown): StoredFault {
  if (error instanceof StepBlocked) return error.fault;
  if (error instanceof ActivityFailure && error.cause instanceof ApplicationFailure) {
    return { code: error.cause.type ?? 'InternalError', detail: error.cause.message };
  }
  throw error;
}
