/** What must hold of the keys of a change. Sources: the AKS documents on KMS etcd encryption; Key Vault's key attributes. */
import type { Fault } from '../errors';
import type { Rule } from '../kinds/kind';
import {
  ANOTHER_VAULT,
  type AzureObservation,
  type KeyLookup,
  type ObservedCluster,
  type ObservedKey,
} from '../observed';
import type { Warning } from '../plan/plan';
import { sameKeyId, shortKeyId } from '../resource-ids';
import { minutesAfter } from '../times';
import { vaultOf } from './cluster';

/** A key that expires within the first is warned of, within the second refused: an operation alone may take hours. */
const EXPIRY_IN_MINUTES = { warned: 30 * 24 * 60, refused: 24 * 60 } as const;

const CLUSTER = '/cluster';
const KEY = '/parameters/keyId';
const NEXT_KEY = '/parameters/nextKeyId';

/** With KMS on, the API servers go on reading with the current key: it must be usable before anything is changed. */
export const currentKeyRule: Rule<unknown> = {
  codes: ['CurrentKeyUnusable'],
  check({ kms }, { currentKey, at }) {
    if (!kms.enabled) return [];
    const fault = (detail: string): Fault => ({ code: 'CurrentKeyUnusable', pointer: CLUSTER, detail });
    if (vaultOf(kms.keyId) === undefined) {
      return [
        fault(
          `KMS is on, but Azure reports "${kms.keyId ?? ''}" as its key, which is no versioned key id. Keyturn does not know which key the Secrets need.`,
        ),
      ];
    }
    if (!currentKey) return [];
    const what = 'The API servers go on reading with the current key';
    if (!currentKey.found)
      return [fault(`${what}, but ${shortKeyId(currentKey.keyId)} was not found: ${currentKey.why}`)];
    return usability(currentKey.key, at).map(({ detail }) => fault(`${what}. ${detail} Repair it first.`));
  },
};

/** A rotation stays in the vault of the current key. */
export const sameVaultRule: Rule<unknown> = {
  codes: ['KeyForeign'],
  check({ kms }, { requestedKey, nextKey }) {
    const vault = vaultOf(kms.keyId);
    return named(requestedKey, nextKey).flatMap(([lookup, pointer]) => {
      if (vault === undefined || vault === vaultOf(idOf(lookup))) return [];
      const detail = `The current key is in ${vault}, and this kind stays in one vault. Name a key of that vault, or ask for the kind change-vault.`;
      return [{ code: 'KeyForeign', pointer, detail }];
    });
  },
};

/** A change of the vault goes to another one. */
export const otherVaultRule: Rule<unknown> = {
  codes: ['KeyInSameVault'],
  check({ kms }, { requestedKey }) {
    const vault = vaultOf(kms.keyId);
    if (!requestedKey || vault === undefined || vault !== vaultOf(idOf(requestedKey))) return [];
    const detail = `The current key is in ${vault} too. To set another key of the same vault, ask for the kind rotate-key.`;
    return [{ code: 'KeyInSameVault', pointer: KEY, detail }];
  },
};

const USABILITY = [
  'KeyNotFound',
  'KeyAlreadyCurrent',
  'KeyDisabled',
  'KeyExpired',
  'KeyExpiresSoon',
  'KeyNotYetValid',
  'KeyTypeUnsupported',
  'KeyOperationsMissing',
] as const;

/** The key that the request names must exist, be another one than the current key, and be usable. */
export const requestedKeyRule: Rule<unknown> = {
  codes: USABILITY,
  check: (cluster, { requestedKey, at }) => (requestedKey ? newKeyFaults(cluster, requestedKey, KEY, at) : []),
};

/** The second key that the request names: as the first, and another one than that. */
export const nextKeyRule: Rule<{ readonly keyId?: string }> = {
  codes: USABILITY,
  check(cluster, { requestedKey, nextKey, at }) {
    if (!nextKey) return [];
    const repeated = requestedKey && sameKeyId(idOf(requestedKey), idOf(nextKey));
    const detail = `${shortKeyId(idOf(nextKey))} is named for both rotations: then the second one changes nothing.`;
    return [
      ...(repeated ? [{ code: 'KeyAlreadyCurrent', pointer: NEXT_KEY, detail } as const] : []),
      ...newKeyFaults(cluster, nextKey, NEXT_KEY, at),
    ];
  },
};

