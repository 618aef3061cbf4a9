/** Which webhooks keep a cluster from stopping, or from starting again. */
import { describe, expect, it } from '@jest/globals';
import { hindranceOf, Webhook } from '../../domain/stop-hindrances';

const LABELS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'kube-system': { 'kubernetes.io/metadata.name': 'kube-system', 'kubernetes.azure.com/managedby': 'aks' },
  'kube-node-lease': { 'kubernetes.io/metadata.name': 'kube-node-lease' },
  policies: { 'kubernetes.io/metadata.name': 'policies' },
};
const webhook = (rule: object, rest: object = {}): Webhook =>
  Webhook.parse({
    name: 'deny.example.com',
    failurePolicy: 'Fail',
    clientConfig: { service: { namespace: 'policies', name: 'policies' } },
    rules: [
      { apiGroups: [''], apiVersions: ['*'], operations: ['CREATE'], resources: ['configmaps'], scope: '*' },
      rule,
    ],
    ...rest,
  });
const hindrance = (rule: object, rest?: object): string | undefined =>
  hindranceOf(
    webhook({ apiVersions: ['*'], operations: ['CREATE', 'UPDATE'], scope: '*', ...rule }, rest),
    (one) => LABELS[one],
  );
const byUrl = { clientConfig: { url: 'https://policies.example.com' } };
const notIn = (...values: string[]): object => ({
  namespaceSelector: { matchExpressions: [{ key: 'kubernetes.io/metadata.name', operator: 'NotIn', values }] },
});

describe('AKS refuses the stop because of a webhook with wildcards', () => {
  it.each([
    ['in both', { apiGroups: ['*'], resources: ['*'] }],
    ['in both, subresources too', { apiGroups: ['*'], resources: ['*/*'] }],
    ['in the groups, for nodes', { apiGroups: ['*'], resources: ['nodes'] }],
    ['in the resources, of the group of leases', { apiGroups: ['coordination.k8s.io'], resources: ['*'] }],
    ['for deletions only', { apiGroups: ['*'], resources: ['*'], operations: ['DELETE'] }],
  ])('%s, also when its program runs elsewhere', (_what, rule) => {
    for (const rest of [{}, byUrl])
      expect(hindrance(rule, rest)).toBe('has wildcards in rule 2, for which AKS refuses the stop');
  });

  it('unless it need not answer, or is narrowed to namespaces', () => {
    const everything = { apiGroups: ['*'], resources: ['*'] };
    expect(hindrance(everything, { failurePolicy: 'Ignore' })).toBeUndefined();
    expect(hindrance({ ...everything, scope: 'Namespaced' })).toMatch(/wildcards/);
    expect(hindrance(everything, notIn('kube-system'))).toMatch(/wildcards/);
    expect(hindrance({ ...everything, scope: 'Namespaced' }, { ...byUrl, ...notIn('kube-system') })).toBeUndefined();
    expect(hindrance({ apiGroups: ['*'], resources: ['configmaps'] }, byUrl)).toBeUndefined();
    expect(hindrance({ apiGroups: ['apps'], resources: ['*'] }, byUrl)).toBeUndefined();
  });
});

describe('a cluster does not start because of a webhook that runs in it', () => {
  it.each([
    ['nodes', { apiGroups: [''], resources: ['nodes'] }],
    ['nodes/status', { apiGroups: [''], resources: ['nodes/status'] }],
    ['certificatesigningrequests', { apiGroups: ['certificates.k8s.io'], resources: ['certificatesigningrequests'] }],
    ['leases', { apiGroups: ['coordination.k8s.io'], resources: ['leases'] }],
    ['pods', { apiGroups: [''], resources: ['pods'] }],
  ])('and matches %s, but not when it runs elsewhere', (what, rule) => {
    expect(hindrance(rule)).toBe(`must answer before a starting cluster can write ${what}, and runs in the cluster`);
    expect(hindrance(rule, byUrl)).toBeUndefined();
    expect(hindrance({ ...rule, operations: ['DELETE'] })).toBeUndefined();
    expect(hindrance(rule, { failurePolicy: 'Ignore' })).toBeUndefined();
  });

  it('and matches pods of kube-system or of itself', () => {
    const pods = { apiGroups: [''], resources: ['pods'] };
    expect(hindrance(pods, notIn('kube-system'))).toMatch(/pods/);
    expect(hindrance(pods, notIn('policies'))).toMatch(/pods/);
    expect(hindrance(pods, notIn('kube-system', 'policies'))).toBeUndefined();
    expect(hindrance(pods, { namespaceSelector: { matchLabels: { injection: 'enabled' } } })).toBeUndefined();
    // Labels that could not be read may match.
    expect(
      hindranceOf(webhook({ ...pods, operations: ['*'] }, notIn('kube-system', 'policies')), () => undefined),
    ).toMatch(/pods/);
  });

  it('but not when it matches objects with a label of its users only; a namespace selector leaves out no node', () => {
    const nodes = { apiGroups: [''], resources: ['nodes'] };
    const optIn = { objectSelector: { matchExpressions: [{ key: 'denied-with', operator: 'Exists' }] } };
    const optOut = { objectSelector: { matchExpressions: [{ key: 'skip', operator: 'DoesNotExist' }] } };
    expect(hindrance(nodes, optIn)).toBeUndefined();
    expect(hindrance(nodes, optOut)).toMatch(/nodes/);
    expect(hindrance(nodes, notIn('kube-system', 'policies'))).toMatch(/nodes/);
    expect(hindrance({ ...nodes, scope: 'Namespaced' })).toBeUndefined();
  });
});
