/**
 * Runs an approved plan, step by step. The plan is the program: there is no other order than its own.
 *
 * Needs: the cluster's lock. Does: hands each step to its performer. Never does: skip, repeat or add a step.
 */
import { assertNever } from '../domain/assert-never';
import type { StepType, PlanStep } from '../domain/plan/steps';
import type { OperationRun, StepAttempt, StepOptions, StepOutcome } from './operation-run';
import { createKeyVersion, setKms, takeBaseline } from './steps/change';
import { ProofLog, type Execution } from './steps/execution';
import { converge, prove, recordProof, rewrite } from './steps/prove';

/** What a cancellation does to a step of a type: it interrupts a step only when no write of that step has to be finished. */
const INTERRUPTIBLE: Readonly<Record<StepType, boolean>> = {
  gate: true,
  'create-key-version': false,
  'take-baseline': false,
  'set-kms': false,
  converge: true,
  rewrite: true,
  prove: true,
  'record-proof': false,
};

/** Runs every step after the gates that have been passed. @throws OperationEnds when a person canceled */
export async function execute(run: OperationRun): Promise<void> {
  const proofs = new ProofLog();
  for (const step of run.plan.steps) {
    if (run.outputs[step.id] !== undefined) continue;
    await run.step(step.id, optionsOf(step), (attempt) => perform(step, { run, proofs }, attempt));
  }
}

function optionsOf(step: PlanStep): StepOptions {
  return {
    interruptible: INTERRUPTIBLE[step.type],
    acceptable: 'acceptable' in step && step.acceptable,
  };
}

function perform(step: PlanStep, execution: Execution, attempt: StepAttempt): Promise<StepOutcome> {
  switch (step.type) {
    case 'create-key-version':
      return createKeyVersion(step, execution);
    case 'take-baseline':
      return takeBaseline(step, execution);
    case 'set-kms':
      return setKms(step, execution);
    case 'converge':
      return converge(step, execution);
    case 'rewrite':
      return rewrite(step, execution, attempt);
    case 'prove':
      return prove(step, execution, attempt);
    case 'record-proof':
      return recordProof(step, execution);
    case 'gate':
      throw new Error(`The gate ${step.id} was not passed before the plan ran.`);
    default:
      return assertNever(step);
  }
}
