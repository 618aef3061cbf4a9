/**
 * Operations on the machine: real plans of the real planner, one effect after the other, and other clients and people in between. What must
 * hold is looked at after each effect and each act.
 */
import { blockedSecrets, isAccepted } from '../../../domain/acceptance';
import { hasProfile } from '../../../domain/cluster-change';
import { currentGeneration, type Ledger } from '../../../domain/ledger';
import { newOperation } from '../../../domain/new-operation';
import { OperationStatus, stepsAtEnd, stepStates } from '../../../domain/operation';
import { writesTo, type PlanStep } from '../../../domain/plan/steps';
import { plan } from '../../../domain/planner';
import type { OperationRequest } from '../../../domain/request';
import type { StepOutput } from '../../../domain/plan/outputs';
import { person, SIGNED } from '../fixtures';
import type { Behaviour } from './behaviour';
import { perform, removeCanaries } from './effects';
import { Judge, type Breach } from './judge';
import { Machine, type Beginning } from './machine';
import { observe } from './observation';
import { requestFor, type Ask } from './requests';
import { isBegun, isProving, isSwitching, newRun, stepAt, type Planned, type RunState } from './run-state';
import { Blocked, type Execution, type Running } from './running';

const POLICY = { approvalsRequired: 1 };
const MOST_RETRIES = 3;
const PLANNING_AGAIN_IN_MS = 10 * 60_000;

/** The world. */
export class World {
  readonly machine: Machine;
  readonly judge: Judge;
  /** Ended operations, by how. */
  readonly ended: OperationStatus[] = [];
  /** Whether approvers accept what they may accept. */
  accepts = false;
  /** See `Story`. */
  othersBringBack = false;
  /** Others have set a key once: an older ledger put back may then call proven what was proven before that. */
  othersHaveSet = false;
  /** A backup was restored: then a proof of later, put back into the ledger, is one that evidence confirms. */
  restored = false;
  readonly #behaviour: Behaviour;
  /** The holder of the lock is the last; those before it have lost it. */
  readonly #runs: RunState[] = [];
  #operations = 0;
  #lastPlan: { readonly of: readonly unknown[]; readonly planned: Planned | undefined } | undefined;

  constructor(beginning: Beginning, behaviour: Behaviour) {
    this.machine = new Machine(beginning);
    this.#behaviour = behaviour;
    this.judge = new Judge(this.machine, behaviour);
  }

  get breaches(): readonly Breach[] {
    return this.judge.breaches;
  }

  /** An operation may have taken its baseline, and has not ended. */
  get isSwitching(): boolean {
    return this.#runs.some(isSwitching);
  }

  /** Whether an operation that began with this key as the current one is proving now. */
  isProving(keyId: string | null): boolean {
    return this.#runs.some((state) => isProving(state, keyId));
  }

  get idle(): boolean {
    return this.#runs.length === 0;
  }

  /** The operation goes on to the next point where others may act; without one, what is asked for is begun. */
  go(ask: Ask): void {
    if (this.idle) this.begin(requestFor(this.machine, ask));
    else this.goOn();
  }

  /** The operation goes on to the next point where others may act. */
  goOn(): void {
    const state = this.#runs.at(-1);
    if (state) this.#guarded(state, () => this.#advance(state));
    this.judge.learn();
    this.check();
  }

  /** @returns whether an operation began, and not refused */
  begin(request: OperationRequest): boolean {
    const begun = this.#begin(request);
    this.judge.learn();
    this.check();
    return begun;
  }

