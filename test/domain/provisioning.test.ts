/** What is planned of vault, key and grant: what is not there is made, what is there is used as it is or refused. */
import { describe, expect, it } from '@jest/globals';
import { planFaults } from '../../domain/plan/check-plan';
import { plan } from '../../domain/planner';
import { ownRightsCommand, vaultShortcomings, type FoundVault, type Provisioning } from '../../domain/provisioning';
import { resultOf } from '../../domain/plan/outputs';
import { stateLeft } from '../../domain/state-left';
import type { ObservedCluster } from '../../domain/observed';
import { azureFor, goodCluster, goodKey, KEY_1, NOW, observation, planned, provisioning, requestOf } from './fixtures';

const KIND = 'provision-kms';
const KEY_9 = `https://kv9.vault.azure.net/keys/etcd/${'9'.repeat(32)}`;
const FIT: FoundVault = {
  location: 'West Europe',
  tenantId: 'TENANT-1',
  permissionModel: 'rbac',
  softDelete: true,
  purgeProtection: true,
  openToAllNetworks: true,
};
const fit = (change: Partial<FoundVault> = {}): Provisioning['vault'] => ({
  state: 'exists',
  vault: { ...FIT, ...change },
});

function made(
  facts: Partial<Provisioning>,
  {
    parameters = {},
    key,
    cluster = {},
  }: { parameters?: object; key?: object; cluster?: Partial<ObservedCluster> } = {},
) {
  const azure = azureFor(KIND);
  const observed = {
    ...azure,
    cluster: { found: true as const, cluster: goodCluster({ kms: { enabled: false }, ...cluster }) },
    provisioning: provisioning(facts),
    ...(key === undefined ? {} : { provisionedKey: goodKey(KEY_9, key) }),
  };
  const request = requestOf(KIND, { vaultName: 'kv9', keyName: 'etcd', ...parameters });
  return plan(request, observation(observed, null), { approvalsRequired: 1 });
}

describe('a plan of vault, key and grant', () => {
  it('makes what is not there, and names what comes next', () => {
    const { summary, steps, to } = planned(KIND);
    expect(summary).toMatch(
      /make the vault kv9 and the key etcd, and let its identity id1 .* ask for enable-kms afterwards/,
    );
    expect(to).toEqual({ mode: 'off' });
    expect(steps.slice(1)).toMatchObject([
      { type: 'create-vault', exists: false, permissionModel: 'rbac', retentionDays: 90, tenantId: 'tenant-1' },
      { type: 'create-key', exists: null, sizeInBits: 2048, expiry: null },
      { type: 'grant-key-access', principalId: 'principal-1', permissionModel: 'rbac' },
    ]);
    const on = made({}, { cluster: { kms: { enabled: true, keyId: KEY_1, networkAccess: 'Public' } } });
    expect(on.plan?.summary).toMatch(/ask for change-vault afterwards/);
  });

  it('uses what is there as it is, and says so', () => {
    const some = made({ vault: fit(), key: 'none' });
    expect(some.plan?.summary).toMatch(/make the key etcd, use the vault kv9 as found/);
    const all = made({ vault: fit(), key: 'exists' }, { key: { keySizeInBits: 3072 } });
    expect(all.plan?.steps.slice(1)).toMatchObject([{ exists: true }, { exists: KEY_9 }, { type: 'grant-key-access' }]);
    expect(all.plan?.warnings).toContainEqual({
      code: 'KeyExists',
      detail: expect.stringMatching(/3072 bits, and it does not expire.*whatever length and expiry/),
    });
  });

  it('makes a private vault that is closed from the beginning, and lets AKS approve its endpoint', () => {
    const privately = { parameters: { vaultAccess: 'Private' }, cluster: { vnetIntegration: true } };
    const { plan: whole, faults } = made({}, privately);
    expect(faults).toEqual([]);
    expect(whole?.steps.slice(1)).toMatchObject([
      { type: 'create-vault', access: 'Private', reason: expect.stringMatching(/answers to nobody/) },
      { type: 'create-key', reason: expect.stringMatching(/ARM makes it\.$/) },
      { type: 'grant-key-access' },
      { type: 'grant-endpoint-approval', principalId: 'principal-1' },
    ]);
    expect(whole?.summary).toMatch(/ask for enable-kms afterwards, .* and `vaultAccess` Private\.$/);
    // ARM makes the key: Keyturn needs no rights in the vault itself.
    expect(whole?.warnings.map(({ code }) => code)).toEqual(['KeyMadeThroughArm', 'PurgeProtectionIsFinal']);
    // The cluster may get API Server VNet Integration afterwards.
    expect(made({}, { ...privately, cluster: {} }).faults).toEqual([]);
    const open = made({ vault: fit(), key: 'none' }, privately);
    expect(open.faults).toMatchObject([
      { code: 'VaultUnsuited', detail: expect.stringMatching(/answers to all networks, and private access/) },
    ]);
    expect(made({ vault: fit({ openToAllNetworks: false }), key: 'none' }, privately).faults).toEqual([]);
  });

  it('names the rotation where the key is for the vault of the current key, and ARM where that one does not answer', () => {
    const kms = { enabled: true, keyId: KEY_9, networkAccess: 'Private' };
    const facts = { vault: fit({ openToAllNetworks: false }), key: 'none', keyThroughArm: true } as const;
    const { plan: whole } = made(facts, {
      parameters: { vaultAccess: 'Private', keyName: 'next' },
      cluster: { kms, vnetIntegration: true },
    });
    expect(whole?.summary).toMatch(/ask for rotate-key afterwards/);
    expect(whole?.warnings).toMatchObject([
      { code: 'KeyMadeThroughArm', detail: expect.stringMatching(/does not answer.*never another one/) },
    ]);
  });

  it('warns of what is final, and of the rights that Keyturn needs itself', () => {
    const warnings = (facts: Partial<Provisioning>, parameters = {}): string[] =>
      (made(facts, { parameters }).plan?.warnings ?? []).map(({ code }) => code);
    expect(warnings({})).toEqual(['OwnRightsNeeded', 'PurgeProtectionIsFinal']);
    expect(warnings({}, { permissionModel: 'access-policy' })).toEqual(['PurgeProtectionIsFinal']);
    expect(warnings({ vault: fit(), key: 'unseen' })).toEqual(['OwnRightsNeeded']);
    expect(warnings({ vault: fit(), key: 'none' })).toEqual([]);
    expect(ownRightsCommand('/s/vaults/kv9', 'rbac', 'me')).toMatch(
      /Key Vault Crypto Officer.* me .*--scope \/s\/vaults\/kv9$/,
    );
    expect(ownRightsCommand('/s/vaults/kv9', 'access-policy', 'me')).toMatch(/--name kv9 --object-id me .* create/);
  });
});

