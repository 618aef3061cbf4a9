/**
 * One running operation: its steps, and what people ask of it.
 *
 * Does: runs a step; a fault that needs a person blocks the step until a person asks for a retry or for the end. Honours a
 * cancellation at safe points. Begins a step again after the lock was lost.
 * Never does: decide anything about keys.
 */
import {
  ActivityFailure,
  allHandlersFinished,
  CancellationScope,
  condition,
  ContinueAsNew,
  isCancellation,
  TimeoutFailure,
  upsertSearchAttributes,
  uuid4,
} from '@temporalio/workflow';
import { blockedSecrets, type Acceptance } from '../domain/acceptance';
import type { KmsProfile } from '../domain/cluster-change';
import type { ErrorCode } from '../domain/errors';
import { OperationStatus, type Operation } from '../domain/operation';
import { pausedFor, pausesSoon, type Pause, type Resumption } from '../domain/pause';
import type { Outputs, StepOutput } from '../domain/plan/outputs';
import type { StepId } from '../domain/plan/steps';
import { stateLeft } from '../domain/state-left';
import { PROOF_HOLDS_FOR_MS } from '../domain/proof-validity';
import { LockLost } from './cluster-lock';
import { faultOf, OperationEnds, StepBlocked } from './endings';
import { SearchAttributes } from './messages';
import { awaitPeople } from './people-wait';
import { now, PublishedOperation } from './published-operation';

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
  /** Whether it begins also when a person asked for the end: the step before it left what must not stay. Once it was blocked, they may. */
  readonly evenIfCanceled: boolean;
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

/** What a running operation accepts. */
export const WHILE_RUNNING: Operation['offers'] = ['pause', 'cancel'];

/** How long an activity may know earlier than the workflow that the lock is gone. */
const LOCK_NEWS_WITHIN = '30 seconds';

/** Whether work ended because its scope was canceled. Temporal does not retry an activity that was to stop when its worker was lost. */
function wasGivenUp(error: unknown, scope: CancellationScope): boolean {
  if (isCancellation(error)) return true;
  return scope.consideredCancelled && error instanceof ActivityFailure && error.cause instanceof TimeoutFailure;
}

/** A step was given up in the middle for a pause. */
class PausedInTheMiddle extends Error {}

/** One running operation. */
export class OperationRun extends PublishedOperation {
  /** Set by the `cancel` update or by Temporal's own cancellation: the sentence says by whom. */
  private cancelReason: string | undefined;
  private retriesAsked = 0;
  /** The scope of what a cancellation may interrupt now. */
  private interruptible: CancellationScope | undefined;
  /** The scope of what a pause may interrupt now: a step that changes nothing half-way, and not the wait for a change in Azure. */
  private pausable: CancellationScope | undefined;
  private interruptedToPause = false;
  private lock: StepLock | undefined;
  private interruptionCount = 0;
  /** Why the step at hand was blocked last. */
  private blockedBy: string | undefined;
  private readonly wasContinued: boolean;

  /** Tells what this run made from what an operation of the same id made once; the same in every replay. */
  readonly nonce = uuid4();

  /** @param continued what an earlier run of the same workflow had done */
  constructor(
    view: Operation,
    private readonly next: (state: RunState) => Promise<never>,
    continued?: RunState,
  ) {
    super(view, continued?.outputs);
    this.wasContinued = continued !== undefined;
  }

  /** Asks for the end at the next safe point; interrupts what may be interrupted. */
  requestCancel(reason: string): void {
    this.cancelReason ??= reason;
    this.interruptible?.cancel();
  }

  /** Asks for a pause at the next safe point; interrupts what a pause may interrupt. */
  requestPause(pause: Pause): void {
    this.publish({ paused: pause, waitingFor: pausesSoon(pause), offers: ['resume', 'cancel'] });
    if (this.pausable === undefined) return;
    this.interruptedToPause = true;
    this.pausable.cancel();
  }