function newKeyFaults({ kms }: ObservedCluster, lookup: KeyLookup, pointer: string, now: string): Fault[] {
  if (!lookup.found) {
    const vault = vaultOf(kms.keyId);
    // The rule of the vault has said it.
    if (vault !== undefined && vault !== vaultOf(lookup.keyId) && lookup.why === ANOTHER_VAULT) return [];
    return [{ code: 'KeyNotFound', pointer, detail: `${shortKeyId(lookup.keyId)}: ${lookup.why}` }];
  }
  const { keyId } = lookup.key;
  const already: Fault = {
    code: 'KeyAlreadyCurrent',
    pointer,
    detail: `${shortKeyId(keyId)} is the current key of the cluster already.`,
  };
  return [
    ...(kms.enabled && kms.keyId !== undefined && sameKeyId(keyId, kms.keyId) ? [already] : []),
    ...usability(lookup.key, now).map((fault) => ({ ...fault, pointer })),
  ];
}

function named(...lookups: readonly (KeyLookup | undefined)[]): (readonly [KeyLookup, string])[] {
  return lookups.flatMap((lookup, index) => (lookup ? [[lookup, index === 0 ? KEY : NEXT_KEY] as const] : []));
}

function idOf(lookup: KeyLookup): string {
  return lookup.found ? lookup.key.keyId : lookup.keyId;
}

/** What the approver should know of the keys: API servers fail when a key that they need expires. */
export function keyWarnings({ at, currentKey, requestedKey, nextKey }: AzureObservation): Warning[] {
  return [currentKey, requestedKey, nextKey].flatMap((lookup) => {
    if (!lookup?.found || !expiresWithin(lookup.key, at, EXPIRY_IN_MINUTES.warned)) return [];
    const name = shortKeyId(lookup.key.keyId);
    return [
      {
        code: 'KeyExpiresSoon',
        detail: `${name} expires on ${lookup.key.expiresOn}, within 30 days. API servers need it after this operation, and fail when it expires. Extend its expiry.`,
      },
    ];
  });
}

function expiresWithin({ expiresOn }: ObservedKey, now: string, minutes: number): boolean {
  return expiresOn !== undefined && expiresOn <= minutesAfter(now, minutes);
}

/** Why a cluster must not come to depend on a key: a sentence each. */
export function reasonsAgainst(key: ObservedKey, now: string): string[] {
  return usability(key, now).map(({ detail }) => detail);
}

/** What keeps API servers from using a key, and what will do so within a month: a sentence each. */
export function keyProblems(key: ObservedKey, now: string): { readonly broken: string[]; readonly soon: string[] } {
  const broken = usability(key, now).filter(({ code }) => code !== 'KeyExpiresSoon');
  const expires = key.expiresOn !== undefined && expiresWithin(key, now, EXPIRY_IN_MINUTES.warned);
  const soon = expires ? [`${shortKeyId(key.keyId)} expires on ${key.expiresOn}.`] : [];
  return { broken: broken.map(({ detail }) => detail), soon };
}

/** Why a key cannot be used for encryption now. */
function usability(key: ObservedKey, now: string): Fault[] {
  const name = shortKeyId(key.keyId);
  const faults: Fault[] = [];
  if (!key.enabled)
    faults.push({ code: 'KeyDisabled', detail: `${name} is disabled. Enable it or choose another version.` });
  if (key.expiresOn !== undefined && key.expiresOn <= now) {
    faults.push({
      code: 'KeyExpired',
      detail: `${name} expired on ${key.expiresOn}. Extend its expiry or choose another version.`,
    });
  }
  if (key.expiresOn !== undefined && key.expiresOn > now && expiresWithin(key, now, EXPIRY_IN_MINUTES.refused)) {
    faults.push({
      code: 'KeyExpiresSoon',
      detail: `${name} expires on ${key.expiresOn}, within a day. Extend its expiry or choose another version.`,
    });
  }
  if (key.notBefore !== undefined && key.notBefore > now) {
    faults.push({ code: 'KeyNotYetValid', detail: `${name} is valid from ${key.notBefore} on.` });
  }
  if (!key.keyType.startsWith('RSA')) {
    faults.push({
      code: 'KeyTypeUnsupported',
      detail: `${name} is of type ${key.keyType}; AKS KMS needs RSA or RSA-HSM.`,
    });
  }
  const missing = ['encrypt', 'decrypt'].filter((operation) => !key.operations.includes(operation));
  if (missing.length > 0) {
    faults.push({ code: 'KeyOperationsMissing', detail: `${name} does not permit: ${missing.join(', ')}.` });
  }
  return faults;
}
