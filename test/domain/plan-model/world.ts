/**
 * Operations on the machine: real plans of the real planner, one effect after the other, and other clients and people in between. What must
 * hold is looked at after each effect and each act.
 */
import { blockedSecrets, isAccepted } from '../../../domain/acceptance';
import { hasProfile } from '../../../domain/cluster-change';
import { currentGeneration, type Ledger } from '../../../domain/ledger';
import { keyOf } from '../../../domain/encryption';
import { newOperation } from '../../../domain/new-operation';
import { OperationStatus, stepsAtEnd, stepStates } from '../../../domain/operation';
import type { Plan } from '../../../domain/plan/plan';
import { writesTo, type PlanStep } from '../../../domain/plan/steps';
import { plan } from '../../../domain/planner';
import type { OperationRequest } from '../../../domain/request';
import type { StepOutput } from '../../../domain/plan/outputs';
import { person } from '../fixtures';
import type { Behaviour } from './behaviour';
import { perform, removeCanaries } from './effects';
import { profileOf } from '../../../domain/plan/change-of-step';
import { Machine, PLAINTEXT, type Beginning } from './machine';
import { believed, observe } from './observation';
import { requestFor, type Ask } from './requests';
import { Blocked, Running, type Execution } from './running';

/** What was broken. */
export interface Breach {
  readonly invariant: 'K1' | 'K2' | 'K3' | 'K4' | 'K5' | 'O3' | 'truth' | 'program';
  readonly what: string;
}

const POLICY = { approvalsRequired: 1 };
const MOST_RETRIES = 3;
const PLANNING_AGAIN_IN_MS = 10 * 60_000;

/** The world. */
export class World {
  readonly machine: Machine;
  readonly breaches: Breach[] = [];
  /** Ended operations, by how. */
  readonly ended: OperationStatus[] = [];
  /** Whether approvers accept what they may accept. */
  accepts = false;
  /** See `Story`. */
  othersBringBack = false;
  /** Somebody edited the ledger: what it says from then on counts only as far as evidence confirms it. */
  edited = false;
  /** Keys that others set, and Keyturn has not noted. */
  readonly untold: Set<string>;
  /** What an edit of the ledger made Keyturn forget, up to its next proof: a forged proof hides older keys. */
  readonly #forgotten = new Set<string>();
  /** Others have set a key once: an older ledger put back may then call proven what was proven before that. */
  othersHaveSet = false;
  /** A backup was restored: then a proof of later, put back into the ledger, is one that evidence confirms. */
  restored = false;
  readonly pastLedgers: (Ledger | null)[] = [];
  readonly #behaviour: Behaviour;
  /** The holder of the lock is the last; those before it have lost it. */
  readonly #runs: RunState[] = [];
  #operations = 0;

  constructor(beginning: Beginning, behaviour: Behaviour) {
    this.machine = new Machine(beginning);
    this.#behaviour = behaviour;
    this.untold = new Set(this.machine.vault.keys());
  }

  /** An operation may have taken its baseline, and has not ended. */
  get isSwitching(): boolean {
    return this.#runs.some(({ run }) => Object.values(run.outputs).some(({ type }) => type === 'take-baseline'));
  }

