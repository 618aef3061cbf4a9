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
  allHandlersFinished,
  ApplicationFailure,
  CancellationScope,
  condition,
  ContinueAsNew,
  isCancellation,
  setCurrentDetails,
  TemporalFailure,
  upsertMemo,
  upsertSearchAttributes,
  uuid4,
} from '@temporalio/workflow';
import type { StepReference } from '../activities/contract';
import { blockedSecrets, type Acceptance } from '../domain/acceptance';
import type { ErrorCode } from '../domain/errors';
import {
  isFinal,
  OperationStatus,
  stepsAtEnd,
  stepStates,
  type Operation,
  type StepState,
  type StepStatus,
  type StoredFault,
} from '../domain/operation';
import { memoChanges, memoOf, type MemoFields } from '../domain/operation-memo';
import { keysNeededNow, madeKeys, type Outputs, type StepOutput } from '../domain/plan/outputs';
import type { Plan } from '../domain/plan/plan';
import type { StepId } from '../domain/plan/steps';
import { renderProgress } from '../domain/progress';
import type { RefusedSecret } from '../domain/refusal';
import { stateLeft } from '../domain/state-left';
import type { KmsProfile } from '../domain/cluster-change';
import { LockLost } from './cluster-lock';
import { SearchAttributes } from './messages';

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

/** What the next run of the same workflow goes on with. */
export interface RunState {
  readonly operation: Operation;
  readonly outputs: Outputs;
}

/** What a step gives back: its output, and the sentence that people read. */
export interface StepOutcome {
  readonly output: StepOutput;
  readonly text: string;
}

/** How a step may be treated. It belongs to the type of the step. */
export interface StepOptions {
  /** Whether a cancellation may end its activities in the middle. */
  readonly interruptible: boolean;
  /** Whether Secrets that the API server refuses may be accepted as they are: never before a key leaves its slot. */
  readonly acceptable: boolean;
  /** Whether it needs the lock of the cluster. */
  readonly locked: boolean;
}

/** What a step is told. */
export interface StepAttempt {
  /** 1 at first; one more each time a person asked for another try. */
  readonly number: number;
}

/** The lock of the cluster, as steps need it. */
export interface StepLock {
  /** Whether it was held, and is not any more. */
  readonly lost: boolean;
  /** @throws LockLost when it is not held */
  check(): void;
  /** What Azure has to report from now on; null while it may be either. */
  expect(profile: KmsProfile | null): void;
  /** Takes it again after it was lost; false when another operation has it. */
  takeAgain(): Promise<boolean>;
  /** Takes it again if it was lost or released, waiting for it, and checks that the cluster is as expected. */
  regain(): Promise<void>;
  /** Gives it back until the next `regain`: while people or a soak are waited for, other operations may run. */
  release(): Promise<void>;
}

/** How long an activity may know earlier than the workflow that the lock is gone. */
const LOCK_NEWS_WITHIN = '30 seconds';

/** ISO 8601. Workflow time: the same in every replay. */
export function now(): string {
  return new Date().toISOString();
}

/** One running operation. */
export class OperationRun {
  /** Set by the `cancel` update or by Temporal's own cancellation: the sentence says by whom. */
  private cancelReason: string | undefined;
  private retriesAsked = 0;
  /** The scope of what a cancellation may interrupt now. */
  private interruptible: CancellationScope | undefined;
  private outputsByStep: Outputs = {};
  private lock: StepLock | undefined;
  private interruptionCount = 0;
  private readonly wasContinued: boolean;

  /** Tells what this run made from what an operation of the same id made once; the same in every replay. */
  readonly nonce = uuid4();

  /** The memo as it was last written: at first by the API. */
  private shown: MemoFields;

  /** @param continued what an earlier run of the same workflow had done */
  constructor(
    private view: Operation,
    private readonly next: (state: RunState) => Promise<never>,
    continued?: RunState,
  ) {
    this.shown = memoOf(view);
    this.outputsByStep = continued?.outputs ?? {};
    this.wasContinued = continued !== undefined;
  }

  /** The operation as it stands. */
  get operation(): Operation {
    return this.view;
  }

  /** What the steps that are done gave, by step id. */
  get outputs(): Outputs {
    return this.outputsByStep;
  }

