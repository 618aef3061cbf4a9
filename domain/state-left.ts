/** What an operation leaves behind when it ends before its plan is done. */
import { connectionLeft } from './csi/state-left';
import { describeState, isMadeBy } from './encryption';
import type { ErrorCode } from './errors';
import type { StepStatus } from './operation';
import type { Outputs } from './plan/outputs';
import type { Plan } from './plan/plan';
import type { PlanStep } from './plan/steps';
import { shortKeyId, resourceName } from './resource-ids';

/** What ended an operation, as far as its steps do not show it. */
export interface EndOfSteps {
  readonly outputs: Outputs;
  /** Why the step that did not finish was blocked last. */
  readonly blockedBy?: string;
}

/** A few sentences for people who read the end: what was changed, and what must be kept. */
export function stateLeft(plan: Plan | null, steps: readonly StepStatus[], end: EndOfSteps): string {
  const statusOf = (id: string): StepStatus['status'] | undefined => {
    const step = steps.find((one) => one.id === id);
    return step?.startedAt === undefined ? undefined : step.status;
  };
  const begun = (plan?.steps ?? []).filter(({ id }) => statusOf(id) !== undefined);
  const isDone = ({ id }: PlanStep): boolean => statusOf(id) === 'done';
  return [
    ...encryptionLeft(plan, begun, isDone, end.blockedBy),
    ...madeLeft(begun, isDone, end.outputs),
    ...versionLeft(begun, isDone),
    ...vnetLeft(begun, isDone),
    ...keyLeft(begun, isDone),
    ...provisionedLeft(begun, isDone, end.outputs),
    ...connectionLeft(begun, isDone),
  ].join(' ');
}

/** Azure answered the request for a change with a refusal, and reported the cluster unchanged right before. */
const REFUSED: ErrorCode = 'ArmRequestRefused';

/** They change the cluster, and not its key. */
const CHANGES_NO_KEY: readonly PlanStep['type'][] = [
  'enable-vnet-integration',
  'stop-cluster',
  'start-cluster',
  'enable-secrets-provider',
  'enable-workload-identity',
  'disable-secrets-provider',
];

function encryptionLeft(
  plan: Plan | null,
  begun: readonly PlanStep[],
  isDone: (step: PlanStep) => boolean,
  blockedBy: string | undefined,
): string[] {
  if (plan?.steps.some(({ type }) => type === 'create-cluster')) return creationLeft(begun, isDone, blockedBy);
  const change = begun.findLast(({ type }) => type === 'set-kms');
  if (change?.type !== 'set-kms') {
    return begun.some(
      (step) => CHANGES_NO_KEY.includes(step.type) || (step.type === 'create-key-version' && isDone(step)),
    )
      ? ["The cluster's key was not changed. Keep every key listed under keysNeeded."]
      : ['The cluster was not changed. Keep every key listed under keysNeeded.'];
  }
  if (!isDone(change) && blockedBy === REFUSED) {
    return [
      'Azure refused the change that Keyturn asked for last, and reported the cluster unchanged right before. Keep every key listed under keysNeeded.',
    ];
  }
  if (!isDone(change)) {
    return [
      'Keyturn asked Azure for the change and did not see it finish. Keep every key listed under keysNeeded, and look at the provisioning state of the cluster.',
    ];
  }
  return [
    provenLeft(`The cluster writes with ${describeState(change.to)}`, begun.slice(begun.indexOf(change)), isDone),
  ];
}

/** How far the Secrets are proven. @param writes what the cluster writes with @param after the steps from the change on that begun */
function provenLeft(writes: string, after: readonly PlanStep[], isDone: (step: PlanStep) => boolean): string {
  if (after.some((step) => step.type === 'record-proof' && isDone(step))) {
    return `${writes}, and every Secret is proven to be under it.`;
  }
  if (after.some((step) => step.type === 'prove' && isDone(step))) {
    return `${writes}. Every Secret was proven to be under it, but the proof is not in the ledger. Keep every key listed under keysNeeded; the next operation proves the Secrets first.`;
  }
  return `${writes}, but not every Secret is proven to be under it. Keep every key listed under keysNeeded; the next operation proves the Secrets first.`;
}

