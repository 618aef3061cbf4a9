/** Preconditions of keys: of those that a request names or a kind makes, and of the current one. */
import type { ObservedKey } from '../../../domain/observed';
import { goodKey, KEY_0, KEY_1, KEY_3, keyUsers, NOW, provisioning } from '../fixtures';
import {
  asking,
  good,
  NAMES,
  namingKey,
  takes,
  withAzure,
  withCluster,
  withCurrentKey,
  type Asked,
  type Precondition,
} from './asked';

const SOON = '2026-11-23T00:00:00.000Z';
const HSM = `https://hsm1.managedhsm.azure.net/keys/k1/${'2'.repeat(32)}`;

/** What keeps a cluster from depending on a key. */
const BAD: readonly (readonly [string, string, Partial<ObservedKey>])[] = [
  ['enabled', 'KeyDisabled', { enabled: false }],
  ['unexpired', 'KeyExpired', { expiresOn: NOW }],
  ['not about to expire', 'KeyExpiresSoon', { expiresOn: SOON }],
  ['valid already', 'KeyNotYetValid', { notBefore: SOON }],
  ['RSA', 'KeyTypeUnsupported', { keyType: 'EC' }],
  ['for encryption and decryption', 'KeyOperationsMissing', { operations: ['encrypt'] }],
];

/** Reasons for all kinds whose requests have no such member. */
function unlessTaken(member: string, reason: string): Record<string, string> {
  return Object.fromEntries(NAMES.filter((kind) => !takes(kind, member)).map((kind) => [kind, reason]));
}

const NAMES_NONE = 'Its requests name no key.';

/** A key that `provision-kms` finds under the name that it is asked for. */
function provisioned(asked: Asked, change: Partial<ObservedKey>): Asked {
  const vault = {
    location: 'westeurope',
    tenantId: 'tenant-1',
    permissionModel: 'rbac' as const,
    softDelete: true,
    purgeProtection: true,
    openToAllNetworks: true,
  };
  return withAzure(asked, {
    provisioning: provisioning({ vault: { state: 'exists', vault }, key: 'exists' }),
    provisionedKey: goodKey(KEY_3, change),
  });
}

const named = (what: string, code: string, change: Partial<ObservedKey>): Precondition => {
  const { 'provision-kms': _found, ...exempt } = unlessTaken('keyId', NAMES_NONE);
  const ask = (asked: Asked, of: Partial<ObservedKey>): Asked | undefined =>
    asked.kind === 'provision-kms' ? provisioned(asked, of) : namingKey(asked, of);
  return {
    what: `a key to depend on that is ${what}`,
    code: { ...Object.fromEntries(NAMES.map((kind) => [kind, code])), 'provision-kms': 'KeyUnsuited' },
    exempt: { ...exempt, 'retire-key': 'No cluster is to depend on the key that it retires.' },
    kept: (asked) => ask(asked, {}) ?? asked,
    violated: (asked) => ask(asked, change),
  };
};

const second = (what: string, code: string, change: Partial<ObservedKey>): Precondition => {
  const ask = (asked: Asked, of: Partial<ObservedKey>): Asked | undefined =>
    takes(asked.kind, 'nextKeyId')
      ? withAzure(asking(asked, { nextKeyId: KEY_3 }), { nextKey: { found: true, key: goodKey(KEY_3, of) } })
      : undefined;
  return {
    what: `a second key that is ${what}`,
    code,
    exempt: unlessTaken('nextKeyId', 'Its requests name no second key.'),
    kept: (asked) => ask(asked, {}) ?? asked,
    violated: (asked) => ask(asked, change),
  };
};

const OFF = 'KMS is off: there is no current key.';
const current = (what: string, change: Partial<ObservedKey>): Precondition => ({
  what: `a current key that is ${what}`,
  code: 'CurrentKeyUnusable',
  exempt: {
    'enable-kms': OFF,
    'provision-kms': 'It changes nothing of the cluster, whose current key may be what another vault is made for.',
    'create-cluster': OFF,
    'recover-key': 'This is what it repairs.',
    'enable-vault-diagnostics': 'Logs are wanted most when a key does not work.',
  },
  violated: (asked) => withCurrentKey(asked, change),
});

const USES = 'It takes no key out of use.';
const users = (of: 'other' | 'this'): Precondition['violated'] => {
  return (asked) => {
    const key = asked.kind === 'retire-key' ? KEY_0 : KEY_1;
    const cluster = asked.azure.cluster.found ? asked.azure.cluster.cluster.resourceId : '';
    return withAzure(asked, { keyUsers: keyUsers(key, of === 'other' ? cluster.replace(/aks1$/, 'aks2') : cluster) });
  };
};
const retiringOnly = (...kinds: string[]): Record<string, string> =>
  Object.fromEntries(NAMES.filter((kind) => !kinds.includes(kind)).map((kind) => [kind, USES]));

/** Their rows. */
export const OF_KEYS: readonly Precondition[] = [
  ...BAD.map(([what, code, change]) => named(what, code, change)),
  ...BAD.map(([what, code, change]) => second(what, code, change)),
  ...BAD.map(([what, , change]) => current(what, change)),
  {
    what: 'a key of a Key Vault, not of a Managed HSM',
    code: 'InvalidKeyId',
    exempt: unlessTaken('keyId', NAMES_NONE),
    violated: (asked) => (takes(asked.kind, 'keyId') ? asking(asked, { keyId: HSM }) : undefined),
  },
  {
    ...current('a versioned key of a Key Vault', {}),
    violated: (asked) =>
      asked.azure.currentKey && withCluster(asked, { kms: { enabled: true, keyId: HSM, networkAccess: 'Public' } }),
  },
  {
    what: 'an expiry that leaves time',
    code: 'ExpiryTooSoon',
    exempt: unlessTaken('expiresOn', 'Its requests name no expiry.'),
    kept: (asked) =>
      takes(asked.kind, 'expiresOn') ? asking(asked, { expiresOn: '2027-11-23T00:00:00.000Z' }) : asked,
    violated: (asked) => (takes(asked.kind, 'expiresOn') ? asking(asked, { expiresOn: SOON }) : undefined),
  },
  {
    what: 'K1: a key that no other cluster needs',
    code: 'KeyInUse',
    exempt: retiringOnly('replace-key', 'retire-key'),
    violated: users('other'),
  },
  {
    what: 'K1: a key that the cluster itself does not need',
    code: 'KeyInUse',
    exempt: {
      ...retiringOnly('retire-key', 'replace-key'),
      'replace-key': 'Its plan moves the cluster away from the key first.',
    },
    violated: users('this'),
  },
  {
    what: 'K1: a ledger that shows the key leave its slots',
    code: 'KeyNotEvicted',
    exempt: {
      ...retiringOnly('retire-key', 'replace-key'),
      'replace-key': 'Its own plan rotates twice before it disables the key.',
    },
    violated: (asked) => ({ ...asked, ledger: good('rotate-key').ledger }),
  },
];
