/**
 * What each type of step does to the machine: the order of workflows/steps/, on the rules of domain/. A new type of step is one
 * more line in `EFFECTS`, and what it works on is new state of the machine.
 *
 * An effect yields wherever others may act: there the worker may crash (the step begins again), the operation may be canceled, or the
 * lock be lost.
 */
import { isAccepted } from '../../../domain/acceptance';
import { hasProfile, isApplied, type ClusterChange, type KmsProfile } from '../../../domain/cluster-change';
import { keyOf, targetOf } from '../../../domain/encryption';
import { currentGeneration, type Ledger } from '../../../domain/ledger';
import { changeOf, profileOf } from '../../../domain/plan/change-of-step';
import { madeKeys, outputOf, type StepOutput } from '../../../domain/plan/outputs';
import type { CsiStepType } from '../../../domain/csi/steps';
import { stepOf, writesTo, type PlanStep, type StepOf, type StepType } from '../../../domain/plan/steps';
import {
  addReports,
  hadNoEffect,
  wentBackwards,
  type Proof,
  type ProofBounds,
  type RewriteReport,
} from '../../../domain/proof';
import type { RefusedSecret } from '../../../domain/refusal';
import { boundsOf, sameProcesses, type Convergence } from '../../../domain/convergence';
import { takeBaseline, Watch, canariesOf } from './canaries';
import { checkKeyUnused, deleteKey, disableKeyVersion, soak } from './retirement';
import { Blocked, type Effect, type Execution } from './running';
import { objectOf } from './names';
import { pass } from './secrets';
import { EFFECTS_ON_VAULTS } from './vaults';

const PROOF_ROUNDS = 3;
/** Looks until a person is asked. */
const MOST_LOOKS = 6;
/** Between the note of a switch and the request to ARM. */
const ASKED_WITHIN_IN_MS = 10 * 60_000;
const LOOK_IN_MS = 1_000;

/** Steps that do something to keys or Secrets; those of the CSI kinds do not. */
type ModelledStep = Exclude<StepType, CsiStepType>;

/** One effect for each type of step. */
export const EFFECTS: { readonly [T in ModelledStep]: Effect<T> } = {
  *gate() {
    yield;
    return { type: 'gate', approvedBy: ['ann'] };
  },

  *'create-key-version'(step, { machine, run }) {
    const name = `${run.id}/${step.id}`;
    if (machine.azure.stateOf(step.like) !== 'enabled') throw new Blocked('CreateKeyRefused');
    const keyId = machine.madeBy.get(name) ?? machine.newVersion(objectOf(step.like));
    machine.madeBy.set(name, keyId);
    yield;
    return { type: 'create-key-version', keyId };
  },

  *'take-baseline'(_step, execution) {
    const baseline = takeBaseline(execution);
    yield;
    return { type: 'take-baseline', baseline };
  },

  *'set-kms'(step, execution) {
    const { machine, behaviour, run } = execution;
    const after = keyOf(step.to, madeKeys(run.outputs));
    const { change, expect } = changeOf(step, madeKeys(run.outputs));
    const { reconcile, activating, activated } = behaviour.ledger;
    // From here on Azure may report either, until the switch is seen.
    run.expected = null;
    // Azure is read before the note: a note by a plan that does not fit the cluster any more makes the ledger evict what is in a slot.
    requireExpected(execution, change, expect);
    changeLedger(execution, (ledger) => {
      const agreed = reconcile(ledger, machine.reportedKeyId(), machine.at, run.id);
      // Others may have set another key and this one again since the plan: then what Azure reports is right, and unproven (K2).
      const noted = agreed.generations.at(-1)?.operationId === run.id;
      if (behaviour.switchesProvenOnly && !noted && currentGeneration(agreed)?.state !== 'proven')
        throw new Blocked('ClusterChangedOutside');
      return activating(agreed, after, run.id, machine.at);
    });
    const notedAt = machine.now;
    yield;
    if (!isApplied(machine.observed(), change)) {
      // An hour after the note every API server is taken to have switched: so ARM is asked soon, or it is noted anew.
      if (machine.now - notedAt > ASKED_WITHIN_IN_MS) throw new Blocked('ClusterBusy');
      requireExpected(execution, change, expect);
      if (!machine.accepts(profileOf(step.to, madeKeys(run.outputs)))) throw new Blocked('ArmRequestRefused');
      machine.set(profileOf(step.to, madeKeys(run.outputs)), 'keyturn');
      yield;
    }
    if (machine.failed) throw new Blocked('ArmOperationFailed');
    if (!isApplied(machine.observed(), change)) throw new Blocked('ChangeNotApplied');
    const ledger = changeLedger(execution, (known) => activated(known, after));
    run.expected = profileOf(step.to, madeKeys(run.outputs));
    yield;
    return { type: 'set-kms', armOperations: [], ledger };
  },

  *converge(step, execution) {
    const { run } = execution;
    run.converging(step.id);
    const baseline =
      step.baseline === null ? undefined : outputOf(run.outputs, step.baseline, 'take-baseline').baseline;
    const watch = new Watch(execution, targetOf(step.to, madeKeys(run.outputs)), baseline);
    return { type: 'converge', convergence: yield* lookUntilConverged(watch, execution) };
  },

  *rewrite(step, execution) {
    if (execution.run.attempt > 1 || wasInterrupted(step.since, execution)) yield* convergeAgain(step.since, execution);
    const { report, sum } = yield* rewriteOnce(step, execution);
    if (hadNoEffect(report)) throw new Blocked('RewriteHadNoEffect');
    refuseUnproven(report.refused, report.refusedSecrets, execution);
    return { type: 'rewrite', report: sum };
  },

  *prove(step, execution) {
    const again = execution.run.attempt > 1 || wasInterrupted(step.since, execution);
    const proof = yield* proveInRounds(step, execution, again);
    refuseIncomplete(proof, execution);
    return { type: 'prove', proof };
  },

  *'record-proof'(step, execution) {
    const { machine, behaviour, run } = execution;
    const { reconcile, proven } = behaviour.ledger;
    const known = run.outputs[step.id];
    let recorded: StepOutput;
    if (known?.type === 'record-proof') recorded = known;
    else {
      const proof = yield* timelyProof(step, execution);
      const keyId = keyOf(step.to, madeKeys(run.outputs));
      const conclusive = behaviour.isConclusive(proof);
      const claim = {
        operationId: run.id,
        at: machine.at,
        convergedRv: proof.bounds.convergedRv,
        secrets: proof.secrets,
      };
      const ledger = changeLedger(execution, (before) => {
        const agreed = reconcile(before, keyId, machine.at, run.id);
        return conclusive ? proven(agreed, keyId, claim) : agreed;
      });
      const { eTag } = machine;
      recorded = { type: 'record-proof', ledger, proven: conclusive, ...(eTag === undefined ? {} : { eTag }) };
      run.keep(step.id, recorded);
    }
    yield;
    if (run.plan.steps.findLast(({ type }) => type === 'record-proof')?.id === step.id) removeCanaries(execution);
    return recorded;
  },

  'upgrade-control-plane': upgrade,
  'upgrade-pool': upgrade,
  'check-key-unused': checkKeyUnused,
  'disable-key-version': disableKeyVersion,
  soak,
  'delete-key': deleteKey,

  ...EFFECTS_ON_VAULTS,
};

