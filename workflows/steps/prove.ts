/**
 * Performers of the steps that rewrite and prove: converge, rewrite, prove, record.
 *
 * A proof holds for the convergence that it was made after. Whatever blocks or changes between converge and record voids it: then it
 * is taken again from convergence on, before anything is recorded.
 */
import { ActivityFailure } from '@temporalio/workflow';
import type { PassInput } from '../../activities/contract';
import { acceptanceFor, isAccepted, type Acceptance } from '../../domain/acceptance';
import type { ErrorCode } from '../../domain/errors';
import { describeTarget, keyOf, targetOf, type EncryptionState } from '../../domain/encryption';
import { profileOf } from '../../domain/plan/change-of-step';
import { madeKeys, outputOf, type StepOutput } from '../../domain/plan/outputs';
import { stepOf, type StepId, type StepOf } from '../../domain/plan/steps';
import { addReports, hadNoEffect, isConclusive, type Proof, type RewriteReport } from '../../domain/proof';
import type { RefusedSecret } from '../../domain/refusal';
import { PROOF_HOLDS_FOR_MS, voidReason } from '../../domain/proof-validity';
import { awaitIdleCluster } from '../cluster-idle';
import { underLock } from '../held-cluster';
import type { Execution } from './execution';
import { faultOf, StepBlocked } from '../endings';
import type { StepAttempt, StepOutcome } from '../operation-run';

/** How often a proof is taken again by itself. */
const PROOF_ROUNDS = 3;

/** Waits until every API server writes with the target. */
export async function converge(step: StepOf<'converge'>, execution: Execution): Promise<StepOutcome> {
  const { run, proofs } = execution;
  proofs.converging(step.id, run.interruptions);
  const convergence = await underLock(run)
    .lasting(`See every API server write with ${nameOf(step.to, execution)}`)
    .awaitConvergence({
      ...run.reference(step.id),
      ...(step.baseline === null ? {} : { baseline: outputOf(run.outputs, step.baseline, 'take-baseline').baseline }),
    });
  const { convergedRv, leases, stillProbes, metrics, weaknesses } = convergence;
  const strength = metrics === 'confirmed' ? 'metrics agree' : `with weaker evidence: ${weaknesses.join(' ')}`;
  return {
    output: { type: 'converge', convergence },
    text: `Rc is ${convergedRv}; ${leases.length} API server(s) agree over ${stillProbes} fresh connections, ${strength}.`,
  };
}

/** Rewrites every Secret. After a block the API servers may have changed: they are seen to agree again first. */
export async function rewrite(
  step: StepOf<'rewrite'>,
  execution: Execution,
  { number }: StepAttempt,
): Promise<StepOutcome> {
  if (number > 1 || wasInterrupted(step.since, execution)) await convergeAgain(step.since, execution);
  const { pass: report, sum } = await rewriteOnce(step, execution);
  const acceptance = acceptanceFor(execution.run.operation.acceptance, step.id);
  // Judged by this pass alone: what an earlier one did says nothing of the API servers as they are now.
  if (hadNoEffect(report)) {
    throw new StepBlocked({
      code: 'RewriteHadNoEffect',
      detail: `${report.contradictions} of ${report.contradictions + report.rewritten} Secrets that had to change did not. Some API server does not write with the target. Keep every key listed under keysNeeded.`,
    });
  }
  refuseUnproven(report.refused, report.refusedSecrets, acceptance);
  return outcomeOf(sum);
}

/** Proves every Secret from a fresh list. */
export async function prove(
  step: StepOf<'prove'>,
  execution: Execution,
  { number }: StepAttempt,
): Promise<StepOutcome> {
  const proof = await proveInRounds(step, execution, number > 1 || wasInterrupted(step.since, execution));
  refuseIncomplete(proof, acceptanceFor(execution.run.operation.acceptance, step.id));
  return { output: { type: 'prove', proof }, text: proofText(proof) };
}

/**
 * Compares what Azure reports, and records the proof. What was accepted, or cannot be known, is not recorded as proven: the
 * next operation proves first, before a key leaves its slot (K2).
 */