  /** `refused`: by a rule of the kind. `faulty`: a plan is made, and checkPlan does not let it pass. */
  planning(ask: Ask): 'planned' | 'refused' | 'faulty' {
    const request = requestFor(this.machine, ask);
    const observation = observe(this.machine, this.#behaviour, request);
    if (observation === undefined) return 'refused';
    const { plan: made } = plan(request, observation, POLICY, this.#behaviour.kindOf(request.kind));
    if (made === null) return 'refused';
    return this.#plan(request) ? 'planned' : 'faulty';
  }

  /** The worker dies; the step begins again, and what it did is done. */
  crash(): void {
    const state = this.#runs.at(-1);
    if (state) state.effect = undefined;
  }

  /** Something else fails: the step is blocked, and retried. */
  fail(): void {
    const state = this.#runs.at(-1);
    if (state && isBegun(state)) this.#interrupt(state);
  }

  cancel(): void {
    const state = this.#runs.at(-1);
    if (state) this.#end(state, OperationStatus.Canceled);
    this.check();
  }

  /** @param ask what another operation does that takes the lock meanwhile; absent when the lock is free to be taken again */
  loseLock(ask?: Ask): void {
    const state = this.#runs.at(-1);
    if (!state || !isBegun(state)) return;
    this.#interrupt(state);
    state.run.unverified = true;
    if (ask === undefined || this.#runs.length > 1) return;
    state.anotherHeldIt = true;
    this.#begin(requestFor(this.machine, ask));
  }

  /** Others have set a key: nobody told Keyturn. */
  othersSet(keyId: string | null): void {
    this.othersHaveSet = true;
    for (const state of this.#runs) state.disturbed = true;
    if (keyId === null) return;
    this.judge.untold.add(keyId);
    for (const { blind } of this.#runs) blind.add(keyId);
  }

  /** Others restore a backup of etcd, in the soak or between operations: with it the ledger is an older one. */
  restore(): void {
    const state = this.#runs.at(-1);
    const step = state && stepAt(state);
    if (step && step.type !== 'soak') return;
    if (this.machine.showsNoKeys) this.machine.switchAll();
    if (!this.machine.restore()) return;
    this.restored = true;
    this.editLedger(this.machine.ledger);
  }

  /** Somebody edits the ledger, or puts back another. */
  editLedger(ledger: Ledger | null): void {
    this.machine.ledger = ledger;
    this.machine.previousTold = false;
    this.judge.ledgerEdited(this.#runs);
    this.check();
  }

  /** What must hold, whoever did something last. */
  check(): void {
    this.judge.check(this.#runs);
  }

  /** A plan, or undefined when a rule of the kind is violated. One that was made of the same facts is not made again. */
  #plan(request: OperationRequest): Planned | undefined {
    const of = [request, ...this.machine.facts()];
    const last = this.#lastPlan;
    if (last && of.every((fact, index) => Object.is(fact, last.of[index]))) return last.planned;
    const planned = this.#planAnew(request);
    this.#lastPlan = { of, planned };
    return planned;
  }

  #planAnew(request: OperationRequest): Planned | undefined {
    const observation = observe(this.machine, this.#behaviour, request);
    if (observation === undefined) return undefined;
    const made = plan(request, observation, POLICY, this.#behaviour.kindOf(request.kind)).plan;
    if (made === null) return undefined;
    const mistaken = this.#behaviour.mistake(made);
    const ledger = this.#behaviour.ledger.reconcile(
      observation.ledger ?? undefined,
      this.machine.reportedKeyId(),
      this.machine.at,
    );
    const proven = currentGeneration(ledger)?.state === 'proven';
    const faults = this.#behaviour.planFaults(mistaken.steps, { state: made.from, proven });
    return faults.length > 0 ? undefined : { plan: mistaken, digest: made.digest };
  }

  #begin(request: OperationRequest): boolean {
    this.#operations++;
    const planned = this.#plan(request);
    if (planned) this.#runs.push(newRun(`op-${this.#operations}`, request, planned));
    else this.machine.pass(PLANNING_AGAIN_IN_MS);
    return planned !== undefined;
  }

  #guarded(state: RunState, work: () => void): void {
    try {
      work();
    } catch (error) {
      if (!(error instanceof Blocked)) {
        this.judge.breach('program', String(error));
        this.#end(state, OperationStatus.Failed);
        return;
      }
      this.#interrupt(state);
      this.#accept(state, error);
      if (++state.retries > MOST_RETRIES) this.#end(state, OperationStatus.Canceled);
    }
  }

  #interrupt(state: RunState): void {
    state.effect = undefined;
    state.run.interruptions++;
    state.run.attempt++;
  }

  #accept(state: RunState, { refused }: Blocked): void {
    const { run } = state;
    const step = stepAt(state);
    if (!this.accepts || !step || refused.length === 0) return;
    const { acceptable, digest, secrets } = blockedSecrets(refused.length, refused, {
      acceptable: 'acceptable' in step && step.acceptable,
    });
    if (!acceptable || isAccepted(run.acceptance, refused.length, refused)) return;
    run.acceptance = {
      ...SIGNED,
      step: step.id,
      by: person('ann'),
      at: this.machine.at,
      reason: 'known',
      digest,
      secrets,
    };
  }

  #advance(state: RunState): void {
    const { run } = state;
    const step = stepAt(state);
    if (step === undefined) return this.#end(state, OperationStatus.Succeeded);
    if (run.outputs[step.id] !== undefined && state.effect === undefined && step.type !== 'record-proof') {
      state.at++;
      return;
    }
    if (step.type !== 'gate' && !this.#passesGates(state, step)) return;
    state.effect ??= this.#start(state, step);
    const result = state.effect.next();
    if (!result.done) return;
    run.keep(step.id, result.value);
    if (result.value.type === 'record-proof' && result.value.proven && result.value.ledger === this.machine.ledger)
      this.judge.provenAgain();
    run.mark(step.id, { status: 'done', endedAt: this.machine.at });
    Object.assign(state, { effect: undefined, at: state.at + 1 });
    run.attempt = 1;
    if (state.at === run.plan.steps.length) this.#end(state, OperationStatus.Succeeded);
  }

  /** Before the first step that is no gate the cluster is looked at again under the lock: approved = executed. */
  #passesGates(state: RunState, step: PlanStep): boolean {
    const { run } = state;
    this.judge.checkGates(state, step, writesTo(step.type) !== 'nothing');
    if (Object.values(run.outputs).some(({ type }) => type !== 'gate') || isBegun(state)) return true;
    const again = this.#plan(run.request);
    if (!again) {
      this.#end(state, OperationStatus.Failed);
      return false;
    }
    if (again.digest === state.digest) return true;
    this.#runs.splice(this.#runs.indexOf(state), 1, newRun(run.id, run.request, again));
    return false;
  }

  #start(state: RunState, step: PlanStep): Generator<void, StepOutput, void> {
    const { run } = state;
    const { machine } = this;
    if (run.unverified && run.expected !== null && !hasProfile(machine.observed().kms, run.expected))
      throw new Blocked('KeyNotReported');
    run.unverified = false;
    if (step.type === 'set-kms') state.changed = true;
    const startedAt = run.statuses.find(({ id }) => id === step.id)?.startedAt ?? machine.at;
    run.mark(step.id, { status: 'running', startedAt });
    const execution: Execution = { machine, behaviour: this.#behaviour, run };
    return perform(step, execution);
  }

  #end(state: RunState, status: OperationStatus): void {
    const { machine } = this;
    const { run } = state;
    if (status !== OperationStatus.Succeeded && machine.pick(3) > 0) removeCanaries({ machine, run });
    const operation = newOperation({
      id: run.id,
      request: run.request,
      requestedBy: person('olga'),
      requestedAt: machine.at,
    });
    const steps = stepsAtEnd(stepStates(run.plan, run.statuses));
    machine.now += 1;
    machine.evidence.push({
      sealedAt: machine.at,
      outputs: run.outputs,
      operation: { ...operation, status, plan: run.plan, steps, endedAt: machine.at },
    });
    this.ended.push(status);
    if (status === OperationStatus.Succeeded) this.judge.checkResult(state);
    this.#runs.splice(this.#runs.indexOf(state), 1);
    this.#resume(run);
  }

  /** The operation below holds the lock again. */
  #resume(other: Running): void {
    const below = this.#runs.at(-1);
    if (!below) return;
    for (const key of this.judge.needed()) if (!below.run.plan.keysNeeded.includes(key)) below.blind.add(key);
    below.disturbed = true;
    const changed = other.statuses.length > 0;
    if (below.anotherHeldIt && !below.changed && changed) this.#end(below, OperationStatus.Failed);
  }
}
