/** Why a cluster cannot use its key, what is planned against it, and when nothing can be done. */
import { describe, expect, it } from '@jest/globals';
import type { Fault } from '../../domain/errors';
import { failingKmsChecks, kmsCause } from '../../domain/kms-health';
import type { Observation, ObservedCluster } from '../../domain/observed';
import { planFaults } from '../../domain/plan/check-plan';
import type { Plan } from '../../domain/plan/plan';
import { plan, ruleFaults } from '../../domain/planner';
import { activated, activating, type Ledger } from '../../domain/ledger';
import type { Recovery, SlotFacts } from '../../domain/recovery';
import { recoveryKeys } from '../../domain/recovery-keys';
import { monthAfterAYear } from '../../domain/times';
import {
  azure,
  FOREIGN_KEY,
  goodCluster,
  identityAccess,
  KEY_0,
  KEY_1,
  KEY_2,
  NOW,
  observation,
  planned,
  provenLedger,
  recovery,
  requestOf,
  slotFacts,
  VAULT_ID,
} from './fixtures';

const PAST = '2026-11-21T00:00:00.000Z';
const EXPIRES = '2027-12-01T00:00:00.000Z';
const gone = (keyId: string): Extract<SlotFacts['key'], { found: false }> => ({
  found: false,
  keyId,
  missing: 'key',
  why: 'It is not there.',
});
const rbac = { permissionModel: 'rbac' as const };
const noRole = identityAccess({ vault: rbac, roles: { known: true, value: [] }, denials: { known: true, value: [] } });
const live = { state: 'live', vaultId: VAULT_ID, ...rbac, openToAllNetworks: true } as const;
const deleted = { state: 'deleted', vaultId: VAULT_ID, location: 'westeurope' } as const;
const well = { answers: 8, causes: [] };

function asked(
  change: Partial<Recovery>,
  {
    cluster,
    parameters = {},
    ...more
  }: Partial<Observation> & {
    readonly cluster?: Partial<ObservedCluster>;
    readonly parameters?: Record<string, unknown>;
  } = {},
): ReturnType<typeof plan> {
  const { currentKey: _none, ...facts } = azure({ cluster });
  const facts2 = { ...facts, recovery: recovery({ slots: [slotFacts('current', KEY_1)], kms: well, ...change }) };
  const observed = { ...observation(facts2, provenLedger(KEY_2, KEY_1)), ...more };
  return plan(requestOf('recover-key', parameters), observed, { approvalsRequired: 1 });
}
const stepsOf = (made: ReturnType<typeof plan>): Plan['steps'] => {
  if (made.plan === null) throw new Error(JSON.stringify(made.faults));
  return made.plan.steps.filter(({ id }) => id.startsWith('repair.') && id !== 'repair.await-kms');
};
const codes = ({ faults }: { readonly faults: readonly Fault[] }): string[] => faults.map(({ code }) => code);

