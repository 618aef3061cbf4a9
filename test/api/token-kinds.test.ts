/** Every kind of token on every class of route: what the API answers, and with which code. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { decodeJwt, type JWTPayload } from 'jose';
import { Role } from '../../domain/people';
import { CLIENT, OF_PROGRAM, REQUEST, startTestApi, TENANT, type TestApi } from './support';

const PATH = '/v1/operations/op-00000000000000000000000000';
const now = Math.floor(Date.now() / 1000);
const decision = { planDigest: 'sha256:0' };
const acceptance = { digest: 'sha256:0', reason: 'They are unused.' };

const ROUTES = {
  public: ['GET', '/healthz', undefined],
  read: ['GET', PATH, undefined],
  ask: ['POST', '/v1/operations', REQUEST],
  steer: ['POST', `${PATH}:cancel`, {}],
  approve: ['POST', `${PATH}:approve`, decision],
  deny: ['POST', `${PATH}:deny`, decision],
  accept: ['POST', `${PATH}:accept`, acceptance],
} as const;
type RouteClass = keyof typeof ROUTES;

/** Everything that a route says to one who is let in: the operation does not exist, or the request was accepted. */
const IN = 'let in';
const LET_IN = ['200', '202', 'OperationNotFound'];

const ALL = [Role.Reader, Role.Operator, Role.Approver];
const idToken: JWTPayload = { scp: undefined, azp: undefined, nonce: 'n', preferred_username: 'olga@example.com' };
const ANYBODY = { public: IN, read: IN, ask: IN, steer: IN };

const refused = (code: string): Record<RouteClass, string> => ({
  ...(Object.fromEntries(Object.keys(ROUTES).map((name) => [name, code])) as Record<RouteClass, string>),
  public: IN,
});
const decides = (code: string): Record<RouteClass, string> => ({ ...ANYBODY, approve: code, deny: code, accept: code });

/** Claims that replace those of a person's token; roles are all three unless `roles` says otherwise. */
const KINDS: readonly (readonly [string, JWTPayload, Record<RouteClass, string>])[] = [
  ['of a person', {}, decides(IN)],
  ['of a person, with the client in capitals', { azp: CLIENT.toUpperCase() }, decides(IN)],
  ['of a person, with several scopes', { scp: 'email access_as_user' }, decides(IN)],
  ['of a person, with one id in both claims', { sub: 'oid-all' }, decides(IN)],
  ['of a person without a role', { roles: undefined }, refused('RoleMissing')],
  [
    'of a person through another application',
    { azp: '00000000-1111-2222-3333-444444444444' },
    decides('ClientCannotApprove'),
  ],
  ['of a person through an unnamed application', { azp: undefined }, decides('ClientCannotApprove')],
  ['of a person with another scope', { scp: 'User.Read' }, refused('ScopeMissing')],
  ['of a person with a longer scope', { scp: 'access_as_user_too' }, refused('ScopeMissing')],
  ['of a program', OF_PROGRAM, decides('ProgramCannotApprove')],
  ['of a program, known by its subject', { scp: undefined, sub: 'OID-ALL' }, decides('ProgramCannotApprove')],
  ['of a program that has a scope', { idtyp: 'app' }, decides('ProgramCannotApprove')],
  ['of a program without a role', { ...OF_PROGRAM, roles: undefined }, refused('RoleMissing')],
  ['for an application, an ID token', idToken, refused('Unauthenticated')],
  ['for an application, an ID token with the client in azp', { ...idToken, azp: CLIENT }, refused('Unauthenticated')],
  [
    'for an application, an ID token without a nonce',
    { ...idToken, azp: CLIENT, nonce: undefined },
    refused('Unauthenticated'),
  ],
  ['with a scope and the hash of an ID token', { at_hash: 'h' }, refused('Unauthenticated')],
  [
    'of a person that says so and has no scope',
    { idtyp: 'user', scp: undefined, sub: 'oid-all' },
    refused('Unauthenticated'),
  ],
  ['of v1.0', { iss: `https://sts.windows.net/${TENANT}/`, appid: CLIENT, ver: '1.0' }, refused('Unauthenticated')],
  ['for Microsoft Graph', { aud: '00000003-0000-0000-c000-000000000000' }, refused('Unauthenticated')],
  ['for another audience', { aud: 'api://other' }, refused('Unauthenticated')],
  ['of another tenant', { tid: '00000000-0000-0000-0000-000000000000' }, refused('Unauthenticated')],
  ['that has expired', { exp: now - 60 }, refused('TokenExpired')],
  ['that is older than the API takes', { iat: now - 7300 }, refused('TokenExpired')],
  ['that is just not too old', { iat: now - 7100 }, decides(IN)],
  ['that was issued in the future', { iat: now + 600 }, refused('Unauthenticated')],
  ['with roles in one text', { roles: 'Kms.Approver' }, refused('Unauthenticated')],
];

