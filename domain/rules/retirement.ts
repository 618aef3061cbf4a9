/** What must hold before a key is retired: no cluster that Keyturn can see needs it (K1). */
import type { Fault } from '../errors';
import type { FactRule, Rule } from '../kinds/kind';
import { keyUserFaults, needsKey } from '../key-users';
import { keysNeeded } from '../ledger';
import { sameKeyId, shortKeyId } from '../resource-ids';

const KEY = '/parameters/keyId';

/** No other cluster needs the key that the cluster is moved away from. */
export const currentKeyUnusedElsewhereRule: Rule<unknown> = {
  codes: ['KeyInUse'],
  check: ({ resourceId }, { keyUsers }) => (keyUsers ? keyUserFaults(keyUsers, resourceId) : []),
};

/** No cluster needs the key, this one included. */
export const keyUnusedRule: Rule<unknown> = {
  codes: ['KeyInUse'],
  check: (_, { keyUsers }) => (keyUsers ? keyUserFaults(keyUsers) : []),
};

/** The key that is to be retired must be one that the vault knows. */
export const retiredKeyFoundRule: Rule<unknown> = {
  codes: ['KeyNotFound'],
  check(_, { requestedKey }) {
    if (!requestedKey || requestedKey.found) return [];
    return [{ code: 'KeyNotFound', pointer: KEY, detail: `${shortKeyId(requestedKey.keyId)}: ${requestedKey.why}` }];
  },
};

/** The ledger of this cluster must not need the key, and must be known from before it left its slot. */
export const keyLeftItsSlotsRule: FactRule<{ readonly keyId: string }> = {
  codes: ['KeyInUse', 'KeyNotEvicted'],
  check({ ledger, parameters: { keyId } }): Fault[] {
    if (needsKey(keysNeeded(ledger), keyId)) {
      const detail = `${shortKeyId(keyId)} is needed by this cluster: it is in a slot, or Secrets may be stored under it. Rotate its key, twice, then ask again.`;
      return [{ code: 'KeyInUse', pointer: KEY, detail }];
    }
    const known = ledger.generations.findLast((one) => one.keyId !== null && sameKeyId(one.keyId, keyId));
    const adopted = ledger.generations.findLastIndex(({ origin }) => origin === 'adopted');
    const evicted = known?.state === 'evicted' && ledger.generations.indexOf(known) >= adopted;
    if (evicted) return [];
    const detail = `The ledger of this cluster does not show that ${shortKeyId(keyId)} left its slots. Keyturn retires only what it has seen leave: by the kinds rotate-key, replace-key or change-vault. Two rotations by Keyturn make both slots known.`;
    return [{ code: 'KeyNotEvicted', pointer: KEY, detail }];
  },
};