  /** Whether an operation that began with this key as the current one is proving now. */
  isProving(keyId: string | null): boolean {
    return this.#runs.some(({ run }) => {
      const of = (type: PlanStep['type']): string[] =>
        run.plan.steps.flatMap((step) => (step.type === type ? [step.id] : []));
      const begun = of('converge').filter((id) =>
        run.statuses.some((one) => one.id === id && one.startedAt !== undefined),
      );
      const recorded = of('record-proof').filter((id) => run.outputs[id] !== undefined);
      return begun.length > recorded.length && keyOf(run.plan.from, {}) === keyId;
    });
  }

  get idle(): boolean {
    return this.#runs.length === 0;
  }

  /** The operation goes on to the next point where others may act; without one, what is asked for is begun. */
  go(ask: Ask): void {
    const state = this.#runs.at(-1);
    if (state) this.#guarded(state, () => this.#advance(state));
    else this.#begin(ask);
    this.#learn();
    this.check();
  }

  /** `refused`: by a rule of the kind. `faulty`: a plan is made, and checkPlan does not let it pass. */
  planning(ask: Ask): 'planned' | 'refused' | 'faulty' {
    const request = requestFor(this.machine, ask);
    const { plan: made } = plan(
      request,
      observe(this.machine, this.#behaviour, request),
      POLICY,
      this.#behaviour.kindOf(request.kind),
    );
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
    this.#begin(ask);
  }

  /** Others have set a key: nobody told Keyturn. */
  othersSet(keyId: string | null): void {
    this.othersHaveSet = true;
    for (const state of this.#runs) state.disturbed = true;
    if (keyId === null) return;
    this.untold.add(keyId);
    for (const { run } of this.#runs) this.#blindOf(run).add(keyId);
  }

  /** Others restore a backup of etcd, in the soak or between operations: with it the ledger is an older one. */
  restore(): void {
    const step = this.#runs.at(-1)?.run.plan.steps[this.#runs.at(-1)?.at ?? 0];
    if (step && step.type !== 'soak') return;
    if (this.machine.showsNoKeys) this.machine.switchAll();
    if (!this.machine.restore()) return;
    this.restored = true;
    this.editLedger(this.machine.ledger);
  }

  /** Somebody edits the ledger, or puts back another. */
  editLedger(ledger: Ledger | null): void {
    this.edited = true;
    this.machine.ledger = ledger;
    this.machine.previousTold = false;
    for (const key of this.#needed()) {
      this.#forgotten.add(key);
      for (const { run } of this.#runs) this.#blindOf(run).add(key);
    }
    this.check();
  }

  /** What must hold, whoever did something last. */
  check(): void {
    const { machine } = this;
    const { reconcile, keysNeeded } = this.#behaviour.ledger;
    const reported = machine.reportedKeyId();
    if (!machine.isReadable()) this.#breach('K2', 'A Secret is under a key that is in no slot.');
    for (const { invariant, what } of machine.harm) this.#breach(invariant, what);
    const run = this.#runs.at(-1)?.run;
    if (run || machine.ledger !== null) {
      const shown = run
        ? this.#behaviour.keysNeededNow(run.plan, run.statuses, run.outputs)
        : keysNeeded(reconcile(machine.ledger ?? undefined, reported, machine.at));
      const blind = run ? this.#blindOf(run) : this.untold;
      for (const key of this.#needed()) {
        if ([shown, [...this.untold], [...this.#forgotten], [...blind]].some((known) => known.includes(key))) continue;
        this.#breach(reported === null ? 'K3' : 'K1', `${key} is needed, and not shown.`);
      }
    }
    const { ledger } = machine;
    if (ledger === null) return;
    const claims = (known: Ledger): void => {
      const current = currentGeneration(reconcile(known, reported, machine.at));
      if (current?.state === 'proven' && !machine.isAllUnder(current.keyId ?? PLAINTEXT))
        this.#breach('K5', `${current.keyId} is called proven.`);
    };
    if (!this.edited) claims(ledger);
    // Evidence tells of an operation when it has ended: until then the lock keeps others from planning.
    if (this.idle) claims(believed(this.machine, this.#behaviour, ledger));
  }

  #needed(): string[] {
    const { slots, previousTold } = this.machine;
    return [...new Set([...this.machine.keysInUse(), slots.current, previousTold ? slots.previous : null])].filter(
      (key) => key !== null,
    );
  }

  /** What the ledger has, Keyturn was told. */
  #learn(): void {
    const { ledger } = this.machine;
    if (ledger === null) return;
    // What it has of an earlier time tells nothing of a key that others have set again.
    this.untold.delete(ledger.generations.at(-1)?.keyId ?? '');
    if (this.pastLedgers.at(-1) !== ledger) this.pastLedgers.push(ledger);
  }

  #blindOf(run: Running): Set<string> {
    const state = this.#runs.find((one) => one.run === run);
    return state?.blind ?? new Set();
  }

  /** A plan, or undefined when a rule of the kind is violated. */
  #plan(request: OperationRequest): { readonly plan: Plan; readonly digest: string } | undefined {
    const observation = observe(this.machine, this.#behaviour, request);
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

  #begin(ask: Ask): void {
    this.#operations++;
    const state = this.#take(`op-${this.#operations}`, requestFor(this.machine, ask));
    if (state) this.#runs.push(state);
    else this.machine.pass(PLANNING_AGAIN_IN_MS);
  }

  #take(id: string, request: OperationRequest): RunState | undefined {
    const planned = this.#plan(request);
    if (!planned) return undefined;
    const expected = profileOf(planned.plan.from, {});
    const run = new Running(id, request, planned.plan, expected);
    return {
      run,
      digest: planned.digest,
      at: 0,
      effect: undefined,
      retries: 0,
      changed: false,
      anotherHeldIt: false,
      disturbed: false,
      blind: new Set(),
    };
  }

  #guarded(state: RunState, work: () => void): void {
    try {
      work();
    } catch (error) {
      if (!(error instanceof Blocked)) {
        this.#breach('program', String(error));
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

  #accept({ run, at }: RunState, { refused }: Blocked): void {
    const step = run.plan.steps[at];
    if (!this.accepts || !step || refused.length === 0) return;
    const { acceptable, digest, secrets } = blockedSecrets(refused.length, refused, {
      acceptable: 'acceptable' in step && step.acceptable,
    });
    if (!acceptable || isAccepted(run.acceptance, refused.length, refused)) return;
    run.acceptance = { step: step.id, by: person('ann'), at: this.machine.at, reason: 'known', digest, secrets };
  }

  #advance(state: RunState): void {
    const { run } = state;
    const step = run.plan.steps[state.at];
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
      this.#forgotten.clear();
    run.mark(step.id, { status: 'done', endedAt: this.machine.at });
    Object.assign(state, { effect: undefined, at: state.at + 1 });
    run.attempt = 1;
    if (state.at === run.plan.steps.length) this.#end(state, OperationStatus.Succeeded);
  }

  /** Before the first step that is no gate the cluster is looked at again under the lock: approved = executed. */
  #passesGates(state: RunState, step: PlanStep): boolean {
    const { run } = state;
    const passed = Object.values(run.outputs);
    const gates = run.plan.steps.flatMap((one) => (one.type === 'gate' && run.outputs[one.id] ? [one.gate] : []));
    if (writesTo(step.type) !== 'nothing' && !gates.includes('start'))
      this.#breach('O3', `${step.id} runs before anybody has approved.`);
    if (step.type === 'set-kms' && step.to.mode === 'off' && !gates.includes('plaintext'))
      this.#breach('O3', `${step.id} runs before anybody has approved plaintext.`);
    if (step.type === 'upgrade-control-plane' && !gates.includes('upgrade'))
      this.#breach('O3', `${step.id} runs before anybody has approved the upgrade.`);
    if (step.type === 'delete-key' && !gates.includes('deletion'))
      this.#breach('O3', `${step.id} runs before anybody has approved the deletion.`);
    if (passed.some(({ type }) => type !== 'gate') || isBegun(state)) return true;
    const again = this.#take(run.id, run.request);
    if (!again) {
      this.#end(state, OperationStatus.Failed);
      return false;
    }
    if (again.digest === state.digest) return true;
    this.#runs.splice(this.#runs.indexOf(state), 1, again);
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
    if (status === OperationStatus.Succeeded) this.#checkResult(state);
    this.#runs.splice(this.#runs.indexOf(state), 1);
    this.#resume(run);
  }

  /** The operation below holds the lock again. */
  #resume(other: Running): void {
    const below = this.#runs.at(-1);
    if (!below) return;
    for (const key of this.#needed()) if (!keysOf(below.run).includes(key)) below.blind.add(key);
    below.disturbed = true;
    const changed = other.statuses.length > 0;
    if (below.anotherHeldIt && !below.changed && changed) this.#end(below, OperationStatus.Failed);
  }

  /** What a finished operation says of itself is true. */
  #checkResult({ run, disturbed }: RunState): void {
    const { machine } = this;
    try {
      const { currentKeyId, proof } = this.#behaviour.resultOf(run.plan, run.outputs);
      if (disturbed || this.edited) return;
      if (machine.reportedKeyId() !== currentKeyId)
        this.#breach('truth', `The result has ${currentKeyId} as the current key.`);
      if (proof === null || !this.#behaviour.isConclusive(proof)) return;
      if (!machine.isAllUnder(currentKeyId ?? PLAINTEXT)) this.#breach('truth', 'The result calls proven what is not.');
      const current = machine.ledger && currentGeneration(believed(machine, this.#behaviour, machine.ledger));
      if (current?.state !== 'proven' || current.keyId !== currentKeyId)
        this.#breach('truth', 'The result calls proven what the ledger does not.');
    } catch (error) {
      this.#breach('program', String(error));
    }
  }

  #breach(invariant: Breach['invariant'], what: string): void {
    this.breaches.push({ invariant, what });
  }
}

interface RunState {
  readonly run: Running;
  /** Of the plan as the planner made it. */
  readonly digest: string;
  /** Which step. */
  at: number;
  effect: Generator<void, StepOutput, void> | undefined;
  retries: number;
  changed: boolean;
  anotherHeldIt: boolean;
  /** Others have set a key, or switched KMS off, since its plan. */
  disturbed: boolean;
  /** Keys that this operation cannot know of: others set them since its plan. */
  readonly blind: Set<string>;
}

/** Whether anything but a gate has begun. */
function isBegun({ run }: RunState): boolean {
  return run.statuses.some(
    ({ id, startedAt }) => startedAt !== undefined && run.plan.steps.find((step) => step.id === id)?.type !== 'gate',
  );
}

function keysOf({ plan: { keysNeeded } }: Running): readonly string[] {
  return keysNeeded;
}