describe('a recovery', () => {
  it.each<[string, Partial<Recovery>, object[]]>([
    [
      'enables a version and moves its expiry, in either slot',
      {
        slots: [
          slotFacts('current', KEY_1, { version: { enabled: false } }),
          slotFacts('previous', KEY_2, { version: { expiresOn: PAST } }),
        ],
      },
      [
        { type: 'enable-key-version', key: KEY_1 },
        { type: 'extend-key-expiry', key: KEY_2, expiresOn: EXPIRES },
      ],
    ],
    [
      'recovers a key object once, though versions of it are in both slots',
      {
        slots: [
          slotFacts('current', KEY_1, { key: gone(KEY_1), softDeleted: 'yes' }),
          slotFacts('previous', KEY_1.replace(/1{32}$/, 'f'.repeat(32)), { key: gone(KEY_1), softDeleted: 'yes' }),
        ],
      },
      [
        { type: 'recover-deleted-key', key: KEY_1 },
        // Nothing shows how the versions were before: each is enabled if it is not.
        { type: 'enable-key-version', key: KEY_1 },
        { type: 'enable-key-version' },
      ],
    ],
    [
      'opens a vault that is closed',
      { slots: [slotFacts('current', KEY_1, { vault: { ...live, openToAllNetworks: false } })] },
      [{ type: 'set-vault-network', vaultId: VAULT_ID, to: 'open' }],
    ],
    [
      'gives a role that was lost',
      { slots: [slotFacts('current', KEY_1, { vault: live, access: noRole })] },
      [{ type: 'grant-key-access', ...rbac, keyName: 'k1', principalId: 'principal-1' }],
    ],
    [
      'recovers a vault, and gives the rights that went with it',
      {
        slots: [
          slotFacts('current', KEY_1, { key: { ...gone(KEY_1), missing: 'vault' }, vault: deleted, access: undefined }),
        ],
      },
      [
        { type: 'recover-vault', vaultId: VAULT_ID, location: 'westeurope' },
        { type: 'grant-key-access', permissionModel: null, keyName: 'k1' },
      ],
    ],
    [
      'has AKS take the principal of an identity that was made again',
      {
        identity: { ...recovery().identity!, state: 'replaced', principalId: 'principal-2' },
        slots: [
          slotFacts('current', KEY_1, {
            vault: live,
            access: { ...noRole, identity: { name: 'id1', principalId: 'principal-2' } },
          }),
        ],
      },
      [
        { type: 'grant-key-access', principalId: 'principal-2' },
        { type: 'reconcile-cluster', replaces: 'principal-1' },
      ],
    ],
    [
      'makes an identity again, and grants to the principal that it gets',
      {
        identity: { id: recovery().identity!.id, location: 'westeurope', state: 'missing' },
        slots: [slotFacts('current', KEY_1, { access: undefined })],
      },
      [
        { type: 'restore-identity', location: 'westeurope' },
        { type: 'grant-key-access', principalId: null },
        { type: 'reconcile-cluster', replaces: 'principal-1' },
      ],
    ],
  ])('%s', (_what, change, expected) => {
    expect(stepsOf(asked(change))).toMatchObject(expected);
  });

  it('leaves a vault closed that API servers reach over a private endpoint', () => {
    const slots = [slotFacts('current', KEY_1, { vault: { ...live, openToAllNetworks: false } })];
    const cluster = { kms: { enabled: true, keyId: KEY_1, networkAccess: 'Private', vaultId: VAULT_ID } };
    expect(codes(asked({ slots }, { cluster }))).toEqual(['NothingToRecover']);
  });

  it('takes the expiry that is asked for, and refuses one that is within a day', () => {
    const slots = [slotFacts('current', KEY_1, { version: { expiresOn: PAST } })];
    const expiresOn = '2027-01-01T00:00:00.000Z';
    expect(stepsOf(asked({ slots }, { parameters: { expiresOn } }))).toMatchObject([{ expiresOn }]);
    expect(codes(asked({ slots }, { parameters: { expiresOn: '2026-11-23T12:00:00Z' } }))).toEqual(['ExpiryTooSoon']);
    expect(monthAfterAYear('2026-01-31T23:00:00.000Z')).toBe('2027-02-01T00:00:00.000Z');
    expect(monthAfterAYear('2028-12-01T00:00:00.000Z')).toBe('2030-01-01T00:00:00.000Z');
  });

  it('begins on a cluster that Failed, and not on one that Azure is changing', () => {
    const slots = [slotFacts('current', KEY_1, { version: { enabled: false } })];
    expect(stepsOf(asked({ slots }, { cluster: { provisioningState: 'Failed' } }))).toMatchObject([
      { type: 'enable-key-version' },
      { type: 'reconcile-cluster', replaces: null },
    ]);
    expect(codes(asked({ slots }, { cluster: { provisioningState: 'Updating' } }))).toEqual(['ClusterNotSucceeded']);
  });

  it('repairs at once what was rotated an hour ago at most, and proves nothing then', () => {
    const slots = [slotFacts('current', KEY_1, { version: { enabled: false } })];
    const generation = { keyId: KEY_1, state: 'activated', origin: 'operation', since: NOW } as const;
    const recent = {
      cluster: { kubernetesVersion: '1.28.1' },
      ledger: { version: 1 as const, generations: [generation] },
    };
    const made = asked({ slots }, recent);
    expect(made.plan?.steps.map(({ type }) => type)).toEqual(['gate', 'enable-key-version', 'await-kms']);
    expect(made.plan?.warnings.map(({ code }) => code)).toContain('NotProvenAfterwards');
  });

  it('moves an expiry that is less than a day away, or a month with KMS off: no other operation can begin, or helps', () => {
    const at = (expiresOn: string): Partial<Recovery> => ({
      slots: [slotFacts('current', KEY_1, { version: { expiresOn } })],
    });
    const off = { cluster: { kms: { enabled: false, keyId: KEY_1 } } };
    expect(stepsOf(asked(at('2026-11-23T11:00:00.000Z')))).toMatchObject([
      { id: 'repair.extend-key-in-time', type: 'extend-key-expiry', key: KEY_1 },
    ]);
    expect(codes(asked(at('2026-11-24T00:00:00.000Z')))).toEqual(['NothingToRecover']);
    expect(stepsOf(asked(at('2026-11-24T00:00:00.000Z'), off))).toMatchObject([{ type: 'extend-key-expiry' }]);
  });

  it('repairs what it can where another key is purged, and does not wait for what cannot come', () => {
    const slots = [
      slotFacts('current', KEY_1, { version: { enabled: false } }),
      slotFacts('previous', FOREIGN_KEY, { vault: { state: 'purged', why: 'There is none.' } }),
    ];
    const { plan: made } = asked({ slots });
    expect(made?.steps.map(({ type }) => type)).toEqual(['gate', 'enable-key-version']);
    expect(made?.warnings.map(({ code }) => code)).toContain('NotProvenAfterwards');
  });

  it('repairs the last key of a cluster whose KMS is off: API servers go on reading with it', () => {
    const slots = [slotFacts('previous', KEY_1, { version: { enabled: false } })];
    const made = asked({ slots }, { cluster: { kms: { enabled: false, keyId: KEY_1 } } });
    expect(stepsOf(made)).toMatchObject([{ type: 'enable-key-version', key: KEY_1 }]);
    expect(made.plan).toMatchObject({
      to: { mode: 'off' },
      summary: expect.stringMatching(/^Have aks1 read what is under its last key again\./),
    });
  });

  it('opens no vault of the second slot as long as API servers reach it, however they do', () => {
    const slots = [
      slotFacts('current', KEY_1),
      slotFacts('previous', FOREIGN_KEY, { vault: { ...live, openToAllNetworks: false } }),
    ];
    expect(codes(asked({ slots }))).toEqual(['NothingToRecover']);
    expect(stepsOf(asked({ slots, kms: recovery().kms }))).toMatchObject([{ type: 'set-vault-network', to: 'open' }]);
  });

  it('sends a cluster that Failed to Azure as it is, unless others have set its key', () => {
    const cluster = { provisioningState: 'Failed' };
    const ledger = activated(activating(provenLedger(KEY_2, KEY_1), KEY_1, 'op-1', NOW), KEY_1);
    expect(stepsOf(asked({}, { cluster, ledger }))).toMatchObject([{ type: 'reconcile-cluster', replaces: null }]);
    expect(codes(asked({}, { cluster, ledger: provenLedger(KEY_2) }))).toEqual(['NothingToRecover']);
  });

  it('needs the keys of its slots, also those that only evidence knows', () => {
    const slots = [slotFacts('current', KEY_1, { version: { enabled: false } }), slotFacts('previous', KEY_2)];
    expect(asked({ slots }, { ledger: null }).plan?.keysNeeded).toEqual([KEY_1, KEY_2]);
  });

  it('waits for API servers that say that KMS does not work, where Azure shows no cause', () => {
    const made = asked({ kms: { answers: 1, causes: [kmsCause('nothing known')] } });
    expect(stepsOf(made)).toEqual([]);
    expect(made.plan?.warnings.map(({ code }) => code)).toContain('CauseUnknown');
  });
});