/** Performs a step of any type. */
export function perform(step: PlanStep, execution: Execution): Generator<void, StepOutput, void> {
  const { machine } = execution;
  if (writesTo(step.type) === 'kubernetes' && !machine.writes) throw new Blocked('ClusterUnavailable');
  return (EFFECTS[step.type as ModelledStep] as Effect<StepType>)(step, execution);
}

/** What is left of them is a Secret like any other. */
export function removeCanaries({ machine, run }: Pick<Execution, 'machine' | 'run'>): void {
  for (const name of canariesOf(run.id)) machine.cluster.etcd.delete(name);
}

/** Azure must report what the plan expects before a change, or the change. */
function requireExpected({ machine }: Execution, change: ClusterChange, expect: KmsProfile): void {
  if (!isApplied(machine.observed(), change) && !hasProfile(machine.observed().kms, expect))
    throw new Blocked('ClusterChangedOutside');
}

function* upgrade(
  step: StepOf<'upgrade-control-plane'> | StepOf<'upgrade-pool'>,
  execution: Execution,
): Generator<void, StepOutput, void> {
  const { machine, run } = execution;
  const { change, expect } = changeOf(step, madeKeys(run.outputs));
  if (!isApplied(machine.observed(), change)) {
    if (!hasProfile(machine.observed().kms, expect)) throw new Blocked('ClusterChangedOutside');
    if (step.type === 'upgrade-pool') machine.pools.set(step.pool, step.to);
    else machine.upgrade(step.to);
    yield;
  }
  return { type: step.type, armOperations: [], version: step.to };
}

/** As activities/ledger.ts: read, change, write, fenced by the resource version. */
function changeLedger({ machine }: Execution, change: (ledger: Ledger) => Ledger): Ledger {
  try {
    machine.ledger = change(machine.ledger ?? { version: 1, generations: [] });
  } catch (error) {
    throw error instanceof Blocked ? error : new Blocked('LedgerContradiction');
  }
  return machine.ledger;
}

function* lookUntilConverged(watch: Watch, { machine }: Execution): Generator<void, Convergence, void> {
  for (let looks = 0; looks < MOST_LOOKS; looks++) {
    const convergence = watch.look();
    yield;
    if (convergence) return convergence;
    machine.pass(LOOK_IN_MS);
  }
  throw new Blocked('NotConverged');
}

function* convergeAgain(since: string, execution: Execution): Generator<void, void, void> {
  const step = stepOf(execution.run.plan.steps, since, 'converge');
  execution.run.keep(since, yield* EFFECTS.converge(step, execution));
}

