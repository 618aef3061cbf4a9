/** What the cluster's identity is granted, read from Azure through the real SDKs: both permission models, at every scope. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { readIdentityAccess } from '../../azure/identity-access';
import { rightsOf, type IdentityAccess } from '../../domain/identity-access';
import { GROUP, LOCATION, type RawAnswer } from '../sandbox/azure-support';
import { AzureRig } from './support';

const CRYPTO_USER = '12338af0-0e69-4776-bea7-57ae8d297424';
const SERVICE_ENCRYPTION_USER = 'e147488a-f6f5-4113-8e2d-b22465e65bf6';
const OWNER = '8e3af657-a8ff-443c-a75c-2fe8c4bcb635';
const NOT_DECRYPT = '00000000-aaaa-bbbb-cccc-000000000001';

describe("the cluster's identity", () => {
  let rig: AzureRig;
  let principalId: string;

  beforeAll(async () => {
    rig = await AzureRig.start();
    ({ principalId } = await rig.azure.identity('id-other'));
    await rig.azure.arm('PUT', `/providers/Microsoft.Authorization/roleDefinitions/${NOT_DECRYPT}`, {
      body: {
        properties: {
          roleName: 'All but decrypt',
          permissions: [
            {
              dataActions: ['Microsoft.KeyVault/vaults/keys/*'],
              notDataActions: ['Microsoft.KeyVault/vaults/keys/decrypt/action'],
            },
          ],
        },
      },
    });
  });
  afterEach(() => rig.azure.sandbox.faults.clear('forbidden'));
  afterAll(() => rig.stop());

  const subscription = (): string => `/subscriptions/${rig.azure.sandbox.subscriptionId}`;
  const vaultId = (name: string): string =>
    `${subscription()}/resourceGroups/${GROUP}/providers/Microsoft.KeyVault/vaults/${name}`;
  const vault = async (name: string, properties: Record<string, unknown>): Promise<void> => {
    const { tenantId } = rig.azure.sandbox;
    const body = {
      location: LOCATION,
      properties: { tenantId, sku: { family: 'A', name: 'standard' }, ...properties },
    };
    const answer = await rig.azure.arm('PUT', `/resourceGroups/${GROUP}/providers/Microsoft.KeyVault/vaults/${name}`, {
      body,
    });
    expect(answer.status).toBeLessThan(300);
  };
  const read = (name: string): Promise<IdentityAccess> =>
    readIdentityAccess(rig.access, {
      identity: { name: 'id-other', principalId },
      keyId: `https://${name}.vault.azure.net/keys/etcd/${'0'.repeat(32)}`,
      subscriptionId: rig.azure.sandbox.subscriptionId,
    });
  const revoke = async ({ body }: RawAnswer): Promise<void> => {
    const token = await rig.azure.token('https://management.azure.com');
    await rig.azure.raw('DELETE', `https://management.azure.com${String(body['id'])}?api-version=2022-04-01`, {
      token,
    });
  };

  it.each([
    ['Key Vault Crypto User at the key', CRYPTO_USER, (id: string) => `${id}/keys/etcd`, []],
    ['Key Vault Crypto User at the vault', CRYPTO_USER, (id: string) => id, []],
    ['Key Vault Crypto User at the resource group', CRYPTO_USER, (id: string) => id.split('/providers/')[0] ?? '', []],
    [
      'Key Vault Crypto User at the subscription',
      CRYPTO_USER,
      (id: string) => id.split('/resourceGroups/')[0] ?? '',
      [],
    ],
    ['Key Vault Crypto User at another key', CRYPTO_USER, (id: string) => `${id}/keys/other`, ['encrypt', 'decrypt']],
    ['a role that wraps only', SERVICE_ENCRYPTION_USER, (id: string) => id, ['encrypt', 'decrypt']],
    ['Owner, which gives no data action', OWNER, (id: string) => id, ['encrypt', 'decrypt']],
    ['a custom role with a notDataAction', NOT_DECRYPT, (id: string) => id, ['decrypt']],
  ])('with %s of an RBAC vault', async (_what, role, scopeOf, missing) => {
    await vault('kv-rbac', { enableRbacAuthorization: true });
    expect(rightsOf(await read('kv-rbac')).missing).toEqual(['encrypt', 'decrypt']);
    const granted = await rig.azure.grant(scopeOf(vaultId('kv-rbac')), role, principalId);
    expect(granted.status).toBe(201);
    expect(rightsOf(await read('kv-rbac'))).toEqual({ missing, unknown: [] });
    await revoke(granted);
  });

  it.each([
    ['no policy', [], ['encrypt', 'decrypt']],
    ['a policy that decrypts only', ['Decrypt', 'get'], ['encrypt']],
    ['a policy as the documents have it', ['decrypt', 'encrypt'], []],
    ['a policy for all', ['all'], []],
  ])('with %s of an access-policy vault', async (_what, keys, missing) => {
    const accessPolicies = keys.length === 0 ? [] : [{ objectId: principalId, permissions: { keys } }];
    await vault('kv-policy', { enableRbacAuthorization: false, accessPolicies });
    // Azure ignores roles there.
    await rig.azure.grant(vaultId('kv-policy'), CRYPTO_USER, principalId);
    expect(rightsOf(await read('kv-policy'))).toEqual({ missing, unknown: [] });
  });

  it('is unknown, not refused, where Keyturn may not look or cannot judge', async () => {
    await vault('kv-unseen', { enableRbacAuthorization: true });
    const { faults } = rig.azure.sandbox;
    expect(rightsOf(await read('kv-nowhere'))).toEqual({
      missing: [],
      unknown: [expect.stringMatching(/sees no vault kv-nowhere .* and in 1 other\(s\) of its tenant.*--role Reader/)],
    });
    faults.set('forbidden', { path: '/vaults/kv-unseen' });
    expect(rightsOf(await read('kv-unseen'))).toEqual({
      missing: [],
      unknown: [expect.stringContaining('vaults/read')],
    });
    faults.clear('forbidden');
    faults.set('forbidden', { path: '/roleAssignments' });
    expect(rightsOf(await read('kv-unseen'))).toEqual({
      missing: [],
      unknown: [expect.stringContaining('roleAssignments/read')],
    });
    const granted = await rig.azure.grant(vaultId('kv-unseen'), CRYPTO_USER, principalId);
    faults.clear('forbidden');
    faults.set('forbidden', { path: '/roleDefinitions' });
    expect(rightsOf(await read('kv-unseen'))).toMatchObject({
      missing: [],
      unknown: [expect.stringContaining('a role that Keyturn may not read')],
    });
    faults.clear('forbidden');
    faults.set('forbidden', { path: '/denyAssignments' });
    expect(rightsOf(await read('kv-unseen'))).toEqual({
      missing: [],
      unknown: [expect.stringContaining('denyAssignments/read')],
    });
    await revoke(granted);
  });

  it('is found for a vault in another subscription of the tenant, which is looked in only when the first one has none', async () => {
    const { otherSubscriptionId, journal, tenantId } = rig.azure.sandbox;
    const group = `/subscriptions/${otherSubscriptionId}/resourceGroups/elsewhere`;
    const id = `${group}/providers/Microsoft.KeyVault/vaults/kv-elsewhere`;
    const token = await rig.azure.token('https://management.azure.com');
    const put = (path: string, body: unknown): Promise<RawAnswer> =>
      rig.azure.raw('PUT', `https://management.azure.com${path}?api-version=2024-11-01`, { token, body });
    await put(group, { location: LOCATION });
    const properties = { tenantId, sku: { family: 'A', name: 'standard' }, enableRbacAuthorization: true };
    expect((await put(id, { location: LOCATION, properties })).status).toBe(201);
    expect(await read('kv-elsewhere')).toMatchObject({ vault: { known: true, value: { vaultId: id } } });
    const searches = (): number => journal.entries().filter(({ path }) => path.endsWith('/resources')).length;
    const before = searches();
    expect((await read('kv-rbac')).vault.known).toBe(true);
    expect(searches()).toBe(before);
    // AKS knows where the vault of a cluster with private access is, and the id may be an old one.
    const hinted = (vaultId: string): Promise<IdentityAccess> =>
      readIdentityAccess(rig.access, {
        identity: { name: 'id-other', principalId },
        keyId: `https://kv-elsewhere.vault.azure.net/keys/etcd/${'0'.repeat(32)}`,
        subscriptionId: rig.azure.sandbox.subscriptionId,
        vaultId,
      });
    expect((await hinted(id)).vault).toMatchObject({ known: true, value: { vaultId: id } });
    expect(searches()).toBe(before);
    expect((await hinted(vaultId('kv-elsewhere'))).vault).toMatchObject({ known: true, value: { vaultId: id } });
  });

  it('is an error, which is tried again, while Azure does not answer', async () => {
    rig.azure.sandbox.faults.set('server-error', { requests: 1 });
    await expect(read('kv-rbac')).rejects.toMatchObject({ name: 'ArmError', status: 503, retryable: true });
  });

  it('needs a vault that is open to all networks', async () => {
    await vault('kv-closed', { enableRbacAuthorization: true, publicNetworkAccess: 'Disabled' });
    expect((await read('kv-closed')).vault).toMatchObject({ value: { openToAllNetworks: false } });
    await vault('kv-closed', { enableRbacAuthorization: true, networkAcls: { defaultAction: 'Deny' } });
    expect((await read('kv-closed')).vault).toMatchObject({ value: { openToAllNetworks: false } });
    await vault('kv-closed', { enableRbacAuthorization: true, networkAcls: { defaultAction: 'Allow' } });
    expect((await read('kv-closed')).vault).toMatchObject({ value: { openToAllNetworks: true } });
  });

  it('needs a vault of the same tenant, with soft delete and purge protection', async () => {
    await vault('kv-guarded', { enablePurgeProtection: true });
    const { tenantId } = rig.azure.sandbox;
    expect((await read('kv-guarded')).vault).toMatchObject({
      value: { tenantId, softDelete: true, purgeProtection: true },
    });
    await vault('kv-other-tenant', { tenantId: OWNER });
    expect((await read('kv-other-tenant')).vault).toMatchObject({ value: { tenantId: OWNER, purgeProtection: false } });
  });
});
