/**
 * The activities that retire a key version, as a table.
 *
 * Never does: disable or delete on the word of a workflow. The proof, and since when the version is disabled, count with their receipts
 * only, and the soak of the plan is measured here once more.
 */
import type { Plan } from '../domain/plan/plan';
import type { StepOf } from '../domain/plan/steps';
import { sameKeyId, shortKeyId } from '../domain/resource-ids';
import type { Activities, Disabled, RetirementInput } from './contract';
import { tryAgain } from './failures';
import type { Look } from './look';
import type { Receipts } from './receipts';
import { checkKeyUnused, deleteFreeKey, disableKeyVersion, type Retirement } from './retirement';
import { INSIDE, type ActivityRunner, type PlannedStep } from './run-activity';

/** What they work with. */
export interface Retiring {
  readonly runner: ActivityRunner;
  readonly receipts: Receipts;
  readonly look: (signal: AbortSignal) => Look;
}

type RetiringActivities = Pick<Activities, 'checkKeyUnused' | 'disableKeyVersion' | 'deleteFreeKey'>;

/** Makes them; contacts no service yet. */
export function retiringActivities({ runner, receipts, look }: Retiring): RetiringActivities {
  const retirementOf = (
    { made, proof, disabled }: RetirementInput,
    work: PlannedStep<'check-key-unused' | 'disable-key-version' | 'delete-key'>,
  ): Retirement => {
    const { plan, step, cluster, operationId } = work;
    const proving = plan.steps.findLast((one): one is StepOf<'prove'> => one.type === 'prove');
    if (!proving) throw new Error('A retirement without a proof before it is no plan.');
    receipts.require({ ...work, step: proving }, made, proof);
    // Nothing is deleted that this operation did not disable.
    if (disabled || step.type === 'delete-key')
      receipts.require({ ...work, step: disablingOf(plan, step.key) }, made, disabled);
    return { keyId: step.key, cluster, operationId, provenRv: proof.finalRv, disabled };
  };
  return {
    checkKeyUnused: runner.readsForStep(
      ['check-key-unused'],
      { doing: 'Looking whether the key is needed', ...INSIDE },
      (input, work) => checkKeyUnused(look(work.signal), retirementOf(input, work)),
    ),
    disableKeyVersion: runner.writesForStep(
      ['disable-key-version'],
      {
        doing: 'Disabling the key version',
        vaultRefusal: 'DeleteKeyRefused',
        afterVaultRefusal: rightMissing('update', 'The key version stays enabled.'),
        ...INSIDE,
      },
      async (input, work) => {
        const disabled = await disableKeyVersion(look(work.signal), retirementOf(input, work));
        return await receipts.sign(work, input.made, disabled);
      },
    ),
    deleteFreeKey: runner.writesForStep(
      ['delete-key'],
      {
        doing: 'Deleting the key',
        vaultRefusal: 'DeleteKeyRefused',
        afterVaultRefusal: rightMissing('delete', 'The key version stays disabled and is not deleted.'),
        ...INSIDE,
      },
      async (input, work) => {
        const retirement = retirementOf(input, work);
        refuseBeforeSoak(work.plan, work.step.key, input.disabled);
        return await deleteFreeKey(look(work.signal), retirement);
      },
    ),
  };
}

function disablingOf(plan: Plan, key: string): StepOf<'disable-key-version'> {
  const disabling = plan.steps.find(
    (one): one is StepOf<'disable-key-version'> => one.type === 'disable-key-version' && sameKeyId(one.key, key),
  );
  if (!disabling) throw new Error('A plan deletes no key without disabling its version before.');
  return disabling;
}

/** A workflow measures the soak by its timer, and whoever writes to Temporal can end a timer early. @throws ApplicationFailure `SoakNotOver` */
function refuseBeforeSoak({ steps }: Plan, key: string, disabled: Disabled | undefined): void {
  const soak = steps.find((one): one is StepOf<'soak'> => one.type === 'soak' && sameKeyId(one.key, key));
  const endsAt = Date.parse(disabled?.receipt?.at ?? '') + (soak?.seconds ?? 0) * 1_000;
  const left = endsAt - Date.now();
  if (left <= 0) return;
  throw tryAgain(
    'SoakNotOver',
    `${shortKeyId(key)} was disabled at ${disabled?.receipt?.at}, and the plan waits ${soak?.seconds} seconds before it deletes. Nothing was deleted.`,
    left,
  );
}

/** What to do when a vault refuses a write of a retirement. @param permission as Key Vault names it */
function rightMissing(permission: 'update' | 'delete', means: string): string {
  return `${means} Give Keyturn's identity the right Microsoft.KeyVault/vaults/keys/${permission} on the vault (role Key Vault Crypto Officer, or the key permission ${permission} in an access policy), then retry; or cancel.`;
}
