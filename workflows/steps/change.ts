/** Performers of the steps that change the vault and the cluster in ARM. */
import type { KmsProfile } from '../../domain/cluster-change';
import { describeState, targetOf, type EncryptionState } from '../../domain/encryption';
import { keyMadeBy } from '../../domain/plan/outputs';
import type { PlanStep } from '../../domain/plan/steps';
import { shortKeyId } from '../../domain/resource-ids';
import { awaitIdleCluster } from '../cluster-idle';
import { underLock } from '../held-cluster';
import type { Execution } from './execution';
import type { StepOutcome } from '../operation-run';

type StepOf<T extends PlanStep['type']> = PlanStep & { readonly type: T };

/** Makes a key version, or finds the one that an earlier try made. */
export async function createKeyVersion(step: StepOf<'create-key-version'>, { run }: Execution): Promise<StepOutcome> {
  const { keyId, created } = await underLock(run)
    .quick(step.title)
    .createKeyVersion({
      operationId: run.operation.id,
      basedOn: step.like,
      nonce: run.nonce,
      since: run.startOf(step.id),
    });
  const text = created ? `Created ${shortKeyId(keyId)}.` : `Found ${shortKeyId(keyId)}, created by an earlier try.`;
  return { output: { type: 'create-key-version', keyId }, text };
}

/** Canaries and R0. */
export async function takeBaseline(step: StepOf<'take-baseline'>, { run }: Execution): Promise<StepOutcome> {
  const baseline = await underLock(run).quick(step.title).takeBaseline({
    cluster: run.plan.cluster,
    operationId: run.operation.id,
  });
  return {
    output: { type: 'take-baseline', baseline },
    text: `R0 is ${baseline.baselineRv}; ${baseline.canaries.length} canaries.`,
  };
}

/** Notes the coming switch in the ledger, asks ARM for it, waits for its end, and notes that it happened. */
export async function setKms(step: StepOf<'set-kms'>, { run }: Execution): Promise<StepOutcome> {
  const { cluster } = run.plan;
  const { quick, lasting } = underLock(run);
  const operationId = run.operation.id;
  const keyOf = (state: EncryptionState): string | null => {
    const target = targetOf(state, keyMadeBy(run.outputs));
    return target.scheme === 'identity' ? null : target.keyId;
  };
  const before = keyOf(step.expect);
  const after = keyOf(step.to);
  const change = { type: 'kms', to: profileOf(step.to, after) } as const;
  const what = describeState(step.to);
  // From here on Azure may report either, until the switch is seen.
  run.expectProfile(null);
  await quick('Note the coming switch in the ledger').changeLedger({
    cluster,
    reportedKeyId: before,
    changes: [
      { type: 'reconcile', operationId },
      { type: 'activating', keyId: after, operationId },
    ],
  });
  await awaitIdleCluster(run, cluster);
  const { operationUrl } = await quick(step.title).submitClusterChange({
    cluster,
    change,
    expect: profileOf(step.expect, before),
  });
  // Waiting only reads: an operation that is canceled need not wait for Azure, and says that Azure was asked.
  const ended = await run.interruptibly(() =>
    lasting(`Wait until Azure has set ${what}`).awaitClusterChange({ cluster, change, operationUrl }),
  );
  const ledger = await quick('Note the switch in the ledger').changeLedger({
    cluster,
    reportedKeyId: after,
    changes: [{ type: 'activated', keyId: after }],
  });
  run.expectProfile(change.to);
  const earlier = run.outputs[step.id];
  const armOperations = [...(earlier?.type === 'set-kms' ? earlier.armOperations : []), ended];
  return { output: { type: 'set-kms', armOperations, ledger }, text: `Azure's operation ended ${ended.status}.` };
}

/** What ARM is asked for. @param keyId the key of a state that is on, when a step makes it */
export function profileOf(state: EncryptionState, made?: string | null): KmsProfile {
  if (state.mode === 'off') return { mode: 'off' };
  const { access, vaultId, key } = state;
  const keyId = made ?? key;
  if (typeof keyId !== 'string') throw new Error('The key of this state is not made yet.');
  return { mode: 'on', keyId, access, ...(vaultId === undefined ? {} : { vaultId }) };
}
