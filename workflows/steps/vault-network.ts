/** The performer of the step that opens or closes the public address of a vault. */
import type { StepOf } from '../../domain/plan/steps';
import { mustParseKeyId } from '../../domain/resource-ids';
import { underLock } from '../held-cluster';
import type { StepOutcome } from '../operation-run';
import type { Execution } from './execution';

/** Changes the network of the vault, and sees that it is so. */
export async function setVaultNetwork(step: StepOf<'set-vault-network'>, { run }: Execution): Promise<StepOutcome> {
  const { changed } = await underLock(run).lasting(step.title).setVaultNetwork(run.reference(step.id));
  const { vaultName } = mustParseKeyId(step.key);
  const state = step.to === 'open' ? 'answers to all networks' : 'answers over private endpoints only';
  return {
    output: { type: 'set-vault-network', changed },
    text: `The vault ${vaultName} ${state}${changed ? '' : ', as it did before'}.`,
  };
}
