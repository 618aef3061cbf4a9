/** What must hold of the keys of a change. Sources: the AKS documents on KMS etcd encryption; Key Vault's key attributes. */
import type { Fault } from '../errors';
import type { Rule } from '../kinds/kind';
import type { AzureObservation, ObservedKey } from '../observed';
import type { Warning } from '../plan/plan';
import { sameKeyId, shortKeyId } from '../resource-ids';
import { minutesAfter } from '../times';
import { vaultOf } from './cluster';

/** A key that expires within the first is warned of, within the second refused: an operation alone may take hours. */
const EXPIRY_IN_MINUTES = { warned: 30 * 24 * 60, refused: 24 * 60 } as const;

const CLUSTER = '/cluster';
const KEY = '/parameters/keyId';

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
  check({ kms }, { requestedKey }) {
    const vault = vaultOf(kms.keyId);
    const keyId = requestedKey?.found ? requestedKey.key.keyId : requestedKey?.keyId;
    if (keyId === undefined || vault === undefined || vault === vaultOf(keyId)) return [];
    const detail = `The current key is in ${vault}; rotate-key stays in one vault. Name a key of that vault.`;
    return [{ code: 'KeyForeign', pointer: KEY, detail }];
  },
};

/** The key that the request names must exist, be another one than the current key, and be usable. */
export const requestedKeyRule: Rule<unknown> = {
  codes: [
    'KeyNotFound',
    'KeyAlreadyCurrent',
    'KeyDisabled',
    'KeyExpired',
    'KeyExpiresSoon',
    'KeyNotYetValid',
    'KeyTypeUnsupported',
    'KeyOperationsMissing',
  ],
  check({ kms }, { requestedKey, at }) {
    if (!requestedKey) return [];
    if (!requestedKey.found) {
      const vault = vaultOf(kms.keyId);
      // The rule of the vault has said it.
      if (vault !== undefined && vault !== vaultOf(requestedKey.keyId)) return [];
      return [{ code: 'KeyNotFound', pointer: KEY, detail: `${shortKeyId(requestedKey.keyId)}: ${requestedKey.why}` }];
    }
    const { keyId } = requestedKey.key;
    const already: Fault = {
      code: 'KeyAlreadyCurrent',
      pointer: KEY,
      detail: `${shortKeyId(keyId)} is the current key of the cluster already.`,
    };
    return [
      ...(kms.enabled && kms.keyId !== undefined && sameKeyId(keyId, kms.keyId) ? [already] : []),
      ...usability(requestedKey.key, at).map((fault) => ({ ...fault, pointer: KEY })),
    ];
  },
};

/** What the approver should know of the keys: API servers fail when a key that they need expires. */
export function keyWarnings({ at, currentKey, requestedKey }: AzureObservation): Warning[] {
  return [currentKey, requestedKey].flatMap((lookup) => {
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
