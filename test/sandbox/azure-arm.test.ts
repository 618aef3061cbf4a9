import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { GROUP, LOCATION, TestAzure, type RawAnswer } from './azure-support';

describe('the sandbox ARM', () => {
  let azure: TestAzure;
  beforeAll(async () => {
    azure = await TestAzure.start();
    await azure.resources.resourceGroups.createOrUpdate(GROUP, { location: LOCATION });
  });
  afterAll(() => azure.stop());

  const errorOf = (answer: RawAnswer): { code: string; message: string } =>
    answer.body['error'] as { code: string; message: string };
  const vaultPath = (name: string): string => `/resourceGroups/${GROUP}/providers/Microsoft.KeyVault/vaults/${name}`;
  const putVault = (name: string, properties: Record<string, unknown>): Promise<RawAnswer> =>
    azure.arm('PUT', vaultPath(name), {
      body: {
        location: LOCATION,
        properties: { tenantId: azure.sandbox.tenantId, sku: { family: 'A', name: 'standard' }, ...properties },
      },
    });

  it('refuses a request without a token in the words of ARM', async () => {
    const { subscriptionId, tenantId } = azure.sandbox;
    const url = `https://management.azure.com/subscriptions/${subscriptionId}?api-version=2022-12-01`;
    const answer = await azure.raw('GET', url);
    expect(answer.status).toBe(401);
    expect(answer.headers['www-authenticate']).toBe(
      `Bearer authorization_uri="https://login.windows.net/${tenantId}", error="invalid_token", error_description="The authentication failed because of missing 'Authorization' header."`,
    );
    expect(errorOf(answer).code).toBe('AuthenticationFailed');
  });

  it('takes all audiences of ARM and no other', async () => {
    for (const resource of [
      'https://management.azure.com',
      'https://management.azure.com/',
      'https://management.core.windows.net/',
    ]) {
      const token = await azure.token(resource);
      expect((await azure.arm('GET', '', { token })).status).toBe(200);
    }
    const token = await azure.token('https://vault.azure.net');
    const refused = await azure.arm('GET', '', { token });
    expect([refused.status, errorOf(refused).code]).toEqual([401, 'InvalidAuthenticationTokenAudience']);
    const forged = await azure.arm('GET', '', { token: `${token.slice(0, -4)}AAAA` });
    expect([forged.status, errorOf(forged).code]).toEqual([401, 'InvalidAuthenticationToken']);
  });

  it('refuses an application without rights', async () => {
    const token = await azure.token('https://management.azure.com', azure.sandbox.registerApplication('nobody'));
    const refused = await azure.arm('GET', vaultPath('x'), { token });
    expect([refused.status, errorOf(refused).code]).toEqual([403, 'AuthorizationFailed']);
  });

  it('wants an api-version, whatever its value', async () => {
    const { subscriptionId } = azure.sandbox;
    const token = await azure.token('https://management.azure.com');
    const base = `https://management.azure.com/subscriptions/${subscriptionId}`;
    const missing = await azure.raw('GET', base, { token });
    expect([missing.status, errorOf(missing).code]).toEqual([400, 'MissingApiVersionParameter']);
    expect((await azure.raw('GET', `${base}?api%2Dversion=1999-01-01`, { token })).status).toBe(200);
  });

  it('matches paths in any case, and names what is missing', async () => {
    const lower = await azure.arm('GET', `/resourcegroups/${GROUP.toUpperCase()}`);
    expect(lower.body['name']).toBe(GROUP);
    const group = await azure.arm('GET', '/resourceGroups/nope/providers/Microsoft.KeyVault/vaults/x');
    expect([group.status, errorOf(group).code]).toEqual([404, 'ResourceGroupNotFound']);
    const vault = await azure.arm('GET', vaultPath('nope'));
    expect([vault.status, errorOf(vault).code]).toEqual([404, 'ResourceNotFound']);
    const token = await azure.token('https://management.azure.com');
    const other = `https://management.azure.com/subscriptions/${crypto.randomUUID()}?api-version=1`;
    expect(errorOf(await azure.raw('GET', other, { token })).code).toBe('SubscriptionNotFound');
    expect((await azure.arm('GET', '/providers/Microsoft.Nothing/things')).body).toMatchObject({
      error: { code: 'SandboxRouteNotServed' },
    });
    expect(
      errorOf(await azure.arm('PUT', vaultPath('broken'), { headers: { 'content-type': 'application/json' } })).code,
    ).toBe('InvalidRequestContent');
  });

  it('keeps resource groups as @azure/arm-resources expects them', async () => {
    expect(await azure.resources.resourceGroups.checkExistence(GROUP)).toMatchObject({ body: true });
    expect(await azure.resources.resourceGroups.checkExistence('nope')).toMatchObject({ body: false });
    const names: unknown[] = [];
    for await (const group of azure.resources.resourceGroups.list()) names.push(group.name);
    expect(names).toEqual([GROUP]);
  });

  it('makes an identity once: the same PUT gives the same principal', async () => {
    const first = await azure.identity('id-1');
    const second = await azure.identity('ID-1');
    expect(second).toEqual(first);
    expect(first.identityId).toContain('/resourcegroups/');
  });

  it('makes RBAC vaults by default from api-version 2026-02-01 on, and access-policy vaults before', async () => {
    const rbac = await putVault('kv-default-new', {});
    expect(rbac.status).toBe(201);
    expect(rbac.body['properties']).toMatchObject({
      enableRbacAuthorization: true,
      vaultUri: 'https://kv-default-new.vault.azure.net/',
    });
    const token = await azure.token('https://management.azure.com');
    const { subscriptionId, tenantId } = azure.sandbox;
    const old = await azure.raw(
      'PUT',
      `https://management.azure.com/subscriptions/${subscriptionId}${vaultPath('kv-default-old')}?api-version=2023-07-01`,
      { token, body: { location: LOCATION, properties: { tenantId, sku: { family: 'A', name: 'standard' } } } },
    );
    expect(old.body['properties']).toMatchObject({ enableRbacAuthorization: false });
  });

  it('lets no caller take back purge protection, soft delete or the retention', async () => {
    await putVault('kv-oneway', { enablePurgeProtection: true, softDeleteRetentionInDays: 7 });
    for (const change of [
      { enablePurgeProtection: false },
      { enableSoftDelete: false },
      { softDeleteRetentionInDays: 90 },
    ]) {
      expect((await putVault('kv-oneway', change)).status).toBe(400);
      expect((await azure.arm('PATCH', vaultPath('kv-oneway'), { body: { properties: change } })).status).toBe(400);
    }
    const again = await putVault('kv-oneway', {});
    expect(again.status).toBe(200);
    expect(again.body['properties']).toMatchObject({ enablePurgeProtection: true, softDeleteRetentionInDays: 7 });
  });

  it('soft-deletes a vault: no DNS name, a reserved name, and everything back after recover', async () => {
    await azure.provision('kv-lost');
    const key = await azure.keys('kv-lost').createRsaKey('k');
    await azure.vaults.vaults.delete(GROUP, 'kv-lost');
    const gone = await azure.vault('GET', 'kv-lost', '/keys').catch((error: unknown) => error);
    expect(String(gone)).toMatch(/502|Proxy/);
    const taken = await putVault('kv-lost', {});
    expect([taken.status, errorOf(taken).code]).toEqual([409, 'VaultAlreadyExists']);
    expect((await azure.vaults.vaults.getDeleted('kv-lost', LOCATION)).name).toBe('kv-lost');

    expect((await putVault('kv-lost', { createMode: 'recover' })).status).toBe(201);
    expect((await azure.keys('kv-lost').getKey('k')).id).toBe(key.id);
  });

  it('purges a deleted vault for good, unless it is protected', async () => {
    await putVault('kv-purge', {});
    await azure.vaults.vaults.delete(GROUP, 'kv-purge');
    const purge = `/providers/Microsoft.KeyVault/locations/${LOCATION}/deletedVaults/kv-purge/purge`;
    expect((await azure.arm('POST', purge)).status).toBe(200);
    expect((await putVault('kv-purge', {})).status).toBe(201);
    await putVault('kv-purge', { enablePurgeProtection: true });
    await azure.vaults.vaults.delete(GROUP, 'kv-purge');
    expect((await azure.arm('POST', purge)).status).toBe(409);
  });

  it('adds, removes and replaces access policies', async () => {
    await putVault('kv-policies', { enableRbacAuthorization: false });
    const objectId = crypto.randomUUID();
    const change = async (kind: string, keys: string[]): Promise<unknown> => {
      const answer = await azure.arm('PUT', `${vaultPath('kv-policies')}/accessPolicies/${kind}`, {
        body: {
          properties: { accessPolicies: [{ tenantId: azure.sandbox.tenantId, objectId, permissions: { keys } }] },
        },
      });
      const { accessPolicies } = answer.body['properties'] as { accessPolicies: { permissions: { keys: string[] } }[] };
      return accessPolicies.map((policy) => policy.permissions.keys);
    };
    expect(await change('add', ['encrypt'])).toEqual([['encrypt']]);
    expect(await change('add', ['decrypt'])).toEqual([['encrypt', 'decrypt']]);
    expect(await change('remove', ['encrypt'])).toEqual([['decrypt']]);
    expect(await change('replace', ['get'])).toEqual([['get']]);
  });

  it('refuses role assignments that exist, and roles and principals that do not', async () => {
    const { principalId } = await azure.identity('id-roles');
    const scope = `/subscriptions/${azure.sandbox.subscriptionId}/resourceGroups/${GROUP}`;
    const role = '12338af0-0e69-4776-bea7-57ae8d297424';
    expect((await azure.grant(scope, role, principalId)).status).toBe(201);
    const codes = [
      await azure.grant(scope, role, principalId),
      await azure.grant(scope, crypto.randomUUID(), principalId),
      await azure.grant(scope, role, crypto.randomUUID()),
    ].map((answer) => [answer.status, errorOf(answer).code]);
    expect(codes).toEqual([
      [409, 'RoleAssignmentExists'],
      [400, 'RoleDefinitionDoesNotExist'],
      [400, 'PrincipalNotFound'],
    ]);
    const listed = await azure.arm(
      'GET',
      `/resourceGroups/${GROUP}/providers/Microsoft.Authorization/roleAssignments?$filter=principalId eq '${principalId}'`,
    );
    expect(listed.body['value']).toHaveLength(1);
  });

  it('serves the China and US Government names with their own vault suffix', async () => {
    const { tenantId, clientId, clientSecret, subscriptionId } = azure.sandbox;
    const resource = 'https://management.chinacloudapi.cn';
    const { body } = await azure.raw('POST', `https://login.chinacloudapi.cn/${tenantId}/oauth2/v2.0/token`, {
      form: {
        client_id: clientId,
        client_secret: clientSecret,
        scope: `${resource}/.default`,
        grant_type: 'client_credentials',
      },
    });
    const answer = await azure.raw(
      'PUT',
      `${resource}/subscriptions/${subscriptionId}${vaultPath('kv-cn')}?api-version=2026-02-01`,
      {
        token: String(body['access_token']),
        body: { location: LOCATION, properties: { tenantId, sku: { family: 'A', name: 'standard' } } },
      },
    );
    expect(answer.body['properties']).toMatchObject({ vaultUri: 'https://kv-cn.vault.azure.cn/' });
    const challenge = await azure.raw('GET', 'https://kv-cn.vault.azure.cn/keys');
    expect(challenge.headers['www-authenticate']).toContain('resource="https://vault.azure.cn"');
    await expect(azure.raw('GET', 'https://kv-cn.vault.usgovcloudapi.net/keys')).rejects.toThrow();
  });
});
