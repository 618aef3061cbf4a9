import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { base64url, generateKeyPair, SignJWT } from 'jose';
import { KeySetUnavailable } from '../../api/key-set';
import { Role } from '../../domain/people';
import { AUDIENCE, ISSUER, startTestApi, TENANT, type TestApi } from './support';

const ROUTES = [
  ['POST', '/v1/operations'],
  ['GET', '/v1/operations/op-1'],
  ['GET', '/v1/operations/op-1/evidence'],
  ['POST', '/v1/operations/op-1:approve'],
  ['POST', '/v1/operations/op-1:deny'],
  ['POST', '/v1/operations/op-1:cancel'],
  ['POST', '/v1/operations/op-1:retry'],
] as const;
const PATH = '/v1/operations/op-00000000000000000000000000';

describe('a caller', () => {
  let api: TestApi;
  beforeAll(async () => void (api = await startTestApi()));
  afterAll(() => api.close());

  it.each(ROUTES)('without a token is refused by %s %s, before anything else is said', async (method, path) => {
    const reply = await api.call(method, path);
    expect(reply.problem()).toMatchObject({ status: 401, code: 'Unauthenticated' });
    expect(reply.headers.get('www-authenticate')).toBe('Bearer realm="keyturn"');
  });

  const now = Math.floor(Date.now() / 1000);
  it.each([
    ['of another tenant', { tid: '00000000-0000-0000-0000-000000000000' }, /another tenant/],
    ['of another issuer', { iss: `https://sts.windows.net/${TENANT}/` }, /another issuer/],
    ['of an issuer that differs by a slash', { iss: `${ISSUER}/` }, /another issuer/],
    ['for another audience', { aud: 'api://other' }, /another audience/],
    ['that is not valid yet', { nbf: now + 60 }, /not valid yet/],
    ['without an object id', { oid: undefined }, /"oid"/],
    ['without an expiry', { exp: undefined }, /"exp"/],
    ['without the time of its issue', { iat: undefined }, /"iat"/],
    ['that was issued in the future', { iat: now + 60 }, /issued in the future/],
  ])('with a token %s is refused', async (_what, claims, detail) => {
    const reply = await api.call('GET', PATH, { token: await api.tokens.of('Olga', [Role.Operator], claims) });
    expect(reply.problem()).toMatchObject({
      status: 401,
      code: 'Unauthenticated',
      detail: expect.stringMatching(detail),
    });
    expect(reply.headers.get('www-authenticate')).toMatch(
      /^Bearer realm="keyturn", error="invalid_token", error_description="[^"\\]+"$/,
    );
  });

  it('with an expired token is told so, after 30 s of tolerance', async () => {
    const late = await api.tokens.of('Olga', [Role.Operator], { exp: now - 60 });
    expect((await api.call('GET', PATH, { token: late })).problem()).toMatchObject({
      status: 401,
      code: 'TokenExpired',
    });
    const justLate = await api.tokens.of('Olga', [Role.Operator], { exp: Math.floor(Date.now() / 1000) - 5 });
    expect((await api.call('GET', PATH, { token: justLate })).problem().code).toBe('OperationNotFound');
  });

  it('with a token that another key signed is refused', async () => {
    const { privateKey } = await generateKeyPair('RS256');
    const claims = {
      iss: ISSUER,
      aud: AUDIENCE,
      tid: TENANT,
      oid: 'o',
      roles: [Role.Operator],
      iat: now,
      exp: now + 600,
    };
    const token = await new SignJWT(claims).setProtectedHeader({ alg: 'RS256', kid: 'k' }).sign(privateKey);
    expect((await api.call('GET', PATH, { token })).problem()).toMatchObject({ code: 'Unauthenticated' });
  });

  it('with an unsigned or a symmetrically signed token is refused', async () => {
    const payload = base64url.encode(
      JSON.stringify({ iss: ISSUER, aud: AUDIENCE, tid: TENANT, oid: 'o', roles: [Role.Operator], exp: now + 600 }),
    );
    const none = `${base64url.encode('{"alg":"none"}')}.${payload}.`;
    expect((await api.call('GET', PATH, { token: none })).problem().code).toBe('Unauthenticated');
    const symmetric = await new SignJWT({ iss: ISSUER, aud: AUDIENCE, tid: TENANT, oid: 'o', exp: now + 600 })
      .setProtectedHeader({ alg: 'HS256', kid: 'k' })
      .sign(new TextEncoder().encode('a secret that is long enough for it'));
    expect((await api.call('GET', PATH, { token: symmetric })).problem().code).toBe('Unauthenticated');
  });

  it('with a token of the right key and another algorithm is refused', async () => {
    const token = await api.tokens.of('Olga', [Role.Operator], {}, 'PS256');
    expect((await api.call('GET', PATH, { token })).problem().code).toBe('Unauthenticated');
  });

  it('with another scheme than Bearer is refused', async () => {
    const reply = await api.call('GET', PATH, { headers: { authorization: 'Basic b2xnYTpwYXNz' } });
    expect(reply.problem().code).toBe('Unauthenticated');
  });

  it('without the role is refused before it is told whether the operation exists', async () => {
    const reply = await api.call('POST', '/v1/operations/op-1:approve', { token: api.as.olga, body: 'not json' });
    expect(reply.problem()).toMatchObject({
      status: 403,
      code: 'RoleMissing',
      detail: expect.stringContaining('Kms.Approver'),
    });
    const nobody = await api.tokens.of('Nils', [], { roles: undefined });
    expect((await api.call('GET', PATH, { token: nobody })).problem().code).toBe('RoleMissing');
  });

  it.each([Role.Reader, Role.Operator, Role.Approver])('with the role %s may read', async (role) => {
    const reply = await api.call('GET', PATH, { token: await api.tokens.of('Rita', [role]) });
    expect(reply.problem().code).toBe('OperationNotFound');
  });

  it('is never repeated in the log or in an answer with its token', async () => {
    const reply = await api.call('GET', PATH, { token: api.as.rita });
    const signature = api.as.rita.split('.')[2] ?? '';
    expect(api.log.join('')).not.toContain(signature);
    expect(reply.text).not.toContain(signature);
    const line: unknown = JSON.parse(api.log.filter((text) => text.includes(reply.problem().requestId)).at(-1) ?? '');
    expect(line).toMatchObject({
      caller: 'oid-rita',
      tenantId: TENANT,
      route: '/v1/operations/{id}',
      status: 404,
      code: 'OperationNotFound',
    });
    expect(Object.keys(line as object).sort()).toEqual(
      'caller code hostname level method msg operationId path pid requestId responseTime route status tenantId time'.split(
        ' ',
      ),
    );
  });
});