  /** Ends a pause, or takes back one that has not begun. */
  resume(resumption: Resumption): void {
    // One that has begun is shown as ended by `pausePoint`, where the operation goes on.
    const begun = this.operation.status === OperationStatus.Paused;
    this.publish({
      paused: null,
      resumed: resumption,
      ...(begun ? {} : { waitingFor: null, offers: WHILE_RUNNING }),
    });
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
    if (this.wasContinued || this.cancelRequested || this.operation.paused !== null) return;
    await condition(allHandlersFinished);
    this.safePoint();
    await this.next({ operation: this.operation, outputs: this.outputs });
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

  /** Waits, or returns when a person asked for the end. */
  async pause(ms: number): Promise<void> {
    await condition(() => this.cancelRequested, ms);
  }

  /** An approver accepts the Secrets that block a step: it is tried again, and takes them as they are. The first acceptance counts. */
  accept(acceptance: Omit<Acceptance, 'step'>): void {
    const blocked = this.operation.steps.find(({ status }) => status === 'blocked');
    if (!blocked || this.operation.blockedSecrets === null) return;
    this.publish({ acceptance: { ...acceptance, step: blocked.id }, blockedSecrets: null });
    this.requestRetry();
  }

  /** Whether a person asked for the end. */
  get cancelRequested(): boolean {
    return this.cancelReason !== undefined;
  }

  /** Asks for another try of the blocked step. */
  requestRetry(): void {
    this.retriesAsked += 1;
  }

  /** A safe point: ends the operation here when a person asked for it. @throws OperationEnds */
  safePoint(): void {
    if (this.cancelReason === undefined) return;
    const detail = `${this.cancelReason} ${this.stateLeft()}`;
    throw new OperationEnds(OperationStatus.Canceled, [{ code: 'CanceledOnRequest', detail }]);
  }

  /**
   * A safe point: stands still here while the operation is paused. The lock stays with it: the cluster is between two states.
   * A longer pause counts as an interruption: another client may have set another key and then this one again.
   */
  async pausePoint(): Promise<void> {
    const { paused } = this.operation;
    if (paused === null || this.cancelRequested) return;
    const since = Date.now();
    this.publish({
      status: OperationStatus.Paused,
      waitingFor: pausedFor(paused),
      offers: ['resume', 'cancel'],
    });
    await this.decision(
      'Paused: waits for resume or cancel',
      () => this.cancelRequested || this.operation.paused === null,
    );
    if (Date.now() - since > PROOF_HOLDS_FOR_MS) this.interruptionCount += 1;
    this.publish({ status: OperationStatus.Running, paused: null, waitingFor: null, offers: WHILE_RUNNING });
  }

  /** What the operation leaves behind if it ends here, for people. */
  stateLeft(): string {
    const { plan, steps } = this.operation;
    return stateLeft(plan, steps, {
      outputs: this.outputs,
      ...(this.blockedBy === undefined ? {} : { blockedBy: this.blockedBy }),
    });
  }

  /**
   * Runs one step of the plan until it is done. While it is blocked the operation says why and what may be asked of it.
   * @throws OperationEnds at a safe point after a person asked for the end
   */
  async step(id: StepId, options: StepOptions, work: (attempt: StepAttempt) => Promise<StepOutcome>): Promise<void> {
    for (let number = 1; ;) {
      if (!options.evenIfCanceled || number > 1) {
        await this.pausePoint();
        this.safePoint();
      }
      const startedAt = this.stepState(id).startedAt ?? now();
      this.publish(this.withStep(id, { status: 'running', startedAt, ...(number > 1 ? { attempt: number } : {}) }));
      try {
        if (options.locked) await this.lock?.regain();
        const attemptIt = (): Promise<StepOutcome> => work({ number });
        const { output, text } = await (options.interruptible ? this.pausably(attemptIt) : attemptIt());
        this.keep(id, output);
        this.blockedBy = undefined;
        // Shown with the start of the next step, or with the end: both follow at once, and each write costs history.
        this.change(this.withStep(id, { status: 'done', endedAt: now(), result: text }));
        return;
      } catch (error) {
        if (error instanceof OperationEnds || error instanceof ContinueAsNew) throw error;
        // The same try goes on after the pause.
        if (error instanceof PausedInTheMiddle) continue;
        number += 1;
        this.interruptionCount += 1;
        if (!(await this.lostLock(error))) await this.block(id, error, options);
      }
    }
  }

  /**
   * Work that changes nothing half-way, and is given up in the middle when a person asks for the end.
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
      if (wasGivenUp(error, scope)) {
        this.safePoint();
        this.requireLock();
      }
      throw error;
    } finally {
      this.interruptible = outer;
    }
  }

  /** `interruptibly`, and given up in the middle for a pause, too. @throws PausedInTheMiddle */
  private async pausably<T>(work: () => Promise<T>): Promise<T> {
    return await this.interruptibly(async () => {
      const scope = CancellationScope.current();
      this.pausable = scope;
      this.interruptedToPause = false;
      try {
        return await work();
      } catch (error) {
        // Also when the pause was taken back meanwhile: the work has stopped.
        if (this.interruptedToPause && wasGivenUp(error, scope)) throw new PausedInTheMiddle();
        throw error;
      } finally {
        this.pausable = undefined;
      }
    });
  }

  private async block(id: StepId, error: unknown, { acceptable }: StepOptions): Promise<void> {
    const asked = this.retriesAsked;
    const fault = faultOf(error);
    this.blockedBy = fault.code;
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
      // It stands still already, and a person decides.
      paused: null,
    });
    await this.decision(
      `Blocked, ${fault.code}: waits for ${blocked?.acceptable ? 'retry, accept' : 'retry'} or cancel`,
      () => this.cancelRequested || this.retriesAsked > asked,
    );
    this.change({
      status: OperationStatus.Running,
      reason: null,
      faults: [],
      waitingFor: null,
      offers: WHILE_RUNNING,
      blockedSecrets: null,
    });
    upsertSearchAttributes([{ key: SearchAttributes.status, value: OperationStatus.Running }]);
  }

  /**
   * Waits for a person. A lock that is lost meanwhile is taken again, so that no other operation changes what the person looks at.
   * @param summary what is waited for: the Temporal UI shows it in the timeline, at most 200 bytes
   */
  private async decision(summary: string, decided: () => boolean): Promise<void> {
    const { lock } = this;
    for (let without = false; !decided();) {
      await awaitPeople(summary, () => decided() || (!without && lock?.lost === true));
      if (decided() || without || lock?.lost !== true || (await lock.takeAgain())) continue;
      without = true;
      this.publish({
        waitingFor: `${this.operation.waitingFor ?? ''} The lock of the cluster was lost and another operation has it: a retry waits for that one first.`,
      });
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
}