/** What is there of a cluster that was to be made. Keyturn deletes none: only a person knows what runs on it by then. */
function creationLeft(
  begun: readonly PlanStep[],
  isDone: (step: PlanStep) => boolean,
  blockedBy: string | undefined,
): string[] {
  const creation = begun.find(({ type }) => type === 'create-cluster');
  if (creation?.type !== 'create-cluster') return ['The cluster was not made.'];
  const remove = 'To be rid of it: az aks delete.';
  if (!isDone(creation)) {
    return [
      blockedBy === REFUSED
        ? 'Azure refused to make the cluster. Look whether there is one of the name all the same: it needs every key listed under keysNeeded.'
        : `Keyturn asked Azure to make the cluster and did not see it finish: it may be there or still be made, with KMS on. It needs every key listed under keysNeeded. ${remove}`,
    ];
  }
  const writes = `The cluster was made and writes with ${describeState(creation.to)}`;
  return [
    provenLeft(writes, begun.slice(begun.indexOf(creation)), isDone),
    `The kind rewrite-secrets proves it. ${remove}`,
  ];
}

/** A key version that the operation made and did not see set: another operation may use it instead of making one more. */
function madeLeft(begun: readonly PlanStep[], isDone: (step: PlanStep) => boolean, outputs: Outputs): string[] {
  return Object.entries(outputs).flatMap(([step, output]) => {
    if (output.type !== 'create-key-version') return [];
    const { keyId } = output;
    const set = begun.find((one) => one.type === 'set-kms' && isMadeBy(one.to, step));
    if (set && isDone(set)) return [];
    return [
      `This operation made the key version ${keyId}, and Azure was not seen to set it. To use it, name it as \`keyId\` in the next request; without \`keyId\` the next operation makes another one.`,
    ];
  });
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

/** Whether the cluster runs comes first: a stopped one serves nobody. */
function vnetLeft(begun: readonly PlanStep[], isDone: (step: PlanStep) => boolean): string[] {
  const of = (type: PlanStep['type']): PlanStep | undefined => begun.find((step) => step.type === type);
  const [enabling, stopping, starting] = [of('enable-vnet-integration'), of('stop-cluster'), of('start-cluster')];
  if (starting) {
    return isDone(starting)
      ? ['The cluster was stopped and started, and API Server VNet Integration is on.']
      : [
          'The cluster was stopped, and Azure was asked to start it; it was not seen to run. Look at its power state; to start it: az aks start.',
        ];
  }
  if (stopping) {
    return [
      'Azure was asked to stop the cluster, or refused that: look at its power state. To start it: az aks start. API Server VNet Integration is on, which cannot be undone, and takes effect when the cluster is stopped and started.',
    ];
  }
  if (!enabling) return [];
  return [
    isDone(enabling)
      ? 'API Server VNet Integration is on, which cannot be undone, and is not in effect: AKS says to stop and start the cluster soon (az aks stop, az aks start).'
      : 'Azure may have been asked to turn API Server VNet Integration on, which cannot be undone: look at the cluster.',
  ];
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

/** What was made for a cluster stays: another operation with the same names uses it. */
function provisionedLeft(begun: readonly PlanStep[], isDone: (step: PlanStep) => boolean, outputs: Outputs): string[] {
  return begun.flatMap((step) => {
    if (step.type === 'create-identity') {
      const identity = `The managed identity ${resourceName(step.identityId)}`;
      return [isDone(step) ? `${identity} was made and stays.` : `${identity} may have been made: look there.`];
    }
    if ((step.type !== 'create-vault' && step.type !== 'create-key') || step.exists) return [];
    const vault = resourceName(step.vaultId);
    const what = step.type === 'create-vault' ? `The vault ${vault}` : `The key ${step.keyName} in the vault ${vault}`;
    const output = outputs[step.id];
    const id = output?.type === 'create-key' ? ` (${output.keyId})` : '';
    if (step.type === 'create-key' && !begun.some(({ type }) => type === 'create-vault')) {
      const set = begun.find((one) => one.type === 'set-kms' && isMadeBy(one.to, step.id));
      if (set && isDone(set)) return [];
      return [
        `${what}${id} ${isDone(step) ? 'was made and stays' : 'may have been made: look there'}, and Azure was not seen to set it. To use it, name its version as \`keyId\` in the next request.`,
      ];
    }
    return [
      isDone(step)
        ? `${what}${id} was made and stays: the same request, asked again, uses it.`
        : `${what} may have been made: look there. The same request, asked again, uses it.`,
    ];
  });
}
