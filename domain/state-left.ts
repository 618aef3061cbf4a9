/** What an operation leaves behind when it ends before its plan is done. */
import { describeState } from './encryption';
import type { StepStatus } from './operation';
import type { Plan } from './plan/plan';

/** One or two sentences for the reader of an ended operation: what was changed, and what must be kept. */
export function stateLeft(plan: Plan | null, steps: readonly StepStatus[]): string {
  const statusOf = (id: string): StepStatus['status'] | undefined => {
    const step = steps.find((one) => one.id === id);
    return step?.startedAt === undefined ? undefined : step.status;
  };
  const begun = (plan?.steps ?? []).filter(({ id }) => statusOf(id) !== undefined);
  const change = begun.findLast(({ type }) => type === 'set-kms');
  if (change?.type !== 'set-kms') {
    return begun.some(({ id, type }) => type === 'create-key-version' && statusOf(id) === 'done')
      ? "The cluster's key was not changed. A new key version was created and is not in use. Keep every key listed under keysNeeded."
      : 'The cluster was not changed. Keep every key listed under keysNeeded.';
  }
  if (statusOf(change.id) !== 'done') {
    return 'Keyturn asked Azure for the change and did not see it finish. Keep every key listed under keysNeeded, and look at the provisioning state of the cluster.';
  }
  const after = begun.slice(begun.indexOf(change));
  const writes = `The cluster writes with ${describeState(change.to)}`;
  if (after.some(({ id, type }) => type === 'record-proof' && statusOf(id) === 'done')) {
    return `${writes}, and every Secret is proven to be under it.`;
  }
  if (after.some(({ id, type }) => type === 'prove' && statusOf(id) === 'done')) {
    return `${writes}. Every Secret was proven to be under it, but the proof is not in the ledger. Keep every key listed under keysNeeded; the next operation proves the Secrets first.`;
  }
  return `${writes}, but not every Secret is proven to be under it. Keep every key listed under keysNeeded; the next operation proves the Secrets first.`;
}