export async function recordProof(step: StepOf<'record-proof'>, execution: Execution): Promise<StepOutcome> {
  const { run } = execution;
  const { quick } = underLock(run);
  const earlier = run.outputs[step.id];
  const recorded = earlier?.type === 'record-proof' ? earlier : await recordCurrentProof(step, execution);
  // Kept before the canaries go: a retry of this step must not judge the proof again.
  run.keep(step.id, recorded);
  if (run.plan.steps.findLast(({ type }) => type === 'record-proof')?.id === step.id) {
    await quick('Delete the canaries').removeCanaries(run.reference(step.id));
  }
  const { proof } = outputOf(run.outputs, step.proof, 'prove');
  return {
    output: recorded,
    text: `Azure reports ${nameOf(step.to, execution)}; the ledger has it ${recordText(proof)}.`,
  };
}

/** Records the proof that stands; one that could not be recorded in time is taken again. */
async function recordCurrentProof(
  step: StepOf<'record-proof'>,
  execution: Execution,
): Promise<StepOutput & { readonly type: 'record-proof' }> {
  const { run, proofs } = execution;
  for (let round = 1; ; round += 1) {
    const { proof, eTag } = await currentProof(step, execution);
    const proven = isConclusive(proof);
    try {
      const ledger = await underLock(run)
        .quick('Record what is proven')
        .recordProof({
          ...run.reference(step.id),
          proof,
          validUntil: new Date(proofs.takenAt(step.proof) + PROOF_HOLDS_FOR_MS).toISOString(),
        });
      return { type: 'record-proof', ledger, proven, ...(eTag === undefined ? {} : { eTag }) };
    } catch (error) {
      const outdated: ErrorCode = 'ProofOutdated';
      if (!(error instanceof ActivityFailure) || round === PROOF_ROUNDS || faultOf(error).code !== outdated)
        throw error;
      // By the clock of the worker it is too old, whatever this workflow's clock says.
      proofs.proven(step.proof, 0);
    }
  }
}

/**
 * A proof that may be recorded now: the one at hand, or, when something may have changed the cluster since, one that is taken
 * again from convergence on. Azure is asked for what it reports last.
 * @throws StepBlocked when it is void time and again
 */
async function currentProof(
  step: StepOf<'record-proof'>,
  execution: Execution,
): Promise<{ readonly proof: Proof; readonly eTag?: string }> {
  const { run } = execution;
  const { quick } = underLock(run);
  const { cluster } = run.plan;
  const proving = stepOf(run.plan.steps, step.proof, 'prove');
  const change = { type: 'kms', to: profileOf(step.to, madeKeys(run.outputs)) } as const;
  for (let round = 1; round <= PROOF_ROUNDS; round += 1) {
    // Azure may be changing the cluster for reasons of its own: that is a wait.
    await awaitIdleCluster(run, cluster);
    if (isVoid(proving, execution)) {
      await quick('Compare what Azure reports').verifyCluster({ cluster, change });
      const again = await run.interruptibly(() => proveInRounds(proving, execution, true));
      refuseIncomplete(again, acceptanceFor(run.operation.acceptance, proving.id));
      run.keep(step.proof, { type: 'prove', proof: again });
    }
    const { keyId: reported, eTag } = await quick('Compare what Azure reports').verifyCluster({ cluster, change });
    if (!isVoid(proving, execution, reported)) {
      return { proof: outputOf(run.outputs, step.proof, 'prove').proof, eTag };
    }
  }
  throw new StepBlocked({
    code: 'NotConverged',
    detail:
      'Each time the Secrets were proven, something interrupted the operation before the proof was recorded. Nothing was recorded. Keep every key listed under keysNeeded, and retry.',
  });
}

function recordText(proof: Proof): string {
  if (isConclusive(proof)) return 'as proven';
  const why =
    proof.unproven > 0
      ? `${proof.unproven} Secret(s) were accepted as they are`
      : 'with one provider name of KMS v1 for both keys API servers do not show which one they write with, and the next operation rewrites again before it rotates';
  return `as activated, not proven: ${why}`;
}

function nameOf(state: EncryptionState, { run }: Execution): string {
  return describeTarget(targetOf(state, madeKeys(run.outputs)));
}

/**
 * API servers are started anew now and then, for reasons of their own. What one wrote before the second look is not known: so they
 * are seen to agree again, and all is proven again. When that goes on, a person is asked.
 */
async function proveInRounds(step: StepOf<'prove'>, execution: Execution, fromConvergence: boolean): Promise<Proof> {
  for (let round = 1; ; round += 1) {
    if (fromConvergence || round > 1) {
      await convergeAgain(step.since, execution);
      const rewriting = rewriteStepOf(step, execution);
      if (rewriting) await rewriteOnce(rewriting, execution);
    }
    const proof = await underLock(execution.run).stopping(step.title).proveSecrets(inputOf(step, execution));
    execution.proofs.proven(step.id, Date.now());
    if (proof.convergenceHeld || proof.unproven > 0 || round === PROOF_ROUNDS) return proof;
  }
}