function* rewriteOnce(
  step: StepOf<'rewrite'>,
  execution: Execution,
): Generator<void, Record<'report' | 'sum', RewriteReport>, void> {
  const { run } = execution;
  const { report } = yield* pass(execution, boundsSince(step, execution));
  const earlier = run.outputs[step.id];
  const sum = earlier?.type === 'rewrite' ? addReports(earlier.report, report) : report;
  run.keep(step.id, { type: 'rewrite', report: sum });
  return { report, sum };
}

function* proveInRounds(
  step: StepOf<'prove'>,
  execution: Execution,
  fromConvergence: boolean,
): Generator<void, Proof, void> {
  const { machine, run } = execution;
  for (let round = 1; ; round++) {
    if (fromConvergence || round > 1) {
      yield* convergeAgain(step.since, execution);
      const rewriting = run.plan.steps.find((one) => one.type === 'rewrite' && one.since === step.since);
      if (rewriting?.type === 'rewrite') yield* rewriteOnce(rewriting, execution);
    }
    const bounds = boundsSince(step, execution);
    const { report, finalRv, unproven } = yield* pass(execution, bounds);
    const held = convergenceHolds(step, execution);
    if (wentBackwards(finalRv, machine.cluster.list().resourceVersion))
      throw new Blocked('ResourceVersionWentBackwards');
    run.proven(step.id, machine.now);
    const proof: Proof = {
      bounds,
      finalRv,
      secrets: report.secrets - report.gone,
      unproven: unproven.length,
      unprovenSecrets: [...unproven],
      convergenceHeld: held,
      weaknesses: [],
    };
    yield;
    if (held || unproven.length > 0 || round === PROOF_ROUNDS) return proof;
  }
}

/** The second look, as activities/convergence-recheck.ts takes it. */
function convergenceHolds(step: StepOf<'prove'>, execution: Execution): boolean {
  const { run } = execution;
  const first = outputOf(run.outputs, step.since, 'converge').convergence;
  const watch = new Watch(execution, targetOf(step.to, madeKeys(run.outputs)), undefined);
  const second = watch.look();
  return (
    second !== undefined &&
    second.flips === 0 &&
    second.contentChanges === 0 &&
    sameProcesses(first.processes, second.processes)
  );
}

/** A proof that may be recorded now; Azure is asked for what it reports last. */
function* currentProof(step: StepOf<'record-proof'>, execution: Execution): Generator<void, Proof, void> {
  const { run } = execution;
  const proving = stepOf(run.plan.steps, step.proof, 'prove');
  const verify = (): string | null => {
    const to = profileOf(step.to, madeKeys(run.outputs));
    if (!isApplied(execution.machine.observed(), { type: 'kms', to })) throw new Blocked('KeyNotReported');
    return keyOf(step.to, madeKeys(run.outputs));
  };
  for (let round = 1; round <= PROOF_ROUNDS; round++) {
    if (isVoid(proving, execution)) {
      verify();
      const proof = yield* proveInRounds(proving, execution, true);
      refuseIncomplete(proof, execution);
      run.keep(step.proof, { type: 'prove', proof });
    }
    if (!isVoid(proving, execution, verify())) return outputOf(run.outputs, step.proof, 'prove').proof;
  }
  throw new Blocked('NotConverged');
}

/** The write comes later than the look at Azure, and refuses a proof that is too old by then: it is taken again. */
function* timelyProof(step: StepOf<'record-proof'>, execution: Execution): Generator<void, Proof, void> {
  const { machine, behaviour, run } = execution;
  for (let round = 1; round <= PROOF_ROUNDS; round++) {
    const proof = yield* currentProof(step, execution);
    yield;
    if (machine.now - run.provenAt(step.proof) <= behaviour.proofHoldsForMs) return proof;
  }
  throw new Blocked('NotConverged');
}

function isVoid(proving: StepOf<'prove'>, execution: Execution, reportedKeyId?: string | null): boolean {
  const { machine, behaviour, run } = execution;
  return (
    behaviour.voidReason({
      interruptionsBefore: run.interruptionsBefore(proving.since),
      interruptionsNow: run.interruptions,
      ageInMs: machine.now - run.provenAt(proving.id),
      provenKeyId: keyOf(proving.to, madeKeys(run.outputs)),
      ...(reportedKeyId === undefined ? {} : { reportedKeyId }),
    }) !== undefined
  );
}

function boundsSince({ since }: StepOf<'rewrite'> | StepOf<'prove'>, { run }: Execution): ProofBounds {
  return boundsOf(outputOf(run.outputs, since, 'converge').convergence);
}

function wasInterrupted(since: string, { run }: Execution): boolean {
  return run.interruptionsBefore(since) !== run.interruptions;
}

function refuseUnproven(count: number, secrets: readonly RefusedSecret[], { run }: Execution): void {
  if (!isAccepted(run.acceptance, count, secrets)) throw new Blocked('SecretsUnproven', secrets);
}

function refuseIncomplete(proof: Proof, execution: Execution): void {
  refuseUnproven(proof.unproven, proof.unprovenSecrets, execution);
  if (!proof.convergenceHeld) throw new Blocked('NotConverged');
}