  /** The plan that stands. @throws Error when there is none */
  get plan(): Plan {
    if (!this.view.plan) throw new Error('The operation has no plan.');
    return this.view.plan;
  }

  /** Changes the view and shows it. */
  publish(change: Partial<Operation>): void {
    const statusChanged = change.status !== undefined && change.status !== this.view.status;
    this.change(change);
    const memo = memoOf(this.view);
    const changes = memoChanges(this.shown, memo);
    if (Object.keys(changes).length > 0) upsertMemo(changes);
    this.shown = memo;
    if (statusChanged) upsertSearchAttributes([{ key: SearchAttributes.status, value: this.view.status }]);
    setCurrentDetails(renderProgress(this.view));
  }

  /** Takes a plan: its steps are shown as pending. */
  takePlan(plan: Plan): void {
    this.publish({
      plan,
      planRevision: this.view.planRevision + 1,
      steps: stepStates(plan, []),
      approvals: [],
      keysNeeded: plan.keysNeeded,
    });
  }

  /** Asks for the end at the next safe point; interrupts what may be interrupted. */
  requestCancel(reason: string): void {
    this.cancelReason ??= reason;
    this.interruptible?.cancel();
  }

  /** The lock that the steps hold from now on. */
  useLock(lock: StepLock): void {
    this.lock = lock;
  }

  /** The lock is gone: what may be interrupted is, and the step begins again when the lock is held again. */
  lockWasLost(): void {
    this.interruptionCount += 1;
    this.interruptible?.cancel();
  }

  /** Gives the lock back until the next step needs it. */
  async releaseLock(): Promise<void> {
    await this.lock?.release();
  }

  /**
   * Goes on in a fresh run of the workflow, once: a wait of days must not keep a long history in every worker that takes it up.
   * Call it where nothing is under way and the lock is released.
   */
  async continueAsNew(): Promise<void> {
    if (this.wasContinued || this.cancelRequested) return;
    await condition(allHandlersFinished);
    this.safePoint();
    await this.next({ operation: this.view, outputs: this.outputsByStep });
  }

  /** Before each write. @throws LockLost */
  requireLock(): void {
    this.lock?.check();
  }

  /** What Azure has to report from now on; null while it may be either. */
  expectProfile(profile: KmsProfile | null): void {
    this.lock?.expect(profile);
  }

  /** How often a step was blocked, failed or lost the lock: what was concluded before the last time may not hold any more. */
  get interruptions(): number {
    return this.interruptionCount;
  }

  /** Waits, or returns when somebody asked for the end. */
  async pause(ms: number): Promise<void> {
    await condition(() => this.cancelRequested, ms);
  }

  /** An approver accepts the Secrets that block a step: it is tried again, and takes them as they are. The first acceptance counts. */
  accept(acceptance: Omit<Acceptance, 'step'>): void {
    const blocked = this.view.steps.find(({ status }) => status === 'blocked');
    if (!blocked || this.view.blockedSecrets === null) return;
    this.publish({ acceptance: { ...acceptance, step: blocked.id }, blockedSecrets: null });
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
    const detail = `${this.cancelReason} ${stateLeft(this.view.plan, this.view.steps)}`;
    throw new OperationEnds(OperationStatus.Canceled, [{ code: 'CanceledOnRequest', detail }]);
  }

  /** Whether a step is done. */
  isDone(id: StepId): boolean {
    return this.stepState(id).status === 'done';
  }

  /** When a step began, ISO 8601. @throws Error when it has not */
  startOf(id: StepId): string {
    const { startedAt } = this.stepState(id);
    if (startedAt === undefined) throw new Error(`The step ${id} has not begun.`);
    return startedAt;
  }

  /** The step of the plan that an activity is to carry out. */
  reference(step: StepId): StepReference {
    return { planDigest: this.plan.digest, step, made: madeKeys(this.outputsByStep) };
  }

  /** Keeps what a step gave. */
  keep(id: StepId, output: StepOutput): void {
    this.outputsByStep = { ...this.outputsByStep, [id]: output };
  }

