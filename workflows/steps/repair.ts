/** Performers of the steps that make a key usable again: each writes once, then sees that it worked. */
import type { StepOf } from '../../domain/plan/steps';
import { underLock } from '../held-cluster';
import type { StepOutcome } from '../operation-run';
import type { Execution } from './execution';

/** Gives the cluster's identity the rights on a key, and waits until Azure shows them. */
export async function grantKeyAccess(step: StepOf<'grant-key-access'>, { run }: Execution): Promise<StepOutcome> {
  const { quick, lasting } = underLock(run);
  const reference = run.reference(step.id);
  const { principalId, granted } = await quick(step.title).grantKeyAccess(reference);
  const waiting = `Wait until Azure shows the access to the key ${step.keyName}`;
  await run.interruptibly(() => lasting(waiting).awaitKeyAccess({ ...reference, principalId }));
  const who = `${step.identityId.split('/').at(-1) ?? ''} (principal ${principalId})`;
  return {
    output: { type: 'grant-key-access', principalId, granted },
    text: granted
      ? `${who} may encrypt and decrypt with the key ${step.keyName}. It takes up to ten minutes until every part of Azure knows.`
      : `${who} had the rights already.`,
  };
}
