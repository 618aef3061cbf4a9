import { describe, expect, it } from '@jest/globals';
import { Ledger } from '../../domain/ledger';
import { ANOTHER_VAULT, type AzureObservation, type ObservedCluster } from '../../domain/observed';
import { plan, ruleFaults } from '../../domain/planner';
import { keyWarnings } from '../../domain/rules';
import {
  azure,
  azureFor,
  CLUSTER,
  FOREIGN_KEY,
  goodKey,
  identityAccess,
  KEY_0,
  KEY_1,
  KEY_2,
  KEY_3,
  keyUsers,
  ledgerFor,
  observation,
  request,
  requestOf,
} from './fixtures';

const codes = (...args: Parameters<typeof ruleFaults>): string[] => ruleFaults(...args).map(({ code }) => code);

describe('rotate-key is refused', () => {
  it.each([
    ['a stopped cluster', { powerState: 'Stopped' }, 'ClusterNotRunning'],
    ['a cluster in a failed state', { provisioningState: 'Failed' }, 'ClusterNotSucceeded'],
    ['a cluster that is being updated', { provisioningState: 'Updating' }, 'ClusterNotSucceeded'],
    ['a cluster without KMS', { kms: { enabled: false } }, 'KmsNotEnabled'],
    ['a system-assigned identity', { identityType: 'SystemAssigned' }, 'ClusterIdentityUnsupported'],
    ['a version that is none', { kubernetesVersion: 'unknown' }, 'ClusterVersionUnsupported'],
    ['the newer encryption profile', { platformManagedEncryption: true }, 'PlatformManagedEncryption'],
    [
      'a current key without a version',
      { kms: { enabled: true, keyId: 'https://kv1.vault.azure.net/keys/k1' } },
      'CurrentKeyUnusable',
    ],
    ['disabled local accounts', { localAccountsDisabled: true }, 'LocalAccountsDisabled'],
  ])('for %s', (_what, cluster, code) => {
    expect(ruleFaults(request(), azure({ cluster }))).toEqual([
      { code, pointer: '/cluster', detail: expect.stringMatching(/^[A-Z].*\.$/) },
    ]);
  });

  it.each([
    ['disabled', { enabled: false }, 'KeyDisabled'],
    ['expired', { expiresOn: '2026-11-22T12:00:00.000Z' }, 'KeyExpired'],
    ['expiring within a day', { expiresOn: '2026-11-23T12:00:00.000Z' }, 'KeyExpiresSoon'],
    ['not valid yet', { notBefore: '2026-11-22T12:00:00.001Z' }, 'KeyNotYetValid'],
    ['of another type', { keyType: 'EC' }, 'KeyTypeUnsupported'],
    ['not for decryption', { operations: ['encrypt'] }, 'KeyOperationsMissing'],
  ])('for a key that is %s, requested or current', (_what, change, code) => {
    const requested = azure({ requestedKey: goodKey(KEY_2, change) });
    expect(ruleFaults(request({ keyId: KEY_2 }), requested)).toMatchObject([{ code, pointer: '/parameters/keyId' }]);
    expect(ruleFaults(request(), azure({ currentKey: change }))).toMatchObject([
      { code: 'CurrentKeyUnusable', pointer: '/cluster' },
    ]);
  });

  it('for a key of another vault, which is not even looked up', () => {
    const facts = { ...azure(), requestedKey: { found: false as const, keyId: FOREIGN_KEY, why: ANOTHER_VAULT } };
    expect(ruleFaults(request({ keyId: FOREIGN_KEY }), facts)).toMatchObject([
      { code: 'KeyForeign', pointer: '/parameters/keyId' },
    ]);
  });

  it('for a key that does not exist, and for one that is current already', () => {
    const missing = { ...azure(), requestedKey: { found: false as const, keyId: KEY_2, why: 'KeyNotFound' } };
    expect(codes(request({ keyId: KEY_2 }), missing)).toEqual(['KeyNotFound']);
    expect(codes(request({ keyId: KEY_1 }), azure({ requestedKey: goodKey(KEY_1) }))).toEqual(['KeyAlreadyCurrent']);
  });

  it('with every violated rule at once', () => {
    const facts = azure({
      cluster: { powerState: 'Stopped', identityType: 'None' },
      requestedKey: goodKey(KEY_2, { enabled: false }),
    });
    expect(codes(request({ keyId: KEY_2 }), facts)).toEqual([
      'ClusterNotRunning',
      'ClusterIdentityUnsupported',
      'KeyDisabled',
    ]);
  });

  it('for a cluster that does not exist', () => {
    expect(codes(request(), { ...azure(), cluster: { found: false, why: 'ResourceNotFound' } })).toEqual([
      'ClusterNotFound',
    ]);
  });
});

