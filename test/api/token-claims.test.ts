/** Who a token speaks for: Entra's, and those of other issuers as their documentation shows them. */
import { describe, expect, it } from '@jest/globals';
import type { JWTPayload } from 'jose';
import type { TokenRules } from '../../api/auth-settings';
import { LoginRefused } from '../../api/login-refused';
import { callerOf } from '../../api/token-claims';
import { AUTH, TENANT } from './support';

const ISSUER = 'https://id.example/';
const RULES: TokenRules = {
  ...AUTH,
  issuer: ISSUER,
  tenantId: undefined,
  scope: 'keyturn',
  claims: { subject: 'sub', roles: 'realm_access.roles', groups: 'groups' },
  groupsOf: { ...AUTH.groupsOf, 'Kms.Approver': ['key-owners'] },
};
const PERSON: JWTPayload = { iss: ISSUER, sub: 'Anna-1', azp: 'portal', scope: 'openid keyturn', name: 'Anna' };

const read = (claims: JWTPayload): unknown => {
  try {
    const { person, roles, clientId } = callerOf({ ...PERSON, ...claims }, RULES);
    return [person.type, roles, clientId];
  } catch (error) {
    if (error instanceof LoginRefused) return error.fault;
    throw error;
  }
};

describe('the caller of a token of Entra', () => {
  it('has ids in lower case, however the token writes them', () => {
    const claims = { tid: TENANT.toUpperCase(), oid: '0A1B-OID', sub: 's', scp: 'access_as_user', name: 'Anna' };
    expect(callerOf(claims, AUTH).person).toEqual({
      tenantId: TENANT,
      objectId: '0a1b-oid',
      name: 'Anna',
      type: 'user',
    });
  });
});

describe('the caller of a token of another issuer', () => {
  it('is one of the issuer, with the subject exactly as it is', () => {
    expect(callerOf(PERSON, RULES).person).toEqual({
      tenantId: ISSUER,
      objectId: 'Anna-1',
      name: 'Anna',
      type: 'user',
    });
  });

  it.each<[string, JWTPayload, unknown]>([
    ['a person', {}, ['user', [], 'portal']],
    ['a person whose client is in client_id', { azp: undefined, client_id: 'cli' }, ['user', [], 'cli']],
    ['a person with scopes in a list', { scope: undefined, scp: ['keyturn'] }, ['user', [], 'portal']],
    ['roles in an object', { realm_access: { roles: ['Kms.Reader', 'other'] } }, ['user', ['Kms.Reader'], 'portal']],
    ['a role through a group', { groups: ['all', 'key-owners'] }, ['user', ['Kms.Approver'], 'portal']],
    ['a group that is only a part', { groups: ['key-owners-2'] }, ['user', [], 'portal']],
    ['groups in one text', { groups: 'key-owners' }, 'claims'],
    ['no subject', { sub: undefined }, 'claims'],
    ['a subject of two lines', { sub: 'a\nb' }, 'claims'],
    ['a subject that is too long', { sub: 'x'.repeat(101) }, 'claims'],
    ['an ID token', { scope: undefined, nonce: 'n' }, 'kind'],
    ['an ID token of Keycloak', { typ: 'ID' }, 'kind'],
    ['another scope', { scope: 'openid profile' }, 'scope'],
    ['a program (RFC 9068), though it has the scope', { sub: 'portal' }, ['app', [], 'portal']],
    ['a program of Auth0', { sub: 'portal@clients', scope: undefined }, ['app', [], 'portal']],
    ['a program of Auth0 by its grant', { gty: 'client-credentials' }, ['app', [], 'portal']],
    [
      'a program of Keycloak',
      { preferred_username: 'service-account-portal', scope: 'profile email' },
      ['app', [], 'portal'],
    ],
  ])('%s', (_what, claims, expected) => {
    expect(read(claims)).toEqual(expected);
  });

  it('has a name that can be shown', () => {
    const { name } = callerOf({ ...PERSON, name: `\u202EA\u0000\uD800${'😀'.repeat(200)}` }, RULES).person;
    expect(name).toBe(`A  ${'😀'.repeat(97)}`);
  });
});
