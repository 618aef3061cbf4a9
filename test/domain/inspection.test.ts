/** What an inspection says of a cluster, and which operation it names. */
import { describe, expect, it } from '@jest/globals';
import { inspect, type Inspection, type InspectionFacts } from '../../domain/inspection';
import { KINDS } from '../../domain/kinds';
import { activated, activating, proven, reconcile, type Ledger } from '../../domain/ledger';
import { goodCluster, goodKey, identityAccess, KEY_0, KEY_1, KEY_2, KEY_3, NOW, recovery, slotFacts } from './fixtures';

const PURGED = {
  key: { found: false as const, keyId: KEY_1, missing: 'key' as const, why: 'It is not there.' },
  softDeleted: 'no' as const,
};
type Inside = Extract<InspectionFacts['inside'], { readonly confirmed: boolean }>;
/** Each key was set by an operation, and proven. */
const rotated = (...keyIds: string[]): Ledger =>
  keyIds.reduce(
    (ledger: Ledger, keyId, index) => {
      const operationId = `op-${index}`;
      const proof = { operationId, at: NOW, convergedRv: String(index), secrets: 1 };
      return proven(activated(activating(ledger, keyId, operationId, NOW), keyId), keyId, proof);
    },
    reconcile(undefined, null, NOW),
  );
const inside = (change: Partial<Inside> = {}): Inside => ({
  ledger: rotated(KEY_0, KEY_2, KEY_1),
  confirmed: true,
  changedSinceProof: false,
  apiServers: 2,
  ...change,
});
const facts = (change: Partial<InspectionFacts> = {}): InspectionFacts => ({
  at: NOW,
  cluster: goodCluster(),
  keys: [goodKey(KEY_1), goodKey(KEY_2), goodKey(KEY_0, { enabled: false })].map((key) => ({ found: true, key })),
  identityAccess: identityAccess(),
  inside: inside(),
  ...change,
});
const codes = ({ findings }: Inspection): (string | undefined)[][] =>
  findings.map(({ code, repair }) => (repair === undefined ? [code] : [code, repair]));
const found = (change: Partial<InspectionFacts>): (string | undefined)[][] => codes(inspect(facts(change)));