describe('the keys that are looked at', () => {
  const on = goodCluster();
  const off = goodCluster({ kms: { enabled: false, keyId: KEY_1 } });
  const proof = { operationId: 'op-1', at: NOW, convergedRv: '1', secrets: 1 };
  const rotated: Ledger = {
    version: 1,
    generations: provenLedger(KEY_0, KEY_2).generations.map((one) => (one.keyId === KEY_2 ? { ...one, proof } : one)),
  };
  it.each<[string, ObservedCluster, Ledger | null, [string, string][]]>([
    [
      'are those of the slots',
      on,
      provenLedger(KEY_2, KEY_1),
      [
        ['current', KEY_1],
        ['previous', KEY_2],
      ],
    ],
    ['with KMS off, the key that the profile still has', off, null, [['previous', KEY_1]]],
    [
      'after a change by others, all that a Secret may be under',
      on,
      rotated,
      [
        ['current', KEY_1],
        ['needed', KEY_2],
      ],
    ],
    [
      'after a change by others that failed, what was in a slot before, too',
      goodCluster({ provisioningState: 'Failed' }),
      rotated,
      [
        ['current', KEY_1],
        ['needed', KEY_2],
        ['needed', KEY_0],
      ],
    ],
  ])('%s', (_what, cluster, ledger, expected) => {
    expect(recoveryKeys(cluster, ledger, NOW).map(({ slot, keyId }) => [slot, keyId])).toEqual(expected);
  });
});

