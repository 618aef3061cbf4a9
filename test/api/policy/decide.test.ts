import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  approvalsFor,
  isReadable,
  mayDo,
  personOf,
  readable,
  requestScopes,
  type Subject,
} from '../../../api/policy/decide';
import { RIGHTS, type Policy } from '../../../api/policy/policy';
import { clusterIn, policyOf, subject, SUBSCRIPTION } from './support';

const GROUP = '0F8FAD5B-D9CB-469F-A165-70867728950E';
const policy = policyOf(`
version: 1
rules:
  - { name: readers, who: { roles: [Kms.Reader] }, may: [read], kinds: '*', scopes: ['${SUBSCRIPTION}'] }
  - name: team
    who: { groups: ['${GROUP}'], ids: [oid-olga] }
    may: [request]
    kinds: [rotate-key]
    scopes: ['${SUBSCRIPTION}/resourceGroups/RG', '${clusterIn('other')}']
approvals:
  required: 2
  more:
    - { required: 3, tags: { Env: Prod, tier: '1' } }
    - { required: 4, kinds: [disable-kms] }
    - { required: 5, scopes: ['${clusterIn('rg', 'vault')}'], tags: { env: prod } }
people:
  - { id: oid-olga, accounts: [oid-adm-olga] }
`);
const on = (group: string, kind = 'rotate-key', name = 'aks1') => ({ cluster: clusterIn(group, name), kind });
const olga = subject();

describe('a right on what a plan changes', () => {
  const vault = `${SUBSCRIPTION}/resourceGroups/keys/providers/Microsoft.KeyVault/vaults/kv-team`;
  const own = policyOf(`
version: 1
rules:
  - { name: a, who: { ids: [oid-olga] }, may: [request], kinds: [rotate-key], scopes: ['${clusterIn('rg')}', '${vault}'] }
  - { name: b, who: { ids: [oid-olga] }, may: [approve], kinds: '*', scopes: ['${SUBSCRIPTION}/resourceGroups/approved'] }
  - { name: c, who: { ids: [oid-olga] }, may: [request], kinds: [disable-kms], scopes: ['${SUBSCRIPTION}'] }
`);

  it('is one of a rule whose scope is the resource, or is above it', () => {
    const target = { cluster: vault.toUpperCase(), kind: 'rotate-key' };
    expect(mayDo(own, olga, 'request', target)).toBe(true);
    expect(mayDo(own, olga, 'approve', target)).toBe(false);
    expect(mayDo(own, olga, 'request', { ...target, cluster: `${vault}2` })).toBe(false);
    // A vault of which only the name is known is covered by a right on everything.
    expect(mayDo(own, olga, 'request', { ...target, cluster: '' })).toBe(false);
    expect(mayDo(undefined, olga, 'request', { ...target, cluster: '' })).toBe(true);
  });

  it('travels with the request: of the kind and the right alone, and without clusters', () => {
    const of = (kind: string) => requestScopes(own, olga, on('rg', kind));
    expect(of('rotate-key')).toEqual({ scopes: [vault.toLowerCase()], left: 0 });
    expect(of('disable-kms')).toEqual({ scopes: [SUBSCRIPTION], left: 0 });
    expect(of('retire-key')).toEqual({ scopes: [], left: 0 });
    expect(requestScopes(undefined, olga, on('rg'))).toEqual({ scopes: ['*'], left: 0 });
    expect(requestScopes(own, subject({ objectId: 'oid-eve' }), on('rg'))).toEqual({ scopes: [], left: 0 });
  });

  it('gives no more clusters to read: a vault has none in it', () => {
    expect(readable(own, olga)?.map(({ scope }) => scope)).not.toContain(vault.toLowerCase());
    expect(isReadable(readable(own, olga), on('keys'))).toBe(false);
    expect(isReadable(readable(own, olga), on('rg'))).toBe(true);
  });
});

describe('a right', () => {
  it('is that of a rule for the kind and the scope', () => {
    expect(mayDo(policy, olga, 'request', on('rg'))).toBe(true);
    expect(mayDo(policy, olga, 'request', on('rg', 'disable-kms'))).toBe(false);
    expect(mayDo(policy, olga, 'approve', on('rg'))).toBe(false);
    expect(mayDo(policy, olga, 'request', on('other'))).toBe(true);
    expect(mayDo(policy, olga, 'request', on('other', 'rotate-key', 'aks2'))).toBe(false);
  });

  it('holds for whole segments of a scope, without regard to case', () => {
    expect(mayDo(policy, olga, 'request', { cluster: clusterIn('Rg').toUpperCase(), kind: 'rotate-key' })).toBe(true);
    expect(mayDo(policy, olga, 'request', on('rg2'))).toBe(false);
    expect(mayDo(policy, olga, 'request', on('other', 'rotate-key', 'aks11'))).toBe(false);
  });

  it('is by id, group or role; ids of Entra have no case, other texts do', () => {
    const nobody = subject({ objectId: 'oid-eve' });
    expect(mayDo(policy, nobody, 'request', on('rg'))).toBe(false);
    expect(mayDo(policy, { ...nobody, groups: [GROUP.toLowerCase()] }, 'request', on('rg'))).toBe(true);
    expect(mayDo(policy, { ...nobody, objectId: 'OID-olga' }, 'request', on('rg'))).toBe(false);
    expect(mayDo(policy, { ...nobody, roles: ['Kms.Reader'] }, 'read', on('any'))).toBe(true);
    expect(mayDo(policy, { ...nobody, roles: ['Kms.ReaderX'] }, 'read', on('any'))).toBe(false);
  });

  it('to ask includes the right to read the same', () => {
    expect(mayDo(policy, olga, 'read', on('rg'))).toBe(true);
    expect(mayDo(policy, olga, 'read', on('rg', 'disable-kms'))).toBe(false);
    // How a cluster stands is of no kind.
    expect(mayDo(policy, olga, 'read', { cluster: clusterIn('rg') })).toBe(true);
    expect(mayDo(policy, olga, 'read', { cluster: clusterIn('foreign') })).toBe(false);
  });

  it('is everyone’s without a policy: the roles of the token decide', () => {
    for (const right of RIGHTS) expect(mayDo(undefined, olga, right, on('any'))).toBe(true);
    expect(readable(undefined, olga)).toBeUndefined();
  });
});

