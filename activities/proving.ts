/**
 * The activities that rewrite and prove, as a table: what each builds on was found, and signed, for the step before it.
 *
 * Never does: let a workflow say what was found. Baseline, convergence and proof count with their receipts only.
 */
import type { AzureAccess } from '../azure/access';
import { boundsOf } from '../domain/convergence';
import { keyOf, targetOf, type MadeKeys } from '../domain/encryption';
import { profileOf } from '../domain/plan/change-of-step';
import { stepOf } from '../domain/plan/steps';
import { isConclusive } from '../domain/proof';
import { PROOF_HOLDS_FOR_MS } from '../domain/proof-validity';
import { whileClusterHas } from './arm/watch-cluster';
import { takeBaseline } from './canaries';
import type { Activities, PassInput } from './contract';
import { awaitConvergence, type ConvergenceLimits } from './convergence';
import type { EvidenceStore } from './evidence';
import type { KubeConnection } from './kubernetes/connection';
import { recordProof } from './ledger';
import type { Receipts } from './receipts';
import { reportingRefused } from './refused-report';
import { INSIDE, type ActivityRunner, type PlannedStep } from './run-activity';
import type { Running } from './running';
import type { Pace } from './secrets/pass';
import { proveSecrets } from './secrets/proof';
import { rewriteSecrets } from './secrets/rewrite';

/** What they work with. */
export interface Proving {
  readonly azure: AzureAccess;
  readonly evidence: EvidenceStore;
  readonly runner: ActivityRunner;
  readonly receipts: Receipts;
  readonly pace: Omit<Pace, 'perSecond'>;
  readonly limits: ConvergenceLimits;
}

type ProvingActivities = Pick<
  Activities,
  'takeBaseline' | 'awaitConvergence' | 'rewriteSecrets' | 'proveSecrets' | 'recordProof'
>;

/** Makes them; contacts no service yet. */
export function provingActivities({ azure, evidence, runner, receipts, pace, limits }: Proving): ProvingActivities {
  /** Work inside a cluster that holds only as long as Azure reports the state of its step. */
  const watched = <T>(
    { step, cluster, inside, ...running }: PlannedStep<'converge' | 'rewrite' | 'prove'>,
    made: MadeKeys,
    work: (connection: KubeConnection, running: Running) => Promise<T>,
  ): Promise<T> =>
    whileClusterHas(azure, { cluster, expected: profileOf(step.to, made) }, running, (watchedRun) =>
      inside((connection) => work(connection, watchedRun)),
    );
  /** What a pass over the Secrets works with, once the convergence before it is one that a worker saw. */
  const passOf = ({ made, convergence }: PassInput, work: PlannedStep<'rewrite' | 'prove'>) => {
    const { plan, step, operationId } = work;
    receipts.require({ ...work, step: stepOf(plan.steps, step.since, 'converge') }, made, convergence);
    return {
      input: { bounds: boundsOf(convergence), operationId, pace: { ...pace, perSecond: step.perSecond } },
      report: { store: evidence.store, operationId, step: step.id },
    };
  };
  return {
    takeBaseline: runner.writesForStep(
      ['take-baseline'],
      { doing: 'Taking the baseline', ...INSIDE },
      async ({ made }, work) => {
        const { operationId, signal, inside } = work;
        const baseline = await inside((connection) => takeBaseline(connection, operationId, signal));
        return await receipts.sign(work, made, baseline);
      },
    ),
    awaitConvergence: runner.writesForStep(
      ['converge'],
      { doing: 'Waiting for convergence', ...INSIDE },
      async ({ made, baseline }, work) => {
        const { plan, step, operationId } = work;
        if (step.baseline !== null)
          receipts.require({ ...work, step: stepOf(plan.steps, step.baseline, 'take-baseline') }, made, baseline);
        const input = {
          operationId,
          target: targetOf(step.to, made),
          // One that the plan does not have is none.
          ...(step.baseline === null ? {} : { baseline }),
        };
        const found = await watched(work, made, (connection, running) =>
          awaitConvergence(connection, input, running, limits),
        );
        return await receipts.sign(work, made, found);
      },
    ),
    rewriteSecrets: runner.writesForStep(['rewrite'], { doing: 'Rewriting Secrets', ...INSIDE }, (given, work) => {
      const { input, report } = passOf(given, work);
      return watched(work, given.made, (connection, running) =>
        reportingRefused(report, (onRefused) => rewriteSecrets(connection, { ...input, onRefused }, running)),
      );
    }),
    proveSecrets: runner.writesForStep(['prove'], { doing: 'Proving Secrets', ...INSIDE }, async (given, work) => {
      const { made, convergence } = given;
      const { input, report } = passOf(given, work);
      const proving = { ...input, convergence, target: targetOf(work.step.to, made) };
      const proof = await watched(work, made, (connection, running) =>
        reportingRefused(report, (onRefused) => proveSecrets(connection, { ...proving, onRefused }, running, limits)),
      );
      return await receipts.sign(work, made, proof);
    }),
    recordProof: runner.writesForStep(
      ['record-proof'],
      { doing: 'Writing the ledger', ...INSIDE },
      async ({ made, proof, validUntil }, work) => {
        const { plan, step, operationId, signal, inside } = work;
        receipts.require({ ...work, step: stepOf(plan.steps, step.proof, 'prove') }, made, proof);
        const { secrets, bounds, receipt } = proof;
        const endsAt = Math.min(Date.parse(validUntil), Date.parse(receipt?.at ?? '') + PROOF_HOLDS_FOR_MS);
        const recorded = {
          keyId: keyOf(step.to, made),
          // What is not conclusive is not recorded as proven.
          proof: isConclusive(proof) ? { secrets, convergedRv: bounds.convergedRv } : null,
          operationId,
          validUntil: new Date(endsAt).toISOString(),
        };
        return await inside((connection) => recordProof(connection, recorded, { signal }));
      },
    ),
  };
}
