/** Performers of the steps that change the vault and the cluster in ARM. */
import { describeState } from '../../domain/encryption';
import { changeOf, type ClusterStep } from '../../domain/plan/change-of-step';
import { madeKeys, type ArmOperation } from '../../domain/plan/outputs';
import type { StepOf } from '../../domain/plan/steps';
import { shortKeyId } from '../../domain/resource-ids';
import { awaitIdleCluster } from '../cluster-idle';
import { underLock } from '../held-cluster';
import type { OperationRun, StepOutcome } from '../operation-run';
import type { Execution } from './execution';

/** Makes a key version, or finds the one that an earlier try made. */
export async function createKeyVersion(step: StepOf<'create-key-version'>, { run }: Execution): Promise<StepOutcome> {
  const { keyId, created } = await underLock(run)
    .quick(step.title)
    .createKeyVersion({ ...run.reference(step.id), nonce: `${run.nonce}/${step.id}`, since: run.startOf(step.id) });
  const text = created ? `Created ${shortKeyId(keyId)}.` : `Found ${shortKeyId(keyId)}, created by an earlier try.`;
  return { output: { type: 'create-key-version', keyId }, text };
}

/** Canaries and R0. */
export async function takeBaseline(step: StepOf<'take-baseline'>, { run }: Execution): Promise<StepOutcome> {
  const baseline = await underLock(run).quick(step.title).takeBaseline(run.reference(step.id));
  return {
    output: { type: 'take-baseline', baseline },
    text: `R0 is ${baseline.baselineRv}; ${baseline.canaries.length} canaries.`,
  };
}

/** Notes the coming switch in the ledger, asks ARM for it, waits for its end, and notes that it happened. */
export async function setKms(step: StepOf<'set-kms'>, { run }: Execution): Promise<StepOutcome> {
  const { quick } = underLock(run);
  const reference = run.reference(step.id);
  const { change } = changeOf(step, madeKeys(run.outputs));
  // From here on Azure may report either, until the switch is seen.
  run.expectProfile(null);
  // Waited for before the note: how long ago the switch was noted says whether every API server has surely switched.
  await awaitIdleCluster(run, run.plan.cluster);
  await quick('Note the coming switch in the ledger').noteSwitch({ ...reference, happened: false });
  const ended = await changeCluster(step, run, `Wait until Azure has set ${describeState(step.to)}`);
  const ledger = await quick('Note the switch in the ledger').noteSwitch({ ...reference, happened: true });
  if (change.type === 'kms') run.expectProfile(change.to);
  return {
    output: { type: 'set-kms', armOperations: [...earlierOperations(step, run), ended], ledger },
    text: `Azure's operation ended ${ended.status}.`,
  };
}

/** Upgrades the control plane or an agent pool, and sees that it runs the version. */
export async function upgradeCluster(
  step: StepOf<'upgrade-control-plane'> | StepOf<'upgrade-pool'>,
  { run }: Execution,
): Promise<StepOutcome> {
  await awaitIdleCluster(run, run.plan.cluster);
  const what = step.type === 'upgrade-pool' ? `the agent pool ${step.pool}` : 'the control plane';
  const ended = await changeCluster(step, run, `Wait until ${what} runs Kubernetes ${step.to}`);
  return {
    output: { type: step.type, armOperations: [...earlierOperations(step, run), ended], version: step.to },
    text: `Azure's operation ended ${ended.status}; ${what} runs Kubernetes ${step.to}.`,
  };
}

/** Asks ARM for a step's change, and waits for its end. */
export async function changeCluster(step: ClusterStep, run: OperationRun, waiting: string): Promise<ArmOperation> {
  const { quick, lasting } = underLock(run);
  const reference = run.reference(step.id);
  const { operationUrl } = await quick(step.title).submitClusterChange(reference);
  // Waiting only reads: an operation that is canceled need not wait for Azure, and says that Azure was asked.
  return await run.interruptibly(() => lasting(waiting).awaitClusterChange({ ...reference, operationUrl }));
}

/** The operations in ARM of tries before this one. */
export function earlierOperations(step: ClusterStep, run: OperationRun): readonly ArmOperation[] {
  const earlier = run.outputs[step.id];
  return earlier !== undefined && 'armOperations' in earlier ? earlier.armOperations : [];
}