  /**
   * Runs one step of the plan until it is done. While it is blocked the operation says why and what may be asked of it.
   * @throws OperationEnds at a safe point after somebody asked for the end
   */
  async step(id: StepId, options: StepOptions, work: (attempt: StepAttempt) => Promise<StepOutcome>): Promise<void> {
    for (let number = 1; ; number += 1) {
      this.safePoint();
      this.publish(this.withStep(id, { status: 'running', startedAt: this.stepState(id).startedAt ?? now() }));
      try {
        if (options.locked) await this.lock?.regain();
        const attemptIt = (): Promise<StepOutcome> => work({ number });
        const { output, text } = await (options.interruptible ? this.interruptibly(attemptIt) : attemptIt());
        this.keep(id, output);
        // Shown with the start of the next step, or with the end: both follow at once, and each write costs history.
        this.change(this.withStep(id, { status: 'done', endedAt: now(), result: text }));
        return;
      } catch (error) {
        if (error instanceof OperationEnds || error instanceof ContinueAsNew) throw error;
        this.interruptionCount += 1;
        if (!(await this.lostLock(error))) await this.block(id, error, options);
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
    const outer = this.interruptible;
    this.interruptible = outer ?? scope;
    try {
      return await scope.run(work);
    } catch (error) {
      if (isCancellation(error)) {
        this.safePoint();
        this.requireLock();
      }
      throw error;
    } finally {
      this.interruptible = outer;
    }
  }

  /** The change of the view that shows a step. @throws Error when it is not in the plan: that must not run (O3) */
  withStep(id: StepId, change: Partial<StepStatus>): Pick<Operation, 'steps'> {
    this.stepState(id);
    return {
      steps: this.view.steps.map((step) => {
        if (step.id !== id) return step;
        const { result: _earlier, ...rest } = step;
        return { ...rest, ...change };
      }),
    };
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
      steps: stepsAtEnd(this.view.steps),
    });
  }

  private async block(id: StepId, error: unknown, { acceptable }: StepOptions): Promise<void> {
    const asked = this.retriesAsked;
    const fault = faultOf(error);
    const refused = error instanceof StepBlocked ? error.refused : undefined;
    const blocked = refused ? blockedSecrets(refused.count, refused.secrets, { acceptable }) : null;
    const accept = blocked?.acceptable ? ', have an approver `accept` these Secrets as they are' : '';
    this.publish({
      ...this.withStep(id, { status: 'blocked', result: fault.detail }),
      status: OperationStatus.Blocked,
      reason: fault,
      faults: [fault],
      waitingFor: `a person: ${fault.detail} Fix the cause, then \`retry\`${accept}; or \`cancel\`.`,
      offers: blocked?.acceptable ? ['retry', 'accept', 'cancel'] : ['retry', 'cancel'],
      blockedSecrets: blocked,
    });
    await this.decision(() => this.cancelRequested || this.retriesAsked > asked);
    this.change({
      status: OperationStatus.Running,
      reason: null,
      faults: [],
      waitingFor: null,
      offers: ['cancel'],
      blockedSecrets: null,
    });
    upsertSearchAttributes([{ key: SearchAttributes.status, value: OperationStatus.Running }]);
  }

  /** Waits for a person. A lock that is lost meanwhile is taken again, so that no other operation changes what the person looks at. */
  private async decision(decided: () => boolean): Promise<void> {
    const { lock } = this;
    while (!decided()) {
      await condition(() => decided() || lock?.lost === true);
      if (decided() || lock === undefined || (await lock.takeAgain())) continue;
      this.publish({
        waitingFor: `${this.view.waitingFor ?? ''} The lock of the cluster was lost and another operation has it: a retry waits for that one first.`,
      });
      await condition(decided);
    }
  }

  /** Whether an attempt ended because the lock was lost. An activity may know of it before the workflow does. */
  private async lostLock(error: unknown): Promise<boolean> {
    if (error instanceof LockLost) return true;
    const code: ErrorCode = 'LockLost';
    const { lock } = this;
    if (lock === undefined || faultOf(error).code !== code) return false;
    return await condition(() => lock.lost, LOCK_NEWS_WITHIN);
  }

  /** Keys needed are computed, never said by hand. */
  private change(change: Partial<Operation>): void {
    const view = { ...this.view, ...change };
    const keys = view.plan ? keysNeededNow(view.plan, view.steps, this.outputsByStep) : view.keysNeeded;
    this.view = { ...view, keysNeeded: keys };
  }

  private stepState(id: StepId): StepState {
    const step = this.view.steps.find((one) => one.id === id);
    if (!step) throw new Error(`The approved plan has no step ${id}.`);
    return step;
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