it('warns of a key that expires within 30 days, current or requested, and of no other', () => {
  const codesOf = (expiresOn: string): string[] =>
    keyWarnings(azure({ currentKey: { expiresOn }, requestedKey: goodKey(KEY_2, { expiresOn }) })).map(
      ({ code }) => code,
    );
  expect(codesOf('2026-12-22T12:00:00.000Z')).toEqual(['KeyExpiresSoon', 'KeyExpiresSoon']);
  expect(codesOf('2026-12-22T12:00:00.001Z')).toEqual([]);
  expect(keyWarnings(azure())).toEqual([]);
});

it('rotate-key is not refused for KMS v1', () => {
  expect(ruleFaults(request(), azure({ cluster: { kubernetesVersion: '1.26.15' } }))).toEqual([]);
});

it('rotate-key is not refused when every rule holds', () => {
  expect(ruleFaults(request({ keyId: KEY_2 }), azure({ requestedKey: goodKey(KEY_2) }))).toEqual([]);
});

describe('the rules of', () => {
  const faultsOf = (kind: string, azureFacts = azureFor(kind), ledger?: Ledger): string[] => {
    const facts = observation(azureFacts, ledger ?? ledgerFor(kind, { proven: true }));
    return plan(requestOf(kind), facts, { approvalsRequired: 1 }).faults.map(({ code }) => code);
  };
  const withCluster = (kind: string, change: Partial<ObservedCluster>): AzureObservation => {
    const facts = azureFor(kind);
    if (!facts.cluster.found) throw new Error('The cluster is there.');
    return { ...facts, cluster: { found: true, cluster: { ...facts.cluster.cluster, ...change } } };
  };
  const pool = (version: string) => ({ name: 'p1', version, wantedVersion: version, count: 1, mode: 'User' });
  const profile = (...offered: string[]): AzureObservation => ({
    ...azureFor('upgrade-to-kms-v2'),
    upgradeProfile: { current: '1.26.6', offered },
  });

  it.each(['replace-key', 'retire-key', 'change-vault', 'upgrade-to-kms-v2'])('%s let a good request pass', (kind) =>
    expect(faultsOf(kind)).toEqual([]),
  );

  it('replace-key refuse KMS v1, KMS that is off, and a key that another cluster needs', () => {
    expect(faultsOf('replace-key', withCluster('replace-key', { kubernetesVersion: '1.26.6' }))).toEqual([
      'KmsV1NotSupported',
    ]);
    expect(faultsOf('replace-key', withCluster('replace-key', { kms: { enabled: false } }))).toEqual(['KmsNotEnabled']);
    const shared = { ...azureFor('replace-key'), keyUsers: keyUsers(KEY_1, CLUSTER.replace('aks1', 'aks2')) };
    expect(faultsOf('replace-key', shared)).toEqual(['KeyInUse']);
  });

  it('replace-key refuse a key of another vault for either rotation', () => {
    const key = { found: false as const, keyId: FOREIGN_KEY, why: ANOTHER_VAULT };
    expect(faultsOf('replace-key', { ...azureFor('replace-key'), requestedKey: key })).toEqual(['KeyForeign']);
    expect(faultsOf('replace-key', { ...azureFor('replace-key'), nextKey: key })).toEqual(['KeyForeign']);
    const disabled = { found: true as const, key: goodKey(KEY_3, { enabled: false }) };
    expect(faultsOf('replace-key', { ...azureFor('replace-key'), nextKey: disabled })).toEqual(['KeyDisabled']);
  });

  it('retire-key refuse a key that is not there, or that any cluster needs, this one included', () => {
    const missing = { found: false as const, keyId: KEY_0, why: 'KeyNotFound' };
    expect(faultsOf('retire-key', { ...azureFor('retire-key'), requestedKey: missing })).toEqual(['KeyNotFound']);
    for (const cluster of [CLUSTER, CLUSTER.replace('aks1', 'aks2')]) {
      const used = { ...azureFor('retire-key'), keyUsers: keyUsers(KEY_0, cluster) };
      expect(faultsOf('retire-key', used)).toEqual(['KeyInUse']);
    }
  });

  const gone = ledgerFor('retire-key', { proven: true }).generations;
  const last = gone[2] ?? gone[0];
  it.each<[string, readonly unknown[], string[]]>([
    ['evicted, with a proof since', gone, []],
    ['evicted, with no proof since', gone.map(({ proof: _proof, ...one }) => one), ['KeyInUse']],
    [
      'in the second slot',
      gone
        .slice(0, 1)
        .map((one) => ({ ...one, state: 'superseded' }))
        .concat(last as never),
      ['KeyInUse'],
    ],
    ['in no generation', gone.slice(1), ['KeyNotEvicted']],
    [
      'evicted before another client set a key',
      [...gone.slice(0, 2), { ...last, origin: 'adopted' }],
      ['KeyNotEvicted'],
    ],
    [
      'adopted, and evicted by Keyturn',
      gone.map((one, index) => ({ ...one, origin: index === 0 ? 'adopted' : 'operation' })),
      [],
    ],
    ['abandoned since', [...gone, { ...gone[0], state: 'abandoned' }], ['KeyInUse']],
  ])('retire-key want a ledger that shows the key leave: %s', (_what, generations, codesWanted) => {
    const ledger = Ledger.parse({ version: 1, generations });
    expect(faultsOf('retire-key', azureFor('retire-key'), ledger)).toEqual(codesWanted);
  });

  it('change-vault refuse a key of the same vault, one that the identity may not use, and a closed vault', () => {
    const facts = azureFor('change-vault');
    const same = { ...facts, requestedKey: { found: true as const, key: goodKey(KEY_2) } };
    expect(faultsOf('change-vault', same)).toEqual(['KeyInSameVault']);
    const refused = { ...facts, identityAccess: identityAccess({ vault: { policyKeys: [] } }) };
    expect(faultsOf('change-vault', refused)).toEqual(['IdentityLacksKeyAccess']);
    const closed = { ...facts, identityAccess: identityAccess({ vault: { openToAllNetworks: false } }) };
    expect(faultsOf('change-vault', closed)).toEqual(['VaultNotOpen']);
  });

  it('upgrade-to-kms-v2 refuse KMS v2, pools that are behind or unknown, and a version that is not offered', () => {
    const kind = 'upgrade-to-kms-v2';
    expect(faultsOf(kind, withCluster(kind, { kubernetesVersion: '1.27.3' }))).toContain('KmsV2Already');
    for (const version of ['1.25.11', 'unknown'])
      expect(faultsOf(kind, withCluster(kind, { agentPools: [pool(version)] }))).toEqual(['AgentPoolOutdated']);
    expect(faultsOf(kind, profile())).toEqual(['UpgradeNotOffered']);
    expect(faultsOf(kind, profile('1.26.10', '1.28.1'))).toEqual(['UpgradeNotOffered']);
    expect(faultsOf(kind, profile('1.27.1'))).toEqual([]);
  });
});