describe('the approvals that a request needs', () => {
  const asked = { ...on('rg'), tags: {}, byProgram: false, atLeast: 1 };
  const prod = { env: 'PROD', TIER: '1', owner: 'x' };
  it.each([
    ['by the policy', {}, 2],
    ['by every tag of a rule', { tags: prod }, 3],
    ['by some of its tags: the rule does not apply', { tags: { env: 'prod' } }, 2],
    ['by its kind', { ...on('rg', 'disable-kms'), tags: prod }, 4],
    ['by scope and tag', { ...on('rg', 'rotate-key', 'vault'), tags: prod }, 5],
    ['by the setting, when that is more', { atLeast: 3 }, 3],
    ['of a program that names no person: one more', { byProgram: true }, 3],
    ['by itself, when it asks for more', { asked: 6 }, 6],
    ['when it asks for less: no fewer', { asked: 1, tags: prod }, 3],
  ])('%s', (_what, change, expected) => {
    expect(approvalsFor(policy, { ...asked, ...change })).toBe(expected);
  });

  it('without a policy are those of the setting, and one more for a program', () => {
    expect(approvalsFor(undefined, { ...asked, atLeast: 1 })).toBe(1);
    expect(approvalsFor(undefined, { ...asked, atLeast: 1, byProgram: true })).toBe(2);
  });
});

it('a second account belongs to the person whom the policy names', () => {
  expect(personOf(policy, 'OID-ADM-OLGA')).toBe('oid-olga');
  expect(personOf(policy, 'oid-olga')).toBeUndefined();
  expect(personOf(undefined, 'oid-adm-olga')).toBeUndefined();
});

describe('any policy', () => {
  const kinds = ['rotate-key', 'disable-kms', 'retire-key'];
  const clusters = ['a', 'b'].flatMap((group) => ['x', 'y'].map((name) => clusterIn(group, name)));
  const scope = fc.constantFrom('*', SUBSCRIPTION, `${SUBSCRIPTION}/resourceGroups/a`, ...clusters);
  const ruleArbitrary = fc.record({
    name: fc.constant('r'),
    who: fc.record({ roles: fc.subarray(['R1', 'R2']), groups: fc.subarray(['g1']), ids: fc.subarray(['o1', 'o2']) }),
    may: fc.subarray([...RIGHTS], { minLength: 1 }),
    kinds: fc.oneof(fc.constant(['*']), fc.subarray(kinds, { minLength: 1 })),
    scopes: fc.array(scope, { minLength: 1, maxLength: 3 }),
  });
  const policies = fc
    .array(ruleArbitrary, { maxLength: 6 })
    .map((rules) => ({ version: 1, rules, approvals: { more: [] }, people: [] }) as unknown as Policy);
  const subjects: fc.Arbitrary<Subject> = fc.record({
    objectId: fc.constantFrom('o1', 'o2', 'o3'),
    roles: fc.subarray(['R1', 'R2']),
    groups: fc.subarray(['g1', 'g2']),
  });
  const targets = fc.record({ cluster: fc.constantFrom(...clusters), kind: fc.constantFrom(...kinds) });

  it('lets a list show exactly what may be read one by one', () => {
    fc.assert(
      fc.property(policies, subjects, targets, (some, who, target) => {
        expect(isReadable(readable(some, who), target)).toBe(mayDo(some, who, 'read', target));
      }),
    );
  });

  it('gives with one rule more no right less, and without rules none', () => {
    fc.assert(
      fc.property(
        policies,
        ruleArbitrary,
        subjects,
        targets,
        fc.constantFrom(...RIGHTS),
        (some, more, who, on, right) => {
          const grown = { ...some, rules: [...some.rules, more] } as Policy;
          if (mayDo(some, who, right, on)) expect(mayDo(grown, who, right, on)).toBe(true);
          if (mayDo(some, who, right, on)) expect(mayDo(some, who, 'read', on)).toBe(true);
          expect(mayDo({ ...some, rules: [] }, who, right, on)).toBe(false);
        },
      ),
    );
  });

  it('never demands fewer approvals than the setting, the policy or the request does', () => {
    const number = fc.integer({ min: 1, max: 5 });
    fc.assert(
      fc.property(number, number, number, fc.boolean(), targets, (required, atLeast, asked, byProgram, target) => {
        const some = { version: 1, rules: [], people: [], approvals: { required, more: [] } } as unknown as Policy;
        const needed = approvalsFor(some, { ...target, tags: {}, byProgram, asked, atLeast });
        expect(needed).toBeGreaterThanOrEqual(Math.max(required, atLeast, asked));
        if (byProgram) expect(needed).toBeGreaterThan(Math.max(required, atLeast));
      }),
    );
  });
});
