/**
 * Whether keys that a workflow says its steps made are keys that these steps can have made: what an activity takes from its input is
 * held against the approved plan.
 */
import type { MadeKeys } from '../encryption';
import type { Fault } from '../errors';
import { mustParseVaultId, parseKeyId, sameKeyObject, sameText } from '../resource-ids';
import type { Plan } from './plan';
import type { PlanStep } from './steps';

/** Why keys are not those of the plan; undefined when they may be. */
export function madeKeysFault({ steps }: Pick<Plan, 'steps'>, made: MadeKeys): Fault | undefined {
  for (const [id, keyId] of Object.entries(made)) {
    const step = steps.find((one) => one.id === id);
    if (step !== undefined && canHaveMade(step, keyId)) continue;
    return {
      code: 'PlanNotAsApproved',
      detail:
        'The workflow names a key that no step of the approved plan makes, so nothing was sent. Keep every key listed under keysNeeded. Find out who changed the workflow in Temporal, cancel the operation, and ask for a new one.',
    };
  }
  return undefined;
}

function canHaveMade(step: PlanStep, keyId: string): boolean {
  if (step.type === 'create-key-version') return sameKeyObject(keyId, step.like);
  if (step.type !== 'create-key') return false;
  const parsed = parseKeyId(keyId);
  if ('fault' in parsed) return false;
  return sameText(parsed.name, step.keyName) && sameText(parsed.vaultName, mustParseVaultId(step.vaultId).name);
}