describe('provision-kms is refused', () => {
  const why = 'A sentence.';
  it.each([
    ['a name that is taken', { vault: { state: 'taken', why } }, 'VaultNameTaken', 'vaultName'],
    ['a deleted vault', { vault: { state: 'soft-deleted', why } }, 'VaultSoftDeleted', 'vaultName'],
    ['a group that is not there', { vault: { state: 'no-group', why } }, 'ResourceGroupNotFound', 'vaultName'],
    ['a vault that it may not read', { vault: { state: 'unseen', why } }, 'VaultNotFound', 'vaultName'],
    ['a deleted key', { vault: fit(), key: 'soft-deleted' }, 'KeySoftDeleted', 'keyName'],
  ] as [string, Partial<Provisioning>, string, string][])('for %s', (_what, facts, code, member) => {
    expect(made(facts).faults).toEqual([
      { code, pointer: `/parameters/${member}`, detail: expect.stringMatching(/Nothing was changed\.$/) },
    ]);
  });

  it.each([
    ['another tenant', { tenantId: 'tenant-2' }, /tenant-2, and the cluster in tenant-1/],
    ['another region', { location: 'northeurope' }, /depend on two regions/],
    ['the other permission model', { permissionModel: 'access-policy' }, /ask with `permissionModel` access-policy/],
    ['no soft delete', { softDelete: false }, /no soft delete/],
    [
      'no purge protection',
      { purgeProtection: false },
      /cannot be undone, so a person .*--enable-purge-protection true/,
    ],
    ['a firewall', { openToAllNetworks: false }, /--public-network-access Enabled --default-action Allow/],
  ] as [string, Partial<FoundVault>, RegExp][])(
    'for a vault with %s, which it does not change',
    (_what, change, words) => {
      const detail = expect.stringMatching(words);
      expect(made({ vault: fit(change), key: 'none' }).faults).toEqual([
        { code: 'VaultUnsuited', pointer: '/parameters/vaultName', detail },
      ]);
      const wanted = {
        location: 'westeurope',
        tenantId: 'tenant-1',
        permissionModel: 'rbac' as const,
        access: 'Public' as const,
      };
      expect(vaultShortcomings('kv9', FIT, wanted)).toEqual([]);
    },
  );

  it.each([
    ['disabled', { enabled: false }],
    ['expired', { expiresOn: NOW }],
    ['of another type', { keyType: 'EC' }],
  ])('for a key that is %s', (_what, key) => {
    expect(made({ vault: fit(), key: 'exists' }, { key }).faults).toMatchObject([
      { code: 'KeyUnsuited', pointer: '/parameters/keyName', detail: expect.stringMatching(/does not change it\.$/) },
    ]);
  });

  it('for a cluster without a user-assigned identity, with the command that gives it one', () => {
    expect(made({}, { cluster: { identityType: 'SystemAssigned', identities: [] } }).faults).toMatchObject([
      { code: 'ClusterIdentityUnsupported', detail: expect.stringMatching(/az aks update --enable-managed-identity/) },
    ]);
  });
});

describe('what was made', () => {
  const { steps, ...rest } = planned(KIND);
  const done = (...ids: string[]) => ids.map((id) => ({ id, status: 'done' as const, startedAt: NOW }));
  const outputs = {
    'create-vault': { type: 'create-vault' as const, vaultId: 'v', created: true },
    'create-key': { type: 'create-key' as const, keyId: KEY_9, created: true },
    'grant-key-access': { type: 'grant-key-access' as const, principalId: 'p', granted: true },
  };

  it('is the key that the result names, and no key of the cluster', () => {
    expect(resultOf({ steps, ...rest }, outputs)).toEqual({
      previousKeyId: null,
      currentKeyId: null,
      keyId: KEY_9,
      rewrite: null,
      proof: null,
    });
  });

  it('stays when the operation is canceled, and is named', () => {
    const left = (statuses: Parameters<typeof stateLeft>[1]): string =>
      stateLeft({ steps, ...rest }, statuses, { outputs });
    const running = { id: 'create-key', status: 'interrupted' as const, startedAt: NOW };
    expect(left([...done('create-vault'), running])).toMatch(
      /The cluster was not changed.*The vault kv9 was made and stays.*The key etcd in the vault kv9.* may have been made/,
    );
    expect(left(done('create-vault', 'create-key'))).toContain(`(${KEY_9}) was made and stays`);
    expect(left([])).not.toMatch(/vault kv9/);
  });

  it('is a key in a vault that an earlier step makes or checks: a plan without it is none', () => {
    const bare = steps.filter(({ type }) => type !== 'create-vault');
    expect(planFaults(bare, { state: rest.from, proven: true }).join()).toMatch(/its vault is no earlier step/);
  });
});