describe('while the signing keys cannot be fetched', () => {
  it('no caller is let in, and the answer says that it may work later', async () => {
    const api = await startTestApi({
      auth: {
        keySet: () =>
          Promise.reject(
            new KeySetUnavailable('https://login.microsoftonline.com/keys', { cause: new Error('ECONNREFUSED') }),
          ),
      },
    });
    const reply = await api.call('GET', PATH, { token: api.as.rita });
    expect(reply.problem()).toMatchObject({ status: 503, code: 'IssuerUnavailable', retryAfter: 10 });
    expect(reply.headers.get('retry-after')).toBe('10');
    await api.close();
  });
});

describe('a caller who asks too often', () => {
  it('is slowed down, and others are not', async () => {
    const api = await startTestApi({ rateLimit: { limit: 2, windowInMs: 60_000 } });
    const codes: string[] = [];
    for (let call = 0; call < 3; call += 1)
      codes.push((await api.call('GET', PATH, { token: api.as.rita })).problem().code);
    expect(codes).toEqual(['OperationNotFound', 'OperationNotFound', 'RateLimited']);
    const reply = await api.call('GET', PATH, { token: api.as.rita });
    expect(reply.status).toBe(429);
    expect(Number(reply.headers.get('retry-after'))).toBe(reply.problem().retryAfter);
    expect(reply.headers.get('ratelimit-policy')).toMatch(/q=2; w=60/);
    expect((await api.call('GET', PATH, { token: api.as.olga })).problem().code).toBe('OperationNotFound');
    await api.close();
  });
});
