/** Rights on keys are given once, in the way of the vault, and nothing that was given before goes. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { awaitKeyAccess, grantKeyAccess } from '../../activities/repair/grant';
import { GROUP, LOCATION } from '../sandbox/azure-support';
import { AzureRig } from './support';

const CRYPTO_USER = '12338af0-0e69-4776-bea7-57ae8d297424';
const SERVICE_ENCRYPTION_USER = 'e147488a-f6f5-4113-8e2d-b22465e65bf6';

describe('access to a key', () => {
  let rig: AzureRig;
  let identity: { identityId: string; principalId: string };
  const { signal } = new AbortController();

  beforeAll(async () => {
    rig = await AzureRig.start();
    identity = await rig.azure.identity('id-granted');
  });
  afterEach(() => rig.azure.sandbox.faults.clear('forbidden'));
  afterAll(() => rig.stop());

  const path = (name: string): string => `/resourceGroups/${GROUP}/providers/Microsoft.KeyVault/vaults/${name}`;
  const vaultId = (name: string): string => `/subscriptions/${rig.azure.sandbox.subscriptionId}${path(name)}`;
  const makeVault = async (name: string, properties: Record<string, unknown>): Promise<void> => {
    const { tenantId } = rig.azure.sandbox;
    const all = { tenantId, sku: { family: 'A', name: 'standard' }, ...properties };
    await rig.azure.arm('PUT', path(name), { body: { location: LOCATION, properties: all } });
  };
  const step = (name: string, permissionModel: 'rbac' | 'access-policy' = 'rbac') => ({
    vaultId: vaultId(name),
    permissionModel,
    keyName: 'etcd',
    ...identity,
  });
  const writes = (): number =>
    rig.azure.sandbox.journal
      .entries()
      .filter(({ path: at, status }) => /roleAssignments|accessPolicies/.test(at) && status < 300).length;

  it('is the role Key Vault Crypto User at an RBAC vault, assigned once however often it is asked for', async () => {
    await makeVault('kv-grant-rbac', { enableRbacAuthorization: true });
    const before = writes();
    const given = await grantKeyAccess(rig.access, step('kv-grant-rbac'), signal);
    expect(given).toEqual({ principalId: identity.principalId, granted: true });
    await awaitKeyAccess(rig.access, step('kv-grant-rbac'), { signal, heartbeat: () => undefined });
    expect(await grantKeyAccess(rig.access, step('kv-grant-rbac'), signal)).toMatchObject({ granted: false });
    expect(writes() - before).toBe(1);
    // The same name again is the same assignment: ARM answers 200 instead of refusing a second one.
    await rig.access.grants.assignRole(step('kv-grant-rbac'));
    const { body } = await rig.azure.arm(
      'GET',
      `${path('kv-grant-rbac')}/providers/Microsoft.Authorization/roleAssignments`,
    );
    const own = (body['value'] as { properties: { principalId: string; roleDefinitionId: string } }[]).filter(
      ({ properties }) => properties.principalId === identity.principalId,
    );
    expect(own.map(({ properties }) => properties.roleDefinitionId.split('/').at(-1))).toEqual([CRYPTO_USER]);
  });

  it('is given where the identity has a role that is not enough, and left where another client gave it', async () => {
    await makeVault('kv-grant-other', { enableRbacAuthorization: true });
    await rig.azure.grant(vaultId('kv-grant-other'), SERVICE_ENCRYPTION_USER, identity.principalId);
    expect(await grantKeyAccess(rig.access, step('kv-grant-other'), signal)).toMatchObject({ granted: true });
    await makeVault('kv-grant-same', { enableRbacAuthorization: true });
    await rig.azure.grant(vaultId('kv-grant-same'), CRYPTO_USER, identity.principalId);
    expect(await grantKeyAccess(rig.access, step('kv-grant-same'), signal)).toMatchObject({ granted: false });
    await expect(rig.access.grants.assignRole(step('kv-grant-same'))).resolves.toBeUndefined();
  });

  it('is added to the access policies, beside what they give already', async () => {
    const { tenantId } = rig.azure.sandbox;
    const other = { tenantId, objectId: 'ffffffff-0000-0000-0000-000000000001', permissions: { keys: ['get'] } };
    const own = { tenantId, objectId: identity.principalId, permissions: { keys: ['Get'], secrets: ['list'] } };
    await makeVault('kv-grant-policy', { enableRbacAuthorization: false, accessPolicies: [other, own] });
    const policy = step('kv-grant-policy', 'access-policy');
    expect(await grantKeyAccess(rig.access, policy, signal)).toMatchObject({ granted: true });
    expect(await grantKeyAccess(rig.access, policy, signal)).toMatchObject({ granted: false });
    const { body } = await rig.azure.arm('GET', path('kv-grant-policy'));
    const { accessPolicies } = body['properties'] as { accessPolicies: unknown[] };
    expect(accessPolicies).toEqual([
      other,
      { ...own, permissions: { keys: ['Get', 'encrypt', 'decrypt'], secrets: ['list'] } },
    ]);
  });

  it('is not given when Azure refuses, or identity or vault are not what was approved', async () => {
    await makeVault('kv-grant-refused', { enableRbacAuthorization: true });
    const before = writes();
    const refusal = (given: object): Promise<unknown> =>
      grantKeyAccess(rig.access, { ...step('kv-grant-refused'), ...given }, signal).catch((error: unknown) => error);
    const GRANT_REFUSED = { type: 'GrantRefused', nonRetryable: true };
    expect(await refusal({ permissionModel: 'access-policy' })).toMatchObject({
      ...GRANT_REFUSED,
      message: expect.stringMatching(/Azure RBAC now, and access policies was approved/),
    });
    expect(await refusal({ principalId: '00000000-0000-0000-0000-00000000dead' })).toMatchObject({
      ...GRANT_REFUSED,
      message: expect.stringMatching(/deleted and made again/),
    });
    expect(await refusal({ identityId: `${identity.identityId}-gone` })).toMatchObject(GRANT_REFUSED);
    expect(await refusal({ vaultId: vaultId('kv-grant-nowhere') })).toMatchObject(GRANT_REFUSED);
    rig.azure.sandbox.faults.set('forbidden', { method: 'PUT', path: '/roleAssignments' });
    expect(await refusal({})).toMatchObject({
      ...GRANT_REFUSED,
      message: expect.stringMatching(/roleAssignments\/write/),
    });
    expect(writes() - before).toBe(0);
  });
});