describe('nothing is repaired', () => {
  it.each<[string, Partial<Recovery>]>([
    ['NothingToRecover', {}],
    ['KeyPurged', { slots: [slotFacts('current', KEY_1, { key: gone(KEY_1), softDeleted: 'no' })] }],
    [
      'VaultPurged',
      {
        slots: [
          slotFacts('current', KEY_1),
          slotFacts('previous', FOREIGN_KEY, { vault: { state: 'purged', why: 'There is none.' } }),
        ],
      },
    ],
    [
      'VaultNotReachable',
      { slots: [slotFacts('current', KEY_1, { version: { enabled: false, seenThrough: 'arm' } })] },
    ],
    [
      'GrantRefused',
      {
        slots: [
          slotFacts('current', KEY_1, {
            vault: live,
            access: {
              ...noRole,
              denials: {
                known: true,
                value: [
                  {
                    name: 'app',
                    actions: [],
                    notActions: [],
                    dataActions: ['*'],
                    notDataActions: [],
                    uncertain: false,
                  },
                ],
              },
            },
          }),
        ],
      },
    ],
  ])('%s', (code, change) => {
    const made = asked(change);
    expect(made.plan).toBeNull();
    expect(codes(made)).toEqual([code]);
  });

  it('of a version whose vault does not answer, and the refusal says what to do there', () => {
    const version = { enabled: false, seenThrough: 'arm' as const };
    const made = asked({ slots: [slotFacts('current', KEY_1, { version })] });
    expect(codes(made)).toEqual(['VaultNotReachable']);
    expect(made.faults[0]?.detail).toMatch(
      /--vault-name kv1 --name k1 --version 1{32} --enabled true\. Nothing was changed\. Then ask again/,
    );
  });

  it('and the refusal says what was not seen', () => {
    const unseen = { vault: { state: 'unknown' as const, why: 'It is elsewhere.' }, access: undefined };
    const made = asked({ slots: [slotFacts('current', KEY_1, unseen)], kms: undefined });
    expect(made.faults[0]?.detail).toMatch(/No API server told .* It is elsewhere/);
  });

  it('by the rules of what Azure shows alone: the API does not look into clusters', () => {
    const { currentKey: _none, ...facts } = azure();
    expect(ruleFaults(requestOf('recover-key'), facts)).toEqual([]);
  });
});

it('a plan that rewrites after a repair without seeing KMS work is none', () => {
  const { steps, from } = planned('recover-key');
  const bare = steps.filter(({ type }) => type !== 'await-kms');
  expect(planFaults(bare, { state: from, proven: true }).join()).toMatch(/not seen to use their key again/);
});

describe('what API servers say', () => {
  it('is read from the checks that fail, and told in words of our own', () => {
    const verbose =
      '[+]etcd ok\n[-]kms-provider-0 failed: reason withheld\n[+]kms-provider-1 ok\n[-]informer-sync failed';
    expect(failingKmsChecks(verbose)).toEqual(['kms-provider-0']);
    expect(failingKmsChecks('[-]kms-providers failed: reason withheld')).toEqual(['kms-providers']);
    const said = 'rpc error: code = Unknown desc = 403 KeyExpired: Operation encrypt is not allowed on an expired key.';
    expect(kmsCause(said)).toMatch(/^KeyExpired: the vault does not encrypt/);
    expect(kmsCause('password=hunter2')).toBe('The KMS provider fails for a reason that Keyturn does not know.');
  });
});