let api: TestApi;
beforeAll(async () => void (api = await startTestApi({ auth: { approvalClients: [CLIENT] } })));
afterAll(() => api.close());

/** What one token is answered on one route. */
async function answer(token: string, route: RouteClass, key: string): Promise<string> {
  const [method, path, body] = ROUTES[route];
  const reply = await api.call(method, path, { token, body, headers: { 'idempotency-key': key } });
  const said = reply.status < 300 ? String(reply.status) : reply.problem().code;
  return LET_IN.includes(said) ? IN : said;
}

describe('a token', () => {
  it.each(KINDS.map((kind, index) => [...kind, index] as const))('%s', async (_what, claims, expected, index) => {
    const token = await api.tokens.of('All', ALL, claims);
    const said = await Promise.all(
      (Object.keys(ROUTES) as RouteClass[]).map(async (route) => [route, await answer(token, route, `k${index}`)]),
    );
    expect(Object.fromEntries(said)).toEqual(expected);
  });

  it('of another kind says in its header that it is none for an API', async () => {
    const token = await api.tokens.of('All', ALL, {}, 'RS256', 'logout+jwt');
    expect(await answer(token, 'read', 'k')).toBe('Unauthenticated');
    expect(await answer(await api.tokens.of('All', ALL, {}, 'RS256', 'at+jwt'), 'read', 'k')).toBe(IN);
  });

  it('for Microsoft Graph is named as such, though its signature cannot be checked', async () => {
    const token = await api.tokens.of('Olga', ALL, { aud: '00000003-0000-0000-c000-000000000000' });
    const broken = `${token.slice(0, -8)}AAAAAAAA`;
    expect((await api.call('GET', PATH, { token: broken })).problem().detail).toMatch(/Microsoft Graph/);
  });

  it('that is refused is logged with what it claims, and without itself', async () => {
    const token = await api.tokens.of('Olga', ALL, { aud: 'api://other' });
    const { requestId } = (await api.call('GET', PATH, { token })).problem();
    const line: unknown = JSON.parse(
      api.log.find((text) => text.includes(requestId) && text.includes('login refused')) ?? '{}',
    );
    expect(line).toMatchObject({
      level: 40,
      code: 'Unauthenticated',
      fault: 'audience',
      claimed: { aud: 'api://other', oid: decodeJwt(token).oid, azp: CLIENT },
    });
    for (const part of token.split('.')) expect(api.log.join('')).not.toContain(part);
  });

  it('that lacks the scope is challenged for it', async () => {
    const reply = await api.call('GET', PATH, { token: await api.tokens.of('Olga', ALL, { scp: 'User.Read' }) });
    expect(reply.status).toBe(403);
    expect(reply.headers.get('www-authenticate')).toMatch(/error="insufficient_scope"/);
  });

  it('is taken from every application for a decision when no list is set', async () => {
    const open = await startTestApi();
    const token = await open.tokens.of('Anna', [Role.Approver], { azp: 'any' });
    expect((await open.call('POST', `${PATH}:approve`, { token, body: decision })).problem().code).toBe(
      'OperationNotFound',
    );
    await open.close();
  });
});
