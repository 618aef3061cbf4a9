import { describe, expect, it } from '@jest/globals';
import { couldApply, couldChange, describeChanging, matchesSecretUpdate } from '../../domain/admission';

const rule = { apiGroups: [''], apiVersions: ['v1'], operations: ['UPDATE'], resources: ['secrets'] };
const none = { changing: [], denying: [], unread: [] };

describe('a rule of a webhook or policy', () => {
  it.each([
    rule,
    { ...rule, apiGroups: ['apps', '*'] },
    { ...rule, apiVersions: ['*'] },
    { ...rule, operations: ['CREATE', '*'] },
    { ...rule, resources: ['*'] },
    { ...rule, resources: ['*/*'] },
    { ...rule, resources: ['secrets/*'] },
    { ...rule, scope: 'Namespaced' },
    { ...rule, scope: '*' },
  ])('matches an update of a Secret: %j', (one) => expect(matchesSecretUpdate(one)).toBe(true));

  it.each([
    {},
    { ...rule, apiGroups: ['apps'] },
    { ...rule, apiVersions: ['v2'] },
    { ...rule, operations: ['CREATE', 'DELETE'] },
    { ...rule, resources: ['configmaps'] },
    { ...rule, resources: ['secrets/status', '*/scale'] },
    { ...rule, scope: 'Cluster' },
  ])('does not: %j', (one) => expect(matchesSecretUpdate(one)).toBe(false));
});

describe('what is known of admission', () => {
  it('counts what could not be read as what could apply', () => {
    expect(couldApply(none)).toBe(false);
    expect(couldApply({ ...none, unread: ['validatingwebhookconfigurations'] })).toBe(true);
    expect(couldChange({ ...none, unread: ['validatingwebhookconfigurations'], denying: ['p'] })).toBe(false);
    expect(couldChange({ ...none, unread: ['mutatingadmissionpolicies'] })).toBe(true);
  });

  it('is told by name', () => {
    expect(describeChanging(none)).toBe('none that the cluster shows');
    expect(describeChanging({ ...none, changing: ['a', 'b'], unread: ['mutatingadmissionpolicies'] })).toBe(
      'a, b; one that Keyturn cannot see (it may not read mutatingadmissionpolicies)',
    );
  });
});
