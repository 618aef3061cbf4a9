import { describe, expect, it } from '@jest/globals';
import { denialsOf } from '../../azure/roles';
import { denyingAssignments, rightsOf, type Permission } from '../../domain/identity-access';
import { plan, ruleFaults } from '../../domain/planner';
import { azure, goodKey, identityAccess, KEY_2, observation, requestOf } from './fixtures';

const KEYS = 'Microsoft.KeyVault/vaults/keys';
const SCOPE = '/subscriptions/s/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/kv1/keys/k1';
const permission = (change: Partial<Permission> = {}): Permission => ({
  name: 'a role',
  dataActions: [`${KEYS}/encrypt/action`, `${KEYS}/decrypt/action`],
  notDataActions: [],
  actions: [],
  notActions: [],
  uncertain: false,
  ...change,
});
const rights = (roles: Permission[], denials: Permission[] = []): ReturnType<typeof rightsOf> =>
  rightsOf(
    identityAccess({
      vault: { permissionModel: 'rbac' },
      roles: { known: true, value: roles },
      denials: { known: true, value: denials },
    }),
  );

describe('the rights of an identity', () => {
  it.each([
    ['both actions', [permission()], [], []],
    ['nothing', [], [], ['encrypt', 'decrypt']],
    ['patterns in any case', [permission({ dataActions: ['microsoft.keyvault/vaults/*/ACTION'] })], [], []],
    [
      'a pattern that is no regular expression',
      [permission({ dataActions: ['Microsoft.KeyVault.vaults/keys/.+'] })],
      [],
      ['encrypt', 'decrypt'],
    ],
    [
      'what one role leaves out and another gives',
      [permission({ notDataActions: [`${KEYS}/decrypt/*`] }), permission()],
      [],
      [],
    ],
    ['a denied action', [permission()], [permission({ dataActions: [`${KEYS}/decrypt/action`] })], ['decrypt']],
    [
      'a denied action that the denial leaves out',
      [permission()],
      [permission({ dataActions: ['*'], notDataActions: [`${KEYS}/*`] })],
      [],
    ],
  ])('by %s', (_what, roles, denials, missing) => {
    expect(rights(roles, denials)).toEqual({ missing, unknown: [] });
  });

  it('are unknown by a condition, and surely missing where even that gives none', () => {
    expect(rights([permission({ uncertain: true })])).toMatchObject({ missing: [], unknown: [expect.any(String)] });
    expect(rights([permission({ uncertain: true }), permission()])).toEqual({ missing: [], unknown: [] });
    expect(rights([permission()], [permission({ uncertain: true })])).toMatchObject({ unknown: [expect.any(String)] });
    expect(rights([permission({ uncertain: true, dataActions: [] })]).missing).toEqual(['encrypt', 'decrypt']);
  });
});

describe('a deny assignment', () => {
  const everyone = { id: '00000000-0000-0000-0000-000000000000', type: 'SystemDefined' };
  const own = { id: 'PRINCIPAL-1', type: 'ServicePrincipal' };
  const group = { id: 'group-1', type: 'Group' };
  const permissions = [{ dataActions: ['*'] }];
  const found = (denial: Parameters<typeof denialsOf>[0]): unknown[] =>
    denialsOf({ permissions, ...denial }, 'principal-1', SCOPE).map(({ uncertain }) => uncertain);

  it.each([
    ['of the identity', { principals: [own] }, [false]],
    ['of everyone', { principals: [everyone] }, [false]],
    ['of everyone but the identity', { principals: [everyone], excludePrincipals: [own] }, []],
    ['of everyone but a group', { principals: [everyone], excludePrincipals: [group] }, [true]],
    ['of a group', { principals: [group] }, [true]],
    ['of somebody else', { principals: [{ id: 'x', type: 'User' }] }, []],
    ['with a condition', { principals: [own], condition: 'x' }, [true]],
    [
      'above the key, not for what is below it',
      { principals: [own], doNotApplyToChildScopes: true, scope: '/subscriptions/s' },
      [],
    ],
    ['at the key alone', { principals: [own], doNotApplyToChildScopes: true, scope: SCOPE.toUpperCase() }, [false]],
  ])('%s', (_what, denial, expected) => {
    expect(found(denial)).toEqual(expected);
  });
});

it('names the deny assignments that surely take a right on keys', () => {
  const named = (...denials: Permission[]): string[] =>
    denyingAssignments(
      identityAccess({ vault: { permissionModel: 'rbac' }, denials: { known: true, value: denials } }),
    );
  const all = permission({ name: 'managed app', dataActions: ['*'] });
  expect(
    named(all, all, permission({ name: 'secrets', dataActions: ['Microsoft.KeyVault/vaults/secrets/*'] })),
  ).toEqual(['managed app']);
  expect(named(permission({ name: 'perhaps', uncertain: true }))).toEqual([]);
  expect(denyingAssignments(identityAccess({ denials: { known: false, why: 'No right.' } }))).toEqual([]);
});

describe('enable-kms', () => {
  const facts = (access: ReturnType<typeof identityAccess> | undefined) => ({
    ...azure({ cluster: { kms: { enabled: false } }, requestedKey: goodKey(KEY_2) }),
    currentKey: undefined,
    ...(access === undefined ? {} : { identityAccess: access }),
  });

  it.each([
    [
      { permissionModel: 'access-policy' as const, policyKeys: ['decrypt'] },
      /may not encrypt with .* az keyvault set-policy --name kv1 --key-permissions decrypt encrypt --object-id principal-1\. .*provision-kms with the vault kv1, the key k1 and the permission model access-policy/,
    ],
    [
      { permissionModel: 'rbac' as const },
      /may not encrypt and decrypt with .* az role assignment create --role "Key Vault Crypto User" --assignee-object-id principal-1 .*--scope \/subscriptions\/s.*vaults\/kv1\. .*provision-kms with the vault kv1, the key k1 and the permission model rbac/,
    ],
  ])('is refused without the rights, and says the command that gives them', (vault, sentence) => {
    const access = identityAccess({ vault, roles: { known: true, value: [] }, denials: { known: true, value: [] } });
    expect(ruleFaults(requestOf('enable-kms'), facts(access))).toEqual([
      { code: 'IdentityLacksKeyAccess', pointer: '/parameters/keyId', detail: expect.stringMatching(sentence) },
    ]);
  });

  it('is refused for a vault that is not open to all networks', () => {
    expect(
      ruleFaults(requestOf('enable-kms'), facts(identityAccess({ vault: { openToAllNetworks: false } }))),
    ).toMatchObject([{ code: 'VaultNotOpen', detail: expect.stringContaining('--public-network-access Enabled') }]);
  });

  it('warns where the rights are not known, with one digest for either', () => {
    const planOf = (access: ReturnType<typeof identityAccess> | undefined) => {
      const { plan: made } = plan(requestOf('enable-kms'), observation(facts(access)), { approvalsRequired: 1 });
      return { codes: made?.warnings.map(({ code }) => code), digest: made?.digest };
    };
    const unseen = { ...identityAccess(), vault: { known: false as const, why: 'Keyturn sees no vault kv1.' } };
    expect(planOf(identityAccess()).codes).toEqual(['SecretsChangeVersion']);
    expect(planOf(unseen).codes).toEqual(['IdentityRightsUnknown', 'SecretsChangeVersion']);
    expect(planOf(undefined).codes).toEqual(['IdentityRightsUnknown', 'SecretsChangeVersion']);
    expect(planOf(unseen).digest).toBe(planOf(identityAccess()).digest);
  });
});
