/**
 * What holds for every plan, whatever kind made it. Checked apart from planning, before a plan is shown to anybody: a mistake in a
 * kind's file must not become an approved program.
 */
import { canonicalJson } from '../canonical';
import type { EncryptionState } from '../encryption';
import type { StepType, PlanStep } from './steps';

/** What follows a `set-kms`, in this order, with nothing in between. */
const AFTER_SET_KMS: readonly StepType[] = ['converge', 'rewrite', 'prove', 'record-proof'];

/** Where a plan starts. */
export interface PlanStart {
  /** The state that the cluster is in. */
  readonly state: EncryptionState;
  /** Whether every Secret is proven to be under it. */
  readonly proven: boolean;
}

/** Every way in which steps are not a plan; empty when they are one. */
export function planFaults(steps: readonly PlanStep[], initial: PlanStart): string[] {
  const faults: string[] = [];
  const require = (holds: boolean, fault: string): void => void (holds || faults.push(fault));
  let { state, proven } = initial;
  const gates = new Set<string>();

  require(steps[0]?.type === 'gate' && steps[0].gate === 'start', 'A plan begins with its start gate.');
  require(new Set(steps.map(({ id }) => id)).size === steps.length, 'Step ids are not unique.');
  steps.forEach((step, index) => {
    const before = steps.slice(0, index);
    const made = (id: string, type: StepType): boolean => before.some((one) => one.id === id && one.type === type);
    const at = `Step ${step.id}:`;
    if ('to' in step) require(refersBack(step.to, made), `${at} its key is not made by an earlier step.`);
    switch (step.type) {
      case 'gate':
        gates.add(step.gate);
        break;
      case 'set-kms':
        require(same(step.expect, state), `${at} it expects another state than the one before it.`);
        require(!same(step.to, state), `${at} it changes nothing.`);
        require(steps[index - 1]?.type === 'take-baseline', `${at} no baseline is taken right before it.`);
        require(proven, `${at} the state before it is not proven (K2).`);
        require(step.to.mode === 'on' || gates.has('plaintext'), `${at} no gate for plaintext is before it.`);
        AFTER_SET_KMS.forEach((type, offset) =>
          require(steps[index + 1 + offset]?.type === type, `${at} it is not followed by ${AFTER_SET_KMS.join(', ')}.`),
        );
        state = step.to;
        proven = false;
        break;
      case 'converge':
        require(same(step.to, state), `${at} the cluster is in another state.`);
        require(step.baseline === null ||
          made(step.baseline, 'take-baseline'), `${at} its baseline is no earlier step.`);
        require((step.baseline === null) ===
          (steps[index - 1]?.type !== 'set-kms'), `${at} only a switch has a baseline, and every switch has one.`);
        break;
      case 'rewrite':
      case 'prove':
        require(same(step.to, state), `${at} the cluster is in another state.`);
        require(made(step.since, 'converge'), `${at} convergence is no earlier step.`);
        require(!('acceptable' in step && step.acceptable) ||
          !steps
            .slice(index)
            .some(
              ({ type }) => type === 'set-kms',
            ), `${at} Secrets cannot be accepted where a later switch evicts their key.`);
        require(step.type !== 'prove' ||
          steps[index + 1]?.type === 'record-proof', `${at} its proof is not recorded right after it.`);
        break;
      case 'record-proof':
        require(same(step.to, state), `${at} the cluster is in another state.`);
        require(made(step.proof, 'prove'), `${at} its proof is no earlier step.`);
        require(steps[index - 1]?.id === step.proof, `${at} it does not directly follow its proof.`);
        proven = true;
        break;
      case 'create-key-version':
      case 'take-baseline':
        break;
    }
  });
  return [...new Set(faults)];
}

/** @throws Error when steps are not a plan: a fault of Keyturn's own */
export function checkPlan(steps: readonly PlanStep[], initial: PlanStart): void {
  const faults = planFaults(steps, initial);
  if (faults.length > 0) throw new Error(`Keyturn made a plan that it must not run. ${faults.join(' ')}`);
}

function refersBack(state: EncryptionState, made: (id: string, type: StepType) => boolean): boolean {
  return state.mode === 'off' || typeof state.key === 'string' || made(state.key.madeBy, 'create-key-version');
}

function same(a: EncryptionState, b: EncryptionState): boolean {
  return canonicalJson(a) === canonicalJson(b);
}
