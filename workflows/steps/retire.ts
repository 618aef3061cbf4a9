/** Performers of the steps that retire a key: look, disable, wait, delete. */
import type { RetirementInput } from '../../activities/contract';
import { outputOf } from '../../domain/plan/outputs';
import type { StepOf } from '../../domain/plan/steps';
import { shortKeyId } from '../../domain/resource-ids';
import { quick } from '../activities';
import { underLock } from '../held-cluster';
import type { OperationRun, StepOutcome } from '../operation-run';
import type { Execution } from './execution';

/** Looks whether any cluster needs the key. */
export async function checkKeyUnused(step: StepOf<'check-key-unused'>, { run }: Execution): Promise<StepOutcome> {
  const { at, users } = await quick(step.title).checkKeyUnused({
    ...run.reference(step.id),
    ...judgedBy(run),
  });
  const unseen = users.unread.length + users.refusedSubscriptions.length;
  const rest = unseen === 0 ? '' : ` ${unseen} cluster(s) or subscription(s) could not be read.`;
  return {
    output: { type: 'check-key-unused', at, users },
    text: `None of ${users.clusters} cluster(s) needs ${shortKeyId(step.key)}.${rest}`,
  };
}

/** Disables the key version. */
export async function disableKeyVersion(step: StepOf<'disable-key-version'>, { run }: Execution): Promise<StepOutcome> {
  const disabled = await underLock(run)
    .quick(step.title)
    .disableKeyVersion({ ...run.reference(step.id), ...judgedBy(run) });
  return {
    output: { type: 'disable-key-version', ...disabled },
    text: `${shortKeyId(step.key)} is disabled. To undo it: az keyvault key set-attributes --id ${disabled.keyId} --enabled true`,
  };
}

/** Waits without the cluster's lock. What happens meanwhile is looked for by the steps after it. */
export async function soak(step: StepOf<'soak'>, { run }: Execution): Promise<StepOutcome> {
  const startedAt = run.startOf(step.id);
  const endsAt = Date.parse(startedAt) + step.seconds * 1000;
  const until = new Date(endsAt).toISOString();
  await run.releaseLock();
  run.publish({
    waitingFor: `the end of the soak on ${until}: ${shortKeyId(step.key)} is disabled, and may still be needed by what Keyturn cannot see. To undo it, enable the version and cancel the operation.`,
  });
  await run.continueAsNew();
  await run.pause(Math.max(0, endsAt - Date.now()));
  run.safePoint();
  run.publish({ waitingFor: null });
  return {
    output: { type: 'soak', startedAt, endedAt: new Date(Math.max(endsAt, Date.now())).toISOString() },
    text: `${shortKeyId(step.key)} was disabled for ${step.seconds} seconds.`,
  };
}

/** Deletes the key object, or leaves it because a version of it is needed. */
export async function deleteKey(step: StepOf<'delete-key'>, { run }: Execution): Promise<StepOutcome> {
  const deletion = await underLock(run)
    .quick(step.title)
    .deleteFreeKey({ ...run.reference(step.id), ...judgedBy(run) });
  const { recoveryId, scheduledPurgeOn, needed } = deletion;
  const text =
    needed.length > 0
      ? `The key object stays: ${needed.map(shortKeyId).join(', ')} may be needed. ${shortKeyId(step.key)} stays disabled.`
      : `Deleted, and recoverable until ${scheduledPurgeOn ?? 'the vault purges it'}: az keyvault key recover --id ${recoveryId ?? ''}`;
  return { output: { type: 'delete-key', ...deletion }, text };
}

/** What the steps of a retirement compare with: the last proof, and what the vault said when the version was disabled. @throws Error without a proof */
function judgedBy(run: OperationRun): Pick<RetirementInput, 'proof' | 'disabled'> {
  const proving = run.plan.steps.findLast(({ type }) => type === 'prove');
  if (!proving) throw new Error('A retirement without a proof before it is no plan.');
  const { proof } = outputOf(run.outputs, proving.id, 'prove');
  const disabling = run.plan.steps.find(({ id, type }) => type === 'disable-key-version' && run.isDone(id));
  if (!disabling) return { proof };
  const { type: _type, ...disabled } = outputOf(run.outputs, disabling.id, 'disable-key-version');
  return { proof, disabled };
}
