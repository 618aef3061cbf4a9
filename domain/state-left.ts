/** What an operation leaves behind when it ends before its plan is done. */
import { describeState } from './encryption';
import type { StepStatus } from './operation';
import type { Plan } from './plan/plan';
import type { PlanStep } from './plan/steps';
import { shortKeyId } from './resource-ids';

/** A few sentences for people who read the end: what was changed, and what must be kept. */
export function stateLeft(plan: Plan | null, steps: readonly StepStatus[]): string {
  const statusOf = (id: string): StepStatus['status'] | undefined => {
    const step = steps.find((one) => one.id === id);
    return step?.startedAt === undefined ? undefined : step.status;
  };
  const begun = (plan?.steps ?? []).filter(({ id }) => statusOf(id) !== undefined);
  const isDone = ({ id }: PlanStep): boolean => statusOf(id) === 'done';
  return [...encryptionLeft(begun, isDone), ...versionLeft(begun, isDone), ...keyLeft(begun, isDone)].join(' ');
}

function encryptionLeft(begun: readonly PlanStep[], isDone: (step: PlanStep) => boolean): string[] {
  const change = begun.findLast(({ type }) => type === 'set-kms');
  if (change?.type !== 'set-kms') {
    return begun.some((step) => step.type === 'create-key-version' && isDone(step))
      ? [
          "The cluster's key was not changed. A new key version was created and is not in use. Keep every key listed under keysNeeded.",
        ]
      : ['The cluster was not changed. Keep every key listed under keysNeeded.'];
  }
  if (!isDone(change)) {
    return [
      'Keyturn asked Azure for the change and did not see it finish. Keep every key listed under keysNeeded, and look at the provisioning state of the cluster.',
    ];
  }
  const after = begun.slice(begun.indexOf(change));
  const writes = `The cluster writes with ${describeState(change.to)}`;
  if (after.some((step) => step.type === 'record-proof' && isDone(step))) {
    return [`${writes}, and every Secret is proven to be under it.`];
  }
  if (after.some((step) => step.type === 'prove' && isDone(step))) {
    return [
      `${writes}. Every Secret was proven to be under it, but the proof is not in the ledger. Keep every key listed under keysNeeded; the next operation proves the Secrets first.`,
    ];
  }
  return [
    `${writes}, but not every Secret is proven to be under it. Keep every key listed under keysNeeded; the next operation proves the Secrets first.`,
  ];
}

function versionLeft(begun: readonly PlanStep[], isDone: (step: PlanStep) => boolean): string[] {
  return begun.flatMap((step) => {
    if (step.type !== 'upgrade-control-plane' && step.type !== 'upgrade-pool') return [];
    const what = step.type === 'upgrade-pool' ? `The agent pool ${step.pool}` : 'The control plane';
    return isDone(step)
      ? [`${what} runs Kubernetes ${step.to}.`]
      : [`Azure was asked to upgrade to Kubernetes ${step.to} and was not seen to have finished.`];
  });
}

function keyLeft(begun: readonly PlanStep[], isDone: (step: PlanStep) => boolean): string[] {
  const deleting = begun.find(({ type }) => type === 'delete-key');
  if (deleting?.type === 'delete-key' && !isDone(deleting)) {
    return [
      `${shortKeyId(deleting.key)} was disabled, and the vault may have been asked to delete its key object: look there. To undo it: az keyvault key recover, if it is deleted; then az keyvault key set-attributes --id ${deleting.key} --enabled true`,
    ];
  }
  const disabling = begun.find(({ type }) => type === 'disable-key-version');
  if (disabling?.type !== 'disable-key-version' || deleting) return [];
  const undo = `To undo it: az keyvault key set-attributes --id ${disabling.key} --enabled true`;
  return [
    isDone(disabling)
      ? `${shortKeyId(disabling.key)} was disabled and is not deleted. ${undo}`
      : `${shortKeyId(disabling.key)} may be disabled. ${undo}`,
  ];
}
