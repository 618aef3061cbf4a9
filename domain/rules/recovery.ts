/** What must hold before anything is repaired: there is a cause, and it can be repaired. */
import type { Fault } from '../errors';
import type { FactRule, PlanFacts, Rule } from '../kinds/kind';
import { causesOf, mayBeSentAgain, NOT_REPAIRABLE, type Cause } from '../recovery';
import { minutesAfter } from '../times';
import { AFTER_FAILED_KMS } from './cluster';

const CLUSTER = '/cluster';
const A_DAY_IN_MINUTES = 24 * 60;

const PURGED =
  'Keyturn cannot bring it back, and no other program can. If there is a backup of the key (az keyvault key backup), restore it under the same name into a vault of the same name, and ask again. Otherwise Secrets that are stored under it cannot be read any more: make them again.';

/** There is something that can be repaired. */
export const recoverableRule: FactRule<unknown> = {
  codes: ['NothingToRecover', 'KeyPurged', 'VaultPurged', 'GrantRefused', 'VaultNotReachable'],
  check(facts) {
    const causes = causesOfFacts(facts);
    // What can be repaired is repaired, also where another key is lost for ever: Secrets under the first one can be read then.
    if (causes.some(({ type }) => !NOT_REPAIRABLE.includes(type))) return [];
    const hopeless = causes.flatMap((cause) => refusalOf(cause));
    if (hopeless.length > 0) return hopeless;
    const unhealthy = (facts.azure.recovery?.kms?.causes.length ?? 0) > 0;
    return unhealthy || mayBeSentAgain(facts.cluster, facts.ledger) ? [] : [nothingToRecover(facts)];
  },
};

/** Every cause that Azure shows. */
export function causesOfFacts({
  azure: { recovery, at },
  cluster,
}: Pick<PlanFacts<unknown>, 'azure' | 'cluster'>): readonly Cause[] {
  return recovery === undefined ? [] : causesOf(recovery, cluster, at);
}

function refusalOf({ type, text }: Cause): Fault[] {
  const purged = { 'key-purged': 'KeyPurged', 'vault-purged': 'VaultPurged' } as const;
  if (type === 'key-purged' || type === 'vault-purged')
    return [{ code: purged[type], pointer: CLUSTER, detail: `${text} ${PURGED}` }];
  if (type === 'access-denied')
    return [{ code: 'GrantRefused', pointer: CLUSTER, detail: `${text} Nothing was changed. Then ask again.` }];
  if (type === 'key-out-of-reach')
    return [{ code: 'VaultNotReachable', pointer: CLUSTER, detail: `${text} Nothing was changed. Then ask again.` }];
  return [];
}

function nothingToRecover({ azure: { recovery }, cluster }: PlanFacts<unknown>): Fault {
  const unseen = (recovery?.slots ?? []).flatMap(({ key, vault }) => [
    ...(key.found ? [] : [key.why]),
    ...(vault.state === 'unknown' ? [vault.why] : []),
  ]);
  const health =
    recovery?.kms === undefined
      ? 'No API server told Keyturn whether its KMS works.'
      : 'The API servers say that their KMS works.';
  const detail = [
    'Keyturn found no cause in Azure that it could repair.',
    health,
    ...(unseen.length === 0 ? [] : [`Keyturn did not see everything: ${unseen.join(' ')}`]),
    ...(cluster.provisioningState === 'Failed' ? [AFTER_FAILED_KMS] : []),
  ].join(' ');
  return { code: 'NothingToRecover', pointer: CLUSTER, detail };
}

/** An expiry that is named must leave time to use the key. */
export const expiryRule: Rule<{ readonly expiresOn?: string | undefined }> = {
  codes: ['ExpiryTooSoon'],
  check(_cluster, { at }, { expiresOn }) {
    if (expiresOn === undefined || minutesAfter(expiresOn, 0) > minutesAfter(at, A_DAY_IN_MINUTES)) return [];
    const detail = `The key would expire on ${expiresOn}, within a day, and API servers fail when it does. Name a later time, or leave \`expiresOn\` out.`;
    return [{ code: 'ExpiryTooSoon', pointer: '/parameters/expiresOn', detail }];
  },
};
