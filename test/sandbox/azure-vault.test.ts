import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { constants, createPublicKey, publicEncrypt, type JsonWebKey } from 'node:crypto';
import { RestError } from '@azure/core-rest-pipeline';
import type { KeyClient, KeyVaultKey } from '@azure/keyvault-keys';
import { GROUP, LOCATION, TestAzure, type RawAnswer } from './azure-support';

const PAST = new Date(Date.now() - 60_000);

describe('the sandbox Key Vault', () => {
  let azure: TestAzure;
  let keys: KeyClient;
  const vault = 'kv-rbac-1';
  const policyVault = 'kv-policy-1';

  beforeAll(async () => {
    azure = await TestAzure.start();
    await azure.provision(vault);
    await azure.vaults.vaults.createOrUpdate(GROUP, policyVault, {
      location: LOCATION,
      properties: {
        tenantId: azure.sandbox.tenantId,
        sku: { family: 'A', name: 'standard' },
        enableRbacAuthorization: false,
        accessPolicies: [],
        softDeleteRetentionInDays: 7,
      },
    });
    keys = azure.keys(vault);
  });
  afterAll(() => azure.stop());

  const path = (key: KeyVaultKey): string => `/keys/${key.name}/${String(key.properties.version)}`;
  const cryptoCall = (key: KeyVaultKey, operation: string, value: Buffer, alg = 'RSA-OAEP-256'): Promise<RawAnswer> =>
    azure.vault('POST', vault, `${path(key)}/${operation}`, { body: { alg, value: value.toString('base64url') } });
  const errorOf = (answer: RawAnswer): { code: string; message: string; innererror?: { code: string } } =>
    answer.body['error'] as { code: string; message: string };

  it('challenges a request without a token, whatever it asks for', async () => {
    const { tenantId } = azure.sandbox;
    const answer = await azure.raw('POST', `https://${vault}.vault.azure.net/keys/nothing/create`);
    expect(answer.status).toBe(401);
    expect(answer.headers['www-authenticate']).toBe(
      `Bearer authorization="https://login.microsoftonline.com/${tenantId}", resource="https://vault.azure.net"`,
    );
    expect(answer.body).toEqual({
      error: { code: 'Unauthorized', message: 'AKV10000: Request is missing a Bearer or PoP token.' },
    });
  });

  it('refuses a token for ARM and an api-version that is missing', async () => {
    const token = await azure.token('https://management.azure.com');
    const wrong = await azure.vault('GET', vault, '/keys', { token });
    expect(wrong.status).toBe(401);
    expect(errorOf(wrong).message).toMatch(/^AKV10022: Invalid audience/);
    const right = await azure.token('https://vault.azure.net');
    const missing = await azure.raw('GET', `https://${vault}.vault.azure.net/keys`, { token: right });
    expect(missing.status).toBe(400);
  });

  it('creates, gets, updates and lists keys as @azure/keyvault-keys expects them', async () => {
    const created = await keys.createRsaKey('basic', { keySize: 2048, tags: { owner: 'keyturn' } });
    expect(created.id).toMatch(/^https:\/\/kv-rbac-1\.vault\.azure\.net\/keys\/basic\/[0-9a-f]{32}$/);
    expect(created.keyOperations).toEqual(['encrypt', 'decrypt', 'sign', 'verify', 'wrapKey', 'unwrapKey']);
    expect(created.properties).toMatchObject({ enabled: true, recoveryLevel: 'Recoverable', recoverableDays: 90 });

    const expiresOn = new Date(Math.floor(Date.now() / 1000) * 1000 + 86_400_000);
    await keys.updateKeyProperties('basic', { expiresOn, tags: { owner: 'other' } });
    const latest = await keys.getKey('basic');
    expect(latest.properties).toMatchObject({ expiresOn, tags: { owner: 'other' } });
    expect((await keys.getKey('basic', { version: created.properties.version })).id).toBe(created.id);

    const names: string[] = [];
    for await (const properties of keys.listPropertiesOfKeys()) names.push(properties.name);
    expect(names).toContain('basic');
  });

  it('rotates: the new version is the latest, keeps tags and operations, and has no dates', async () => {
    const first = await keys.createRsaKey('turning', {
      keyOps: ['encrypt', 'decrypt'],
      tags: { a: 'b' },
      expiresOn: new Date(Date.now() + 86_400_000),
    });
    const second = await keys.rotateKey('turning');
    expect(second.id).not.toBe(first.id);
    expect(second.keyOperations).toEqual(['encrypt', 'decrypt']);
    expect(second.properties.expiresOn).toBeUndefined();
    expect((await keys.getKey('turning')).id).toBe(second.id);
    const versions: unknown[] = [];
    for await (const version of keys.listPropertiesOfKeyVersions('turning')) versions.push(version.version);
    expect(versions).toEqual([first.properties.version, second.properties.version]);
  });

  it('makes 3072 and 4096 bit keys, and refuses other sizes and other key types', async () => {
    const key = await keys.createRsaKey('bits3072', { keySize: 3072 });
    expect(key.key?.n).toHaveLength(384);
    const size = await azure.vault('POST', vault, '/keys/odd/create', { body: { kty: 'RSA', key_size: 1000 } });
    expect([size.status, errorOf(size).code]).toEqual([400, 'BadParameter']);
    const type = await azure.vault('POST', vault, '/keys/odd/create', { body: { kty: 'oct-HSM' } });
    expect([type.status, errorOf(type).code]).toEqual([400, 'SandboxKeyTypeNotSupported']);
  });

  it.each(['RSA-OAEP-256', 'RSA-OAEP', 'RSA1_5'])('encrypts and decrypts with %s', async (alg) => {
    const key = await keys.createRsaKey('round-trip');
    const encrypted = await cryptoCall(key, 'encrypt', Buffer.from('a DEK seed'), alg);
    expect(encrypted.body['kid']).toBe(key.id);
    const sealed = Buffer.from(String(encrypted.body['value']), 'base64url');
    const decrypted = await cryptoCall(key, 'decrypt', sealed, alg);
    expect(Buffer.from(String(decrypted.body['value']), 'base64url').toString()).toBe('a DEK seed');
    const wrapped = await cryptoCall(key, 'wrapkey', Buffer.from('key'), alg);
    const unwrapped = await cryptoCall(key, 'unwrapkey', Buffer.from(String(wrapped.body['value']), 'base64url'), alg);
    expect(Buffer.from(String(unwrapped.body['value']), 'base64url').toString()).toBe('key');
  });

  it('decrypts what somebody else encrypted with the public key that it shows', async () => {
    const key = await keys.createRsaKey('outside');
    const shown = (await azure.vault('GET', vault, path(key))).body['key'] as JsonWebKey;
    const publicKey = createPublicKey({ key: { kty: 'RSA', n: shown['n'], e: shown['e'] }, format: 'jwk' });
    for (const [alg, padding, oaepHash] of [
      ['RSA1_5', constants.RSA_PKCS1_PADDING, undefined],
      ['RSA-OAEP-256', constants.RSA_PKCS1_OAEP_PADDING, 'sha256'],
    ] as const) {
      const sealed = publicEncrypt({ key: publicKey, padding, oaepHash }, Buffer.from('outside'));
      const answer = await cryptoCall(key, 'decrypt', sealed, alg);
      expect(Buffer.from(String(answer.body['value']), 'base64url').toString()).toBe('outside');
    }
  });

  it('takes the latest version when the path has an empty one', async () => {
    const key = await keys.createRsaKey('latest');
    const answer = await azure.vault('POST', vault, '/keys/latest//encrypt', {
      body: { alg: 'RSA-OAEP-256', value: 'YQ' },
    });
    expect(answer.body['kid']).toBe(key.id);
  });

  it('refuses garbage, a plaintext that is too long and an algorithm that does not exist with BadParameter', async () => {
    const key = await keys.createRsaKey('strict', { keyOps: ['decrypt'] });
    const answers = [
      await cryptoCall(key, 'decrypt', Buffer.alloc(256, 7)),
      await cryptoCall(key, 'decrypt', Buffer.alloc(256, 7), 'RSA-MAGIC'),
    ];
    expect(errorOf(await cryptoCall(key, 'encrypt', Buffer.from('not in key_ops')))).toEqual({
      code: 'Forbidden',
      message: 'Operation encrypt is not permitted on this key.',
      innererror: { code: 'KeyOperationForbidden' },
    });
    const open = await keys.createRsaKey('strict');
    answers.push(await cryptoCall(open, 'encrypt', Buffer.alloc(300)));
    expect(answers.map((answer) => [answer.status, errorOf(answer).code])).toEqual(
      answers.map(() => [400, 'BadParameter']),
    );
  });

  it('stops everything on a disabled version', async () => {
    const key = await keys.createRsaKey('disabled');
    const sealed = Buffer.from(String((await cryptoCall(key, 'encrypt', Buffer.from('x'))).body['value']), 'base64url');
    await keys.updateKeyProperties('disabled', { enabled: false });
    const decrypt = await cryptoCall(key, 'decrypt', sealed);
    expect(decrypt.status).toBe(403);
    expect(errorOf(decrypt)).toEqual({
      code: 'Forbidden',
      message: 'Operation decrypt is not allowed on a disabled key.',
      innererror: { code: 'KeyDisabled' },
    });
    expect(errorOf(await cryptoCall(key, 'encrypt', Buffer.from('x'))).innererror?.code).toBe('KeyDisabled');
    await keys.updateKeyProperties('disabled', { enabled: true });
    expect((await cryptoCall(key, 'decrypt', sealed)).status).toBe(200);
  });

  it('stops encrypt and wrap on an expired version, and lets decrypt and unwrap go on', async () => {
    const key = await keys.createRsaKey('expired');
    const sealed = Buffer.from(String((await cryptoCall(key, 'encrypt', Buffer.from('x'))).body['value']), 'base64url');
    await keys.updateKeyProperties('expired', { expiresOn: PAST });
    expect(errorOf(await cryptoCall(key, 'encrypt', Buffer.from('x')))).toEqual({
      code: 'Forbidden',
      message: 'Operation encrypt is not allowed on an expired key.',
      innererror: { code: 'KeyExpired' },
    });
    expect(errorOf(await cryptoCall(key, 'wrapkey', Buffer.from('x'))).innererror?.code).toBe('KeyExpired');
    expect((await cryptoCall(key, 'decrypt', sealed)).status).toBe(200);
    expect((await cryptoCall(key, 'unwrapkey', sealed)).status).toBe(200);
    await keys.updateKeyProperties('expired', { expiresOn: new Date(Date.now() + 60_000) });
    expect((await cryptoCall(key, 'encrypt', Buffer.from('x'))).status).toBe(200);
  });

  it('stops encrypt on a version that is not yet valid', async () => {
    const key = await keys.createRsaKey('early', { notBefore: new Date(Date.now() + 3_600_000) });
    expect(errorOf(await cryptoCall(key, 'encrypt', Buffer.from('x'))).innererror?.code).toBe('KeyNotYetValid');
  });

  it('answers KeyNotFound for a name and for a version that are not there', async () => {
    await keys.createRsaKey('present');
    for (const missing of ['/keys/absent', `/keys/present/${'0'.repeat(32)}`, '/deletedkeys/present']) {
      const answer = await azure.vault('GET', vault, missing);
      expect([answer.status, errorOf(answer).code]).toEqual([404, 'KeyNotFound']);
    }
    await expect(keys.getKey('absent')).rejects.toMatchObject({ statusCode: 404, code: 'KeyNotFound' });
  });

  it('soft-deletes all versions of a key, reserves its name, and recovers it with them', async () => {
    const first = await keys.createRsaKey('mistake');
    await keys.rotateKey('mistake');
    const poller = await keys.beginDeleteKey('mistake', { intervalInMs: 5 });
    const deleted = await poller.pollUntilDone();
    expect(deleted.properties.scheduledPurgeDate?.getTime()).toBeGreaterThan(Date.now() + 89 * 86_400_000);
    await expect(keys.getKey('mistake')).rejects.toMatchObject({ statusCode: 404 });

    const conflict = await keys.createRsaKey('mistake').catch((error: unknown) => error);
    expect(conflict).toBeInstanceOf(RestError);
    expect(conflict).toMatchObject({ statusCode: 409, code: 'Conflict' });
    expect(JSON.stringify((conflict as RestError).details)).toContain('ObjectIsDeletedButRecoverable');

    const recovered = await (await keys.beginRecoverDeletedKey('mistake', { intervalInMs: 5 })).pollUntilDone();
    expect(recovered.name).toBe('mistake');
    expect((await keys.getKey('mistake', { version: first.properties.version })).id).toBe(first.id);
  });

  it('refuses to purge where purge protection is on, and purges where it is not', async () => {
    await keys.createRsaKey('keep');
    await (await keys.beginDeleteKey('keep', { intervalInMs: 5 })).pollUntilDone();
    await expect(keys.purgeDeletedKey('keep')).rejects.toMatchObject({ statusCode: 403 });

    const others = azure.keys(policyVault);
    const key = await others.createRsaKey('gone');
    expect(key.properties).toMatchObject({ recoveryLevel: 'CustomizedRecoverable+Purgeable', recoverableDays: 7 });
    await (await others.beginDeleteKey('gone', { intervalInMs: 5 })).pollUntilDone();
    await others.purgeDeletedKey('gone');
    await expect(others.getDeletedKey('gone')).rejects.toMatchObject({ statusCode: 404 });
  });

  it('refuses by RBAC in the words of Key Vault, until a role at the vault or at the key allows it', async () => {
    const app = azure.sandbox.registerApplication('outsider');
    const token = await azure.token('https://vault.azure.net', app);
    const key = await keys.createRsaKey('guarded');
    const body = { alg: 'RSA-OAEP-256', value: 'YQ' };
    const refused = await azure.vault('POST', vault, `${path(key)}/encrypt`, { token, body });
    expect(refused.status).toBe(403);
    const { tenantId, subscriptionId } = azure.sandbox;
    const vaultId = `/subscriptions/${subscriptionId}/resourceGroups/${GROUP}/providers/Microsoft.KeyVault/vaults/${vault}`;
    expect(errorOf(refused)).toMatchObject({ code: 'Forbidden', innererror: { code: 'ForbiddenByRbac' } });
    expect(errorOf(refused).message.split('\r\n')).toEqual(
      expect.arrayContaining([
        'Caller is not authorized to perform action on resource.',
        `Caller: appid=${app.clientId};oid=${app.objectId};iss=https://sts.windows.net/${tenantId}/`,
        "Action: 'Microsoft.KeyVault/vaults/keys/encrypt/action'",
        `Resource: '${vaultId}/keys/guarded'`,
        `Vault: ${vault};location=${LOCATION}`,
      ]),
    );

    // Crypto Service Encryption User has wrap and unwrap only: not enough for AKS.
    await azure.grant(vaultId, 'e147488a-f6f5-4113-8e2d-b22465e65bf6', app.objectId);
    expect((await azure.vault('POST', vault, `${path(key)}/encrypt`, { token, body })).status).toBe(403);
    expect((await azure.vault('POST', vault, `${path(key)}/wrapkey`, { token, body })).status).toBe(200);
    await azure.grant(`${vaultId}/keys/guarded`, '12338af0-0e69-4776-bea7-57ae8d297424', app.objectId);
    expect((await azure.vault('POST', vault, `${path(key)}/encrypt`, { token, body })).status).toBe(200);
    const other = await keys.createRsaKey('guarded-too');
    expect((await azure.vault('POST', vault, `${path(other)}/encrypt`, { token, body })).status).toBe(403);
  });

  it('refuses by access policy in the words of Key Vault, and before it tells whether the key exists', async () => {
    const app = azure.sandbox.registerApplication('policy-outsider');
    const token = await azure.token('https://vault.azure.net', app);
    const body = { alg: 'RSA-OAEP-256', value: 'YQ' };
    const refused = await azure.vault('POST', policyVault, `/keys/none/${'0'.repeat(32)}/encrypt`, { token, body });
    expect(refused.status).toBe(403);
    expect(errorOf(refused)).toEqual({
      code: 'Forbidden',
      message: `The user, group or application 'appid=${app.clientId};oid=${app.objectId};iss=https://sts.windows.net/${azure.sandbox.tenantId}/' does not have keys encrypt permission on key vault '${policyVault};location=${LOCATION}'. For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125287`,
      innererror: { code: 'ForbiddenByPolicy' },
    });
    await azure.vaults.vaults.updateAccessPolicy(GROUP, policyVault, 'add', {
      properties: {
        accessPolicies: [
          { tenantId: azure.sandbox.tenantId, objectId: app.objectId, permissions: { keys: ['get', 'encrypt'] } },
        ],
      },
    });
    const allowed = await azure.vault('POST', policyVault, `/keys/none/${'0'.repeat(32)}/encrypt`, { token, body });
    expect(allowed.status).toBe(404);
  });

  it('refuses by network rules before anything else', async () => {
    await keys.createRsaKey('walled');
    const rules = (publicNetworkAccess: string, defaultAction: 'Allow' | 'Deny', ip?: string): Promise<RawAnswer> =>
      azure.arm('PATCH', `/resourceGroups/${GROUP}/providers/Microsoft.KeyVault/vaults/${vault}`, {
        body: {
          properties: {
            publicNetworkAccess,
            networkAcls: { defaultAction, ipRules: ip === undefined ? [] : [{ value: ip }] },
          },
        },
      });
    const inner = async (): Promise<string | undefined> => {
      const answer = await azure.vault('GET', vault, '/keys/walled');
      return answer.status === 200 ? undefined : errorOf(answer).innererror?.code;
    };
    await rules('Disabled', 'Allow');
    expect(await inner()).toBe('ForbiddenByConnection');
    await rules('Enabled', 'Deny');
    expect(await inner()).toBe('ForbiddenByFirewall');
    await rules('Enabled', 'Deny', '127.0.0.1');
    expect(await inner()).toBeUndefined();
    await rules('Enabled', 'Allow');
    expect(await inner()).toBeUndefined();
  });
});
