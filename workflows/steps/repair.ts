/** Performers of the steps that make a key usable again: each writes once, then sees that it worked. */
import { assertNever } from '../../domain/assert-never';
import { profileOf } from '../../domain/plan/change-of-step';
import { madeKeys, type StepOutput } from '../../domain/plan/outputs';
import type { StepOf } from '../../domain/plan/steps';
import { mustParseKeyId, shortKeyId, resourceName } from '../../domain/resource-ids';
import { awaitIdleCluster } from '../cluster-idle';
import { underLock } from '../held-cluster';
import type { StepOutcome } from '../operation-run';
import { changeCluster, earlierOperations } from './change';
import type { Execution } from './execution';

type RepairStep = StepOf<
  'enable-key-version' | 'extend-key-expiry' | 'recover-deleted-key' | 'recover-vault' | 'restore-identity'
>;

/** Gives the cluster's identity the rights on a key, and waits until Azure shows them. */
export async function grantKeyAccess(step: StepOf<'grant-key-access'>, { run }: Execution): Promise<StepOutcome> {
  const { quick, lasting } = underLock(run);
  const reference = run.reference(step.id);
  const { principalId, granted } = await quick(step.title).grantKeyAccess(reference);
  const waiting = `Wait until Azure shows the access to the key ${step.keyName}`;
  await run.interruptibly(() => lasting(waiting).awaitKeyAccess({ ...reference, principalId }));
  const who = `${resourceName(step.identityId)} (principal ${principalId})`;
  return {
    output: { type: 'grant-key-access', principalId, granted },
    text: granted
      ? `${who} may encrypt and decrypt with the key ${step.keyName}. It takes up to ten minutes until every part of Azure knows.`
      : `${who} had the rights already.`,
  };
}

/** Repairs a key, a vault or the identity. */
export async function repair(step: RepairStep, { run }: Execution): Promise<StepOutcome> {
  // A cluster whose key does not work may be Failed: when the lock was lost, it must not be compared with one that Succeeded.
  run.expectProfile(null);
  const repaired = await underLock(run).lasting(step.title).repair(run.reference(step.id));
  const { output, text } = outcomeOf(step, repaired);
  return { output, text: repaired.changed ? text : `${text} It was so already.` };
}

function outcomeOf(
  step: RepairStep,
  { changed, expiresOn = '', principalId = '' }: { changed: boolean; expiresOn?: string; principalId?: string },
): { readonly output: StepOutput; readonly text: string } {
  const { type } = step;
  switch (type) {
    case 'enable-key-version':
      return { output: { type, changed }, text: `${shortKeyId(step.key)} is enabled.` };
    case 'extend-key-expiry':
      return { output: { type, changed, expiresOn }, text: `${shortKeyId(step.key)} expires: ${expiresOn}.` };
    case 'recover-deleted-key':
      return { output: { type, changed }, text: `The vault has ${shortKeyId(step.key)} again.` };
    case 'recover-vault':
      return { output: { type, changed }, text: `The vault ${mustParseKeyId(step.key).vaultName} answers.` };
    case 'restore-identity':
      return {
        output: { type, changed, principalId },
        text: `The managed identity is there, with the principal ${principalId}.`,
      };
    default:
      return assertNever(type);
  }
}

/** Sends the cluster to ARM as it is, and waits until it Succeeded. */
export async function reconcileCluster(step: StepOf<'reconcile-cluster'>, { run }: Execution): Promise<StepOutcome> {
  run.expectProfile(null);
  await awaitIdleCluster(run, run.plan.cluster);
  const ended = await changeCluster(step, run, 'Wait until Azure is done with the cluster');
  run.expectProfile(profileOf(step.expect, madeKeys(run.outputs)));
  return {
    output: { type: 'reconcile-cluster', armOperations: [...earlierOperations(step, run), ended] },
    text: `Azure's operation ended ${ended.status}.`,
  };
}

/** Waits until the API servers say that their KMS works. */
export async function awaitKms(step: StepOf<'await-kms'>, { run }: Execution): Promise<StepOutcome> {
  const { answers } = await underLock(run).lasting(step.title).awaitKms(run.reference(step.id));
  return {
    output: { type: 'await-kms', answers },
    text: `The KMS of the API servers works: ${answers} health checks passed, each over a new connection.`,
  };
}
