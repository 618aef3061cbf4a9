/** Which steps begin only while the change may be carried out, and how long a plan takes at least and usually. */
import type { PlanStep, StepType } from '../plan/steps';
import { writesTo } from '../plan/steps';

/**
 * Steps that write and wait for no window, since a wait before them would leave a worse state:
 * - `start-cluster`: the step before it stopped the cluster.
 * - `converge`, `prove`, `record-proof`: the switch has happened. They observe API servers with canaries, read Secrets, and write the
 *   ledger; a proof that is not recorded within minutes is void, and all would be rewritten once more.
 */
const FINISHES: ReadonlySet<StepType> = new Set<StepType>(['start-cluster', 'converge', 'prove', 'record-proof']);

/** Whether a step waits until its change may be carried out. A step that has begun is never interrupted by the end of a window. */
export function waitsForChange(type: StepType): boolean {
  return writesTo(type) !== 'nothing' && !FINISHES.has(type);
}

/** Seconds that steps of a type usually take on AKS. What is not here takes seconds. */
const USUAL_SECONDS: Partial<Record<StepType, number>> = {
  'set-kms': 600,
  'upgrade-control-plane': 900,
  'upgrade-pool': 1_200,
  'create-cluster': 600,
  'enable-vnet-integration': 600,
  'stop-cluster': 300,
  'start-cluster': 300,
  'reconcile-cluster': 300,
  'enable-secrets-provider': 180,
  'enable-workload-identity': 180,
  'disable-secrets-provider': 180,
  'grant-key-access': 300,
  'grant-vault-read': 300,
  converge: 60,
};

/** Seconds that a plan takes at least: a soak, and rewrites with a limit. @param secrets how many there are, where that is known */
export function shortestSeconds(steps: readonly PlanStep[], secrets: number | undefined): number {
  return steps.reduce((sum, step) => sum + shortestOf(step, secrets ?? 0), 0);
}

/** Seconds that a plan usually takes, without the time of its approvers. */
export function usualSeconds(steps: readonly PlanStep[], secrets: number | undefined): number {
  return steps.reduce((sum, step) => sum + Math.max(USUAL_SECONDS[step.type] ?? 0, shortestOf(step, secrets ?? 0)), 0);
}

function shortestOf(step: PlanStep, secrets: number): number {
  if (step.type === 'soak') return step.seconds;
  if (step.type !== 'rewrite' || step.perSecond === null) return 0;
  return Math.ceil(secrets / step.perSecond);
}