/** Whether a step was blocked, failed or lost the lock since convergence was looked for. */
function wasInterrupted(since: StepId, { run, proofs }: Execution): boolean {
  return proofs.interruptionsBefore(since) !== run.interruptions;
}

/** Whether a proof may not be recorded any more. */
function isVoid(proving: StepOf<'prove'>, execution: Execution, reported?: string | null): boolean {
  const { run, proofs } = execution;
  return (
    voidReason({
      interruptionsBefore: proofs.interruptionsBefore(proving.since) ?? -1,
      interruptionsNow: run.interruptions,
      ageInMs: Date.now() - proofs.takenAt(proving.id),
      provenKeyId: keyOf(proving.to, madeKeys(run.outputs)),
      ...(reported === undefined ? {} : { reportedKeyId: reported }),
    }) !== undefined
  );
}

async function convergeAgain(since: StepId, execution: Execution): Promise<void> {
  const { run } = execution;
  const { output } = await converge(stepOf(run.plan.steps, since, 'converge'), execution);
  run.keep(since, output);
}

function rewriteStepOf(step: StepOf<'prove'>, { run }: Execution): StepOf<'rewrite'> | undefined {
  return run.plan.steps.find((one): one is StepOf<'rewrite'> => one.type === 'rewrite' && one.since === step.since);
}

/** One pass; counts add up over the passes of a step. */
async function rewriteOnce(
  step: StepOf<'rewrite'>,
  execution: Execution,
): Promise<{ readonly pass: RewriteReport; readonly sum: RewriteReport }> {
  const { run } = execution;
  const pass = await underLock(run).stopping(step.title).rewriteSecrets(inputOf(step, execution));
  const earlier = run.outputs[step.id];
  const sum = earlier?.type === 'rewrite' ? addReports(earlier.report, pass) : pass;
  run.keep(step.id, { type: 'rewrite', report: sum });
  return { pass, sum };
}

function inputOf(step: StepOf<'rewrite'> | StepOf<'prove'>, { run }: Execution): PassInput {
  return { ...run.reference(step.id), convergence: outputOf(run.outputs, step.since, 'converge').convergence };
}

function refuseIncomplete(proof: Proof, acceptance: Acceptance | null): void {
  refuseUnproven(proof.unproven, proof.unprovenSecrets, acceptance);
  if (proof.convergenceHeld) return;
  throw new StepBlocked({
    code: 'NotConverged',
    detail:
      'The API servers did not agree any more after the rewrite. Keep every key listed under keysNeeded, and retry.',
  });
}

function refuseUnproven(count: number, secrets: readonly RefusedSecret[], acceptance: Acceptance | null): void {
  if (isAccepted(acceptance, count, secrets)) return;
  throw new StepBlocked({ code: 'SecretsUnproven', detail: unprovenText(count, secrets) }, { count, secrets });
}

function unprovenText(count: number, some: readonly RefusedSecret[]): string {
  const shown = some.slice(0, 5).map(({ namespace, name, reason }) => `${namespace}/${name} (${reason})`);
  const more = count > shown.length ? `, and ${count - shown.length} more` : '';
  return `${count} Secret(s) are not proven to be under the target: ${shown.join(', ')}${more}. Keep every key listed under keysNeeded.`;
}

function outcomeOf(report: RewriteReport): StepOutcome {
  const { rewritten, alreadyProven, unchanged, gone, secrets } = report;
  return {
    output: { type: 'rewrite', report },
    text: `${rewritten} of ${secrets} Secrets rewritten, ${alreadyProven} already proven, ${unchanged} unchanged, ${gone} deleted meanwhile.`,
  };
}

function proofText(proof: Proof): string {
  const { secrets, unproven, bounds, finalRv, weaknesses } = proof;
  const since = bounds.baselineRv === null ? '' : `R0 ${bounds.baselineRv}, `;
  const what =
    unproven === 0
      ? `${secrets} Secrets ${isConclusive(proof) ? 'proven' : 'stored again'}, none left out`
      : `${secrets - unproven} of ${secrets} Secrets proven, ${unproven} accepted as they are`;
  const weaker = weaknesses.length === 0 ? '' : ` Weaker evidence: ${weaknesses.join(' ')}`;
  return `${what} (${since}Rc ${bounds.convergedRv}, final list ${finalRv}).${weaker}`;
}