describe('an inspection', () => {
  it('of a cluster where all is well has both slots, what must stay, and no finding', () => {
    expect(inspect(facts())).toMatchObject({
      kms: { enabled: true, scheme: 'kms-v2', networkAccess: 'Public' },
      slots: {
        current: { keyId: KEY_1, state: 'usable' },
        previous: { keyId: KEY_2, state: 'usable' },
        previousKnown: true,
      },
      identity: { mayUseKey: 'yes' },
      proven: true,
      keysNeeded: [KEY_2, KEY_1],
      // Two API servers, two slots, an encrypt and a decrypt in a minute.
      vaultLoad: { apiServers: 2, transactionsPerTenSeconds: 1.3, limitPerTenSeconds: 4000 },
      findings: [],
    });
  });

  it.each<[string, Partial<InspectionFacts>, (string | undefined)[][]]>([
    [
      'a cluster that no operation has looked at',
      { inside: inside({ ledger: null }) },
      [['NotProven', 'rewrite-secrets'], ['PreviousSlotUnknown']],
    ],
    [
      'a key that others have set',
      { cluster: goodCluster({ kms: { enabled: true, keyId: KEY_3 } }), keys: [{ found: true, key: goodKey(KEY_3) }] },
      [['NotProven', 'rewrite-secrets'], ['PreviousSlotUnknown']],
    ],
    [
      'a switch that Azure does not report',
      { inside: inside({ ledger: activating(rotated(KEY_2, KEY_1), KEY_3, 'op-9', NOW) }) },
      [['SwitchNotFinished', 'rewrite-secrets'], ['NotProven', 'rewrite-secrets'], ['PreviousSlotUnknown']],
    ],
    [
      'a ledger without evidence',
      { inside: inside({ confirmed: false }) },
      [['LedgerNotConfirmed', 'rewrite-secrets']],
    ],
    [
      'a change in Azure since the proof',
      { inside: inside({ changedSinceProof: true }) },
      [['NotProven', 'rewrite-secrets']],
    ],
    [
      'KMS that is off and was not followed up',
      { cluster: goodCluster({ kms: { enabled: false } }), identityAccess: undefined },
      [['NotProven', 'rewrite-secrets']],
    ],
    ['a cluster that is stopped', { cluster: goodCluster({ powerState: 'Stopped' }) }, [['ClusterNotReady']]],
    ['a cluster out of reach', { inside: { unreadable: 'It does not answer.' } }, [['ClusterNotReadable']]],
    [
      'a key that is not valid yet, which is no matter of recover-key',
      {
        keys: [goodKey(KEY_1, { notBefore: '2027-01-01T00:00:00.000Z' }), goodKey(KEY_2)].map((key) => ({
          found: true,
          key,
        })),
      },
      [['KeyUnusable']],
    ],
    [
      'a previous key that is deleted, and a current one that expires soon',
      {
        keys: [
          { found: true, key: goodKey(KEY_1, { expiresOn: '2026-12-01T00:00:00.000Z' }) },
          { found: false, keyId: KEY_2, why: 'It is not there.' },
        ],
      },
      [['KeyExpiresSoon', 'rotate-key'], ['KeyUnusable']],
    ],
    [
      'a key that left its slots and is still enabled',
      { keys: [KEY_0, KEY_1, KEY_2].map((keyId) => ({ found: true, key: goodKey(keyId) })) },
      [['KeysToRetire', 'retire-key']],
    ],
    ['KMS v1', { cluster: goodCluster({ kubernetesVersion: '1.26.6' }) }, [['KmsV1', 'upgrade-to-kms-v2']]],
  ])('finds %s', (_what, change, expected) => {
    expect(found(change)).toEqual(expected);
  });

  it('finds each cause of a key that does not work, once, and what API servers say of it', () => {
    const disabled = { found: true as const, key: goodKey(KEY_1, { enabled: false }) };
    const lost = recovery({ slots: [slotFacts('current', KEY_1, { key: disabled })] });
    const failed = goodCluster({ provisioningState: 'Failed' });
    const keys = [disabled, { found: true as const, key: goodKey(KEY_2) }];
    const inspection = inspect(facts({ recovery: lost, keys, cluster: failed }));
    expect(codes(inspection)).toEqual([
      ['ClusterNotReady'],
      ['KmsUnhealthy', 'recover-key'],
      ['KeyUnusable', 'recover-key'],
    ]);
    expect(inspection.findings[0]?.detail).toContain('no operation but recover-key can begin');
    expect(inspection.slots.current).toMatchObject({ state: 'unusable' });
    const purged = recovery({ slots: [slotFacts('current', KEY_1, PURGED)], kms: undefined });
    expect(found({ recovery: purged, keys: [PURGED.key, ...keys.slice(1)] })).toEqual([['KeyPurged']]);
  });

  it('names a rotation where a purged key is in the second slot, and nothing where Secrets may be under it', () => {
    const gone = { ...PURGED, key: { ...PURGED.key, keyId: KEY_2 } };
    const lost = recovery({ slots: [slotFacts('current', KEY_1), slotFacts('previous', KEY_2, gone)], kms: undefined });
    const keys = [{ found: true as const, key: goodKey(KEY_1) }, gone.key];
    expect(found({ recovery: lost, keys })).toEqual([['KeyPurged', 'rotate-key']]);
    expect(found({ recovery: lost, keys, inside: inside({ changedSinceProof: true }) })).toEqual([
      ['KeyPurged'],
      ['NotProven', 'rewrite-secrets'],
    ]);
  });

  it('names recover-key for a key that expires within a day, and a rotation for one that lives longer', () => {
    const expiring = (expiresOn: string): (string | undefined)[][] => {
      const key = { found: true as const, key: goodKey(KEY_1, { expiresOn }) };
      const slots = [slotFacts('current', KEY_1, { key })];
      return found({
        recovery: recovery({ slots, kms: undefined }),
        keys: [key, { found: true, key: goodKey(KEY_2) }],
      });
    };
    expect(expiring('2026-11-23T11:00:00.000Z')).toEqual([['KeyExpiresSoon', 'recover-key']]);
    expect(expiring('2026-11-24T11:00:00.000Z')).toEqual([['KeyExpiresSoon', 'rotate-key']]);
  });

  it('of a cluster that Failed names recover-key, or the key to set again where others have set one', () => {
    const cluster = goodCluster({ provisioningState: 'Failed' });
    expect(found({ cluster })).toEqual([['ClusterNotReady', 'recover-key']]);
    const byHand = goodCluster({ provisioningState: 'Failed', kms: { enabled: true, keyId: KEY_3 } });
    const inspection = inspect(facts({ cluster: byHand, keys: [{ found: true, key: goodKey(KEY_3) }] }));
    expect(inspection.findings[0]).toMatchObject({
      code: 'ClusterNotReady',
      detail: expect.stringContaining(`--azure-keyvault-kms-key-id ${KEY_1}.`),
    });
    expect(inspection.findings[0]).not.toHaveProperty('repair');
    // The change that failed has evicted none.
    expect(inspection.keysNeeded).toEqual([KEY_2, KEY_1, KEY_3]);
  });

  it('tells of older keys where API servers say that KMS does not work, and Azure shows no cause', () => {
    const unknown = recovery({ slots: [slotFacts('current', KEY_1)] });
    const { findings } = inspect(facts({ recovery: unknown }));
    expect(findings).toMatchObject([{ code: 'KmsUnhealthy', repair: 'recover-key' }]);
    expect(findings[0]?.detail).toContain('enable or recover older key versions by hand');
  });

  it('finds an identity that lost its grant, and names only kinds that there are', () => {
    const access = identityAccess({ vault: { policyKeys: ['decrypt'] } });
    const lost = recovery({ slots: [slotFacts('current', KEY_1, { access })], kms: undefined });
    const inspection = inspect(facts({ identityAccess: access, recovery: lost }));
    expect(inspection.identity).toMatchObject({ mayUseKey: 'no', detail: expect.stringContaining('may not encrypt') });
    expect(codes(inspection)).toEqual([['IdentityLacksKeyAccess', 'recover-key']]);
    const kinds = KINDS.map(({ name }) => name);
    for (const kind of ['recover-key', 'rewrite-secrets', 'rotate-key', 'retire-key', 'upgrade-to-kms-v2'])
      expect(kinds).toContain(kind);
  });
});
