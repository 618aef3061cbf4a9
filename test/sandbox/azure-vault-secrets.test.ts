/** Secrets and certificates of the sandbox's Key Vault: their life, their rights, and what a certificate is to its key and its secret. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createPublicKey, X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { readPfx } from '../../sandbox/pfx';
import { GROUP, TestAzure, type RawAnswer } from './azure-support';

const VAULT = 'kv-objects-1';
const SECRETS_USER = '4633458b-17de-408a-b874-0445c86b69e6';
const CERTIFICATE_USER = 'db79e9a7-68ee-4b58-9aeb-b90e7c24fcba';

describe('secrets and certificates of the sandbox Key Vault', () => {
  let azure: TestAzure;
  let vaultId: string;

  beforeAll(async () => {
    azure = await TestAzure.start();
    ({ vaultId } = await azure.provision(VAULT));
  });
  afterAll(() => azure.stop());

  const errorOf = (answer: RawAnswer): { code: string; message: string; innererror?: { code: string } } =>
    answer.body['error'] as { code: string; message: string };
  const call = (method: string, path: string, body?: unknown, token?: string): Promise<RawAnswer> =>
    azure.vault(method, VAULT, path, { body, token });
  const set = async (name: string, body: object): Promise<string> =>
    String((await call('PUT', `/secrets/${name}`, body)).body['id']);

  it('keeps versions of a secret, with content type, dates and tags', async () => {
    const first = await set('secret1', { value: 'one', contentType: 'text/plain', attributes: { exp: 1 } });
    const second = await set('secret1', { value: 'two', tags: { a: 'b' } });
    expect(first).toMatch(/^https:\/\/kv-objects-1\.vault\.azure\.net\/secrets\/secret1\/[0-9a-f]{32}$/);
    // A trailing slash is how the Go SDK asks for the latest version.
    expect((await call('GET', '/secrets/secret1/')).body).toMatchObject({ id: second, value: 'two', tags: { a: 'b' } });
    // Expired, and given all the same.
    const old = (await call('GET', new URL(first).pathname)).body;
    expect(old).toMatchObject({ value: 'one', contentType: 'text/plain', attributes: { exp: 1, enabled: true } });
    const { value } = (await call('GET', '/secrets/secret1/versions')).body as { value: { id: string }[] };
    expect(value.map(({ id }) => id)).toEqual([first, second]);
    expect(JSON.stringify(value)).not.toContain('"value"');
  });

  it('refuses a secret that is disabled, missing or deleted', async () => {
    await set('gone', { value: 'x' });
    await call('PATCH', '/secrets/gone', { attributes: { enabled: false } });
    const disabled = await call('GET', '/secrets/gone');
    expect([disabled.status, errorOf(disabled).innererror?.code]).toEqual([403, 'SecretDisabled']);
    const missing = await call('GET', '/secrets/nothing');
    expect([missing.status, errorOf(missing).code]).toEqual([404, 'SecretNotFound']);
    expect(errorOf(missing).message).toMatch(/^A secret with \(name\/id\) nothing was not found in this key vault\./);
    await call('DELETE', '/secrets/gone');
    const again = await call('PUT', '/secrets/gone', { value: 'y' });
    expect([again.status, errorOf(again).innererror?.code]).toEqual([409, 'ObjectIsDeletedButRecoverable']);
    await call('POST', '/deletedsecrets/gone/recover');
    expect((await call('GET', '/secrets')).body['value']).toContainEqual(
      expect.objectContaining({ id: `https://${VAULT}.vault.azure.net/secrets/gone` }),
    );
  });

  it('makes a self-signed certificate, whose key and secret have its name and version', async () => {
    const policy = {
      key_props: { exportable: true, kty: 'RSA', key_size: 2048, reuse_key: false },
      secret_props: { contentType: 'application/x-pkcs12' },
      x509_props: { subject: 'CN=aks.test', sans: { dns_names: ['aks.test'] }, validity_months: 6 },
      issuer: { name: 'Self' },
    };
    const created = await call('POST', '/certificates/cert1/create', { policy });
    expect([created.status, created.body['status']]).toEqual([202, 'inProgress']);
    let pending = created.body;
    while (pending['status'] === 'inProgress') pending = (await call('GET', '/certificates/cert1/pending')).body;
    expect(pending).toMatchObject({
      status: 'completed',
      target: `https://${VAULT}.vault.azure.net/certificates/cert1`,
    });

    const bundle = (await call('GET', '/certificates/cert1/')).body as Record<'id' | 'kid' | 'sid' | 'cer', string>;
    const leaf = new X509Certificate(Buffer.from(bundle.cer, 'base64'));
    expect([leaf.subject, leaf.checkHost('aks.test'), leaf.verify(leaf.publicKey)]).toEqual([
      'CN=aks.test',
      'aks.test',
      true,
    ]);
    expect(bundle.kid).toBe(bundle.id.replace('/certificates/', '/keys/'));
    const { key } = (await call('GET', new URL(bundle.kid).pathname)).body as { key: { n: string; e: string } };
    const shown = createPublicKey({ key: { kty: 'RSA', n: key.n, e: key.e }, format: 'jwk' });
    expect(shown.export({ format: 'pem', type: 'spki' })).toBe(leaf.publicKey.export({ format: 'pem', type: 'spki' }));

    const secret = (await call('GET', new URL(bundle.sid).pathname)).body;
    expect(secret).toMatchObject({ contentType: 'application/x-pkcs12', kid: bundle.kid, managed: true });
    const pfx = Buffer.from(String(secret['value']), 'base64');
    expect(() => createSecureContext({ pfx, passphrase: '' })).not.toThrow();
    expect(readPfx(pfx).chain).toEqual([leaf.raw]);

    await call('DELETE', '/certificates/cert1');
    expect((await call('GET', '/secrets/cert1')).status).toBe(404);
    expect((await call('GET', '/keys/cert1')).status).toBe(404);
  });

  it('imports a PEM, and gives it back as its secret', async () => {
    const policy = { secret_props: { contentType: 'application/x-pem-file' }, x509_props: { subject: 'CN=a' } };
    await call('POST', '/certificates/first/create', { policy });
    let pem = '';
    while (pem === '') pem = ((await call('GET', '/secrets/first')).body['value'] as string | undefined) ?? '';
    const imported = await call('POST', '/certificates/second/import', { value: pem, policy });
    expect(imported.status).toBe(200);
    expect((await call('GET', '/secrets/second')).body['value']).toBe(pem);
  });

  it('gives secrets by Secrets User, and keys and certificates by Certificate User only', async () => {
    const reader = azure.sandbox.registerApplication('reader');
    const token = await azure.token('https://vault.azure.net', reader);
    const refused = await call('GET', '/secrets/secret1/', undefined, token);
    expect([refused.status, errorOf(refused).innererror?.code]).toEqual([403, 'ForbiddenByRbac']);
    expect(errorOf(refused).message).toContain(
      `Action: 'Microsoft.KeyVault/vaults/secrets/getSecret/action'\r\nResource: '${vaultId}/secrets/secret1'`,
    );
    await azure.grant(vaultId, SECRETS_USER, reader.objectId);
    expect((await call('GET', '/secrets/secret1/', undefined, token)).status).toBe(200);
    const key = await call('GET', '/keys/first/', undefined, token);
    expect(errorOf(key).innererror?.code).toBe('ForbiddenByRbac');
    await azure.grant(vaultId, CERTIFICATE_USER, reader.objectId);
    expect((await call('GET', '/keys/first/', undefined, token)).status).toBe(200);
    expect((await call('GET', '/certificates/first/', undefined, token)).status).toBe(200);
    expect((await call('PUT', '/secrets/secret1', { value: 'x' }, token)).status).toBe(403);
  });

  it('knows access policies for secrets and certificates', async () => {
    const reader = azure.sandbox.registerApplication('policy reader');
    const token = await azure.token('https://vault.azure.net', reader);
    await azure.vaults.vaults.update(GROUP, VAULT, { properties: { enableRbacAuthorization: false } });
    const refused = await call('GET', '/certificates/first/', undefined, token);
    expect(errorOf(refused).message).toContain('does not have certificates get permission on key vault');
    await azure.vaults.vaults.updateAccessPolicy(GROUP, VAULT, 'add', {
      properties: {
        accessPolicies: [
          {
            tenantId: azure.sandbox.tenantId,
            objectId: reader.objectId,
            permissions: { secrets: ['get'], certificates: ['Get'] },
          },
        ],
      },
    });
    for (const path of ['/secrets/secret1/', '/certificates/first/']) {
      expect((await call('GET', path, undefined, token)).status).toBe(200);
    }
    expect(errorOf(await call('GET', '/keys/first/', undefined, token)).innererror?.code).toBe('ForbiddenByPolicy');
  });
});
