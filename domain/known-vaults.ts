/** The ARM ids of vaults that a plan names by keys only, as far as the facts have them. Pure. */
import type { AzureObservation } from './observed';
import { vaultNameOf, vaultsNamedByKey } from './plan/changed-resources';
import type { Plan } from './plan/plan';

/** @returns by name in lower case; undefined when the plan changes no such vault, or Keyturn sees none of them */
export function vaultIdsFor(
  plan: Pick<Plan, 'from' | 'steps'>,
  { vaultIds = {}, recovery }: Pick<AzureObservation, 'vaultIds' | 'recovery'>,
): Readonly<Record<string, string>> | undefined {
  const ofSlots = (recovery?.slots ?? []).flatMap(({ keyId, vault }) =>
    vault.state === 'live' || vault.state === 'deleted' ? [[vaultNameOf(keyId), vault.vaultId] as const] : [],
  );
  const known = new Map([...ofSlots, ...Object.entries(vaultIds)]);
  const found = vaultsNamedByKey(plan).flatMap((name) => {
    const id = known.get(name);
    return id === undefined ? [] : [[name, id] as const];
  });
  return found.length === 0 ? undefined : Object.fromEntries(found);
}
