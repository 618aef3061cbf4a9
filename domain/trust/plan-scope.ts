/** Whether a plan keeps to what its requester may have changed: the policy's scopes, which the API signs with the request. Pure. */
import type { Fault } from '../errors';
import { resourcesChanged } from '../plan/changed-resources';
import type { Plan, PlanPolicy } from '../plan/plan';
import { covers } from '../scope';

/**
 * Every resource outside the cluster that a plan changes and that the requester has no right on, one sentence each.
 * A request without scopes was signed by an API that did not know them: it is as it was then, without a limit (docs/decisions/044).
 */
export function scopeFaults(
  plan: Pick<Plan, 'kind' | 'cluster' | 'from' | 'steps' | 'vaults'>,
  { scopes }: Pick<PlanPolicy, 'scopes'>,
): Fault[] {
  if (scopes === undefined) return [];
  return resourcesChanged(plan)
    .filter(({ id }) => !scopes.some((scope) => covers(scope, id ?? '')))
    .map(({ step, id, name }) => ({
      code: 'ResourceOutOfScope' as const,
      detail:
        `The step ${step} changes ${name}, and the policy does not give the requester the right to request ${plan.kind} there. ` +
        (id === null
          ? 'Keyturn does not see the ARM id of this vault, so only a right on every scope would cover it: let Keyturn read the vault in ARM (Microsoft.KeyVault/vaults/read). '
          : '') +
        `Nothing was changed; keep every key that the cluster needs. Have a person ask whose rule in the policy file covers it, or have its owner add it to the scopes of the requester's rule, then ask again.`,
    }));
}
