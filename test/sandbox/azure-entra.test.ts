import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createLocalJWKSet, decodeJwt, jwtVerify, type JSONWebKeySet } from 'jose';
import { ClientSecretCredential } from '@azure/identity';
import { TestAzure } from './azure-support';

describe('the sandbox Entra', () => {
  let azure: TestAzure;
  beforeAll(async () => {
    azure = await TestAzure.start();
  });
  afterAll(() => azure.stop());

  const credential = (tenant: string, client: string, secret: string): ClientSecretCredential =>
    new ClientSecretCredential(tenant, client, secret);
  const refusal = async (of: ClientSecretCredential): Promise<Error> => {
    const error: unknown = await of
      .getToken('https://management.azure.com/.default')
      .catch((reason: unknown) => reason);
    return error as Error;
  };
  const loginUrl = (path: string): string => `https://login.microsoftonline.com/${azure.sandbox.tenantId}${path}`;

  it('gives @azure/identity an ARM token with the claims of v1.0', async () => {
    const { tenantId, clientId } = azure.sandbox;
    const token = await azure.credential.getToken('https://management.azure.com/.default');
    expect(decodeJwt(token.token)).toMatchObject({
      aud: 'https://management.azure.com',
      iss: `https://sts.windows.net/${tenantId}/`,
      appid: clientId,
      tid: tenantId,
      ver: '1.0',
    });
    expect(token.expiresOnTimestamp).toBeGreaterThan(Date.now() + 3_000_000);
  });

  it('refuses a wrong secret with AADSTS7000215', async () => {
    const { tenantId, clientId } = azure.sandbox;
    const error = await refusal(credential(tenantId, clientId, 'wrong'));
    expect(error.message).toContain('AADSTS7000215: Invalid client secret provided.');
    const raw = await azure.raw('POST', loginUrl('/oauth2/v2.0/token'), {
      form: { client_id: clientId, client_secret: 'wrong', grant_type: 'client_credentials', scope: 'x/.default' },
    });
    expect(raw.status).toBe(401);
    expect(raw.body).toMatchObject({ error: 'invalid_client', error_codes: [7000215] });
  });

  it('refuses an unknown application with AADSTS700016', async () => {
    const error = await refusal(credential(azure.sandbox.tenantId, crypto.randomUUID(), 'x'));
    expect(error.message).toContain('AADSTS700016');
  });

  it('refuses an unknown tenant with AADSTS90002', async () => {
    const { clientId, clientSecret } = azure.sandbox;
    const error = await refusal(credential(crypto.randomUUID(), clientId, clientSecret));
    expect(error.message).toMatch(/AADSTS90002|endpoints_resolution_error/);
    const raw = await azure.raw(
      'GET',
      `https://login.microsoftonline.com/${crypto.randomUUID()}/v2.0/.well-known/openid-configuration`,
    );
    expect(raw.status).toBe(400);
    expect(raw.body).toMatchObject({ error: 'invalid_tenant', error_codes: [90002] });
  });

  it('refuses a resource that is not registered with AADSTS500011', async () => {
    const { clientId, clientSecret } = azure.sandbox;
    const answer = await azure.raw('POST', loginUrl('/oauth2/v2.0/token'), {
      form: {
        client_id: clientId,
        client_secret: clientSecret,
        grant_type: 'client_credentials',
        scope: 'https://batch.core.windows.net/.default',
      },
    });
    expect(answer.status).toBe(400);
    expect(answer.body).toMatchObject({ error: 'invalid_resource', error_codes: [500011] });
  });

  it('answers the v1 endpoint with numbers as strings', async () => {
    const { clientId, clientSecret } = azure.sandbox;
    const answer = await azure.raw('POST', loginUrl('/oauth2/token'), {
      form: {
        client_id: clientId,
        client_secret: clientSecret,
        grant_type: 'client_credentials',
        resource: 'https://vault.azure.net',
      },
    });
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({
      token_type: 'Bearer',
      expires_in: '3599',
      resource: 'https://vault.azure.net',
    });
  });

  it('serves discovery documents whose keys verify the tokens of people', async () => {
    const { tenantId, people } = azure.sandbox;
    const discovery = await azure.raw('GET', loginUrl('/v2.0/.well-known/openid-configuration'));
    const issuer = `https://login.microsoftonline.com/${tenantId}/v2.0`;
    expect(discovery.body).toMatchObject({ issuer, token_endpoint: loginUrl('/oauth2/v2.0/token') });
    const keys = await azure.raw('GET', String(discovery.body['jwks_uri']));
    const verified = await jwtVerify(
      String(people['requester']?.token),
      createLocalJWKSet(keys.body as unknown as JSONWebKeySet),
      {
        issuer,
        audience: 'api://keyturn',
        algorithms: ['RS256'],
      },
    );
    expect(verified.payload).toMatchObject({
      ver: '2.0',
      tid: tenantId,
      oid: people['requester']?.objectId,
      preferred_username: 'requester@sandbox.test',
      scp: 'access_as_user',
      roles: ['Kms.Operator', 'Kms.Reader', 'Kms.Approver'],
    });
    expect(keys.body['keys']).toEqual([expect.not.objectContaining({ d: expect.anything() })]);
  });

  it('answers instance discovery with the hosts of all clouds that MSAL asks for tokens', async () => {
    const answer = await azure.raw(
      'GET',
      'https://login.microsoftonline.com/common/discovery/instance?api-version=1.1',
    );
    const { metadata } = answer.body as { metadata: { preferred_network: string }[] };
    expect(metadata.map((entry) => entry.preferred_network)).toEqual([
      'login.microsoftonline.com',
      'login.partner.microsoftonline.cn',
      'login.microsoftonline.us',
    ]);
  });

  it('mints tokens that are wrong in the way that is asked for', async () => {
    const { sandbox } = azure;
    const expired = decodeJwt(await sandbox.mintUserToken({ expiresInSeconds: -60 }));
    expect(Number(expired.exp)).toBeLessThan(Date.now() / 1000);
    expect(decodeJwt(await sandbox.mintUserToken({ audience: 'api://other' })).aud).toBe('api://other');
    const other = crypto.randomUUID();
    expect(decodeJwt(await sandbox.mintUserToken({ tenantId: other })).iss).toContain(other);
    const appOnly = decodeJwt(await sandbox.mintUserToken({ appOnly: true, roles: ['Kms.Operator'] }));
    expect(appOnly).toMatchObject({ idtyp: 'app', roles: ['Kms.Operator'] });
    expect(appOnly).not.toHaveProperty('scp');
  });

  it('gives an application an app-only token for the API of Keyturn', async () => {
    const pipeline = azure.sandbox.registerApplication('pipeline', { appRoles: ['Kms.Operator'] });
    const claims = decodeJwt(await azure.token('api://keyturn', pipeline));
    expect(claims).toMatchObject({
      aud: 'api://keyturn',
      ver: '2.0',
      idtyp: 'app',
      roles: ['Kms.Operator'],
      oid: pipeline.objectId,
    });
  });
});
