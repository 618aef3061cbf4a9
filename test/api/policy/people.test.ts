/** Who is behind a request, who may decide on it, and what the policy asks of it. In process: the rules are those of the domain. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { OperationView } from '../../../api/operation-view';
import type { Policy } from '../../../api/policy/policy';
import { Role } from '../../../domain/people';
import { CLUSTER, HEALTHY, idOf, OF_PROGRAM, REQUEST, startTestApi, type Reply, type TestApi } from '../support';
import { changing, policyOf, SUBSCRIPTION, vaultIn } from './support';

const ALL_RIGHTS = `
version: 1
rules:
  - { name: all, who: { roles: [Kms.Operator, Kms.Approver] }, may: [request, approve], kinds: '*', scopes: '*' }
  - { name: call, who: { ids: [oid-carl] }, may: [break-glass], kinds: [rotate-key], scopes: ['${SUBSCRIPTION}'] }
`;
let policy: Policy;
let api: TestApi;
beforeEach(async () => {
  policy = policyOf(ALL_RIGHTS);
  api = await startTestApi({ access: { current: () => policy } });
});
afterEach(() => api.close());

let count = 0;
const ask = (token: string, headers: Record<string, string> = {}, body: unknown = REQUEST): Promise<Reply> =>
  api.call('POST', '/v1/operations', { token, body, headers: { 'idempotency-key': `k${(count += 1)}`, ...headers } });
const behalf = (token: string) => ({ 'Keyturn-On-Behalf-Of': `Bearer ${token}` });
const program = () => api.tokens.of('pipeline', [Role.Operator], OF_PROGRAM);
const termsOf = (reply: Reply) => {
  const { input } = api.gateway.started.find(({ operation }) => operation.id === idOf(reply)) ?? {};
  return { ...input?.policy, approvalTimeoutInMs: input?.approvalTimeoutInMs };
};
const approve = (id: string, token: string, more: object = {}): Promise<Reply> =>
  api.call('POST', `/v1/operations/${id}:approve`, { token, body: { planDigest: api.gateway.planFor(id), ...more } });

describe('a program that asks', () => {
  it('needs one approval more, or names the person who has it ask, who then cannot approve', async () => {
    expect(termsOf(await ask(await program()))).toMatchObject({ approvalsRequired: 2 });
    const both = await api.tokens.of('Anna', []);
    const named = await ask(await program(), behalf(both));
    expect(termsOf(named)).toMatchObject({ approvalsRequired: 1 });
    expect(named.json(OperationView).requestedBy).toMatchObject({
      objectId: 'oid-pipeline',
      type: 'app',
      onBehalfOf: { objectId: 'oid-anna', type: 'user' },
    });
    expect((await approve(idOf(named), api.as.anna)).problem().code).toBe('RequesterCannotApprove');
    expect((await approve(idOf(named), api.as.arne)).status).toBe(200);
  });

  it('is refused when the token of the person is none that the API takes, or no person’s', async () => {
    const cases = [
      [await api.tokens.of('Anna', [], { aud: 'api://other' }), 401, 'Unauthenticated'],
      [await api.tokens.of('Anna', [], { exp: 1 }), 401, 'TokenExpired'],
      [await api.tokens.of('other', [], OF_PROGRAM), 401, 'Unauthenticated'],
      ['nonsense', 401, 'Unauthenticated'],
    ] as const;
    for (const [token, status, code] of cases) {
      const { detail, ...problem } = (await ask(await program(), behalf(token))).problem();
      expect(problem).toMatchObject({ status, code });
      expect(detail).toMatch(/^In the header Keyturn-On-Behalf-Of: /);
    }
    expect(api.log.join('')).toContain('login refused');
    expect(api.gateway.started).toEqual([]);
  });

  it('is what the header is for: a person asks with their own token', async () => {
    const problem = (await ask(api.as.olga, behalf(api.as.anna))).problem();
    expect(problem).toMatchObject({ status: 400, code: 'InvalidRequest' });
  });
});

describe('what a request needs', () => {
  it('is what policy, tags and the request say, whichever is more', async () => {
    policy = policyOf(`${ALL_RIGHTS}
approvals:
  validForSeconds: 600
  longestWaitSeconds: 120
  more: [{ required: 2, tags: { env: prod } }]
`);
    if (!HEALTHY.cluster.found) throw new Error('unreachable');
    const terms = { approvalValidForInSeconds: 600, approvalTimeoutInMs: 120_000, scopes: ['*'] };
    expect(termsOf(await ask(api.as.olga))).toEqual({ ...terms, approvalsRequired: 1 });
    expect(termsOf(await ask(api.as.olga, {}, { ...REQUEST, approvalsRequired: 3 }))).toMatchObject({
      approvalsRequired: 3,
    });
    api.azure.says = {
      ...HEALTHY,
      cluster: { found: true, cluster: { ...HEALTHY.cluster.cluster, tags: { Env: 'prod' } } },
    };
    const less = { ...REQUEST, approvalsRequired: 1, approvalTimeoutInSeconds: 60 };
    expect(termsOf(await ask(api.as.olga, {}, less))).toEqual({
      ...terms,
      approvalsRequired: 2,
      approvalTimeoutInMs: 60_000,
    });
    // The tags themselves stay here.
    expect(JSON.stringify(api.gateway.started)).not.toContain('prod');
    await api.call('POST', '/v1/operations?validateOnly=true', { token: api.as.olga, body: REQUEST });
    expect(api.gateway.planned[0]?.policy).toEqual({
      approvalsRequired: 2,
      approvalValidForInSeconds: 600,
      scopes: ['*'],
    });
  });
});

describe('an approval of a plan that changes more than the cluster', () => {
  const [own, foreign] = [vaultIn('own'), vaultIn('foreign')];
  const planFor = (id: string, ...vaults: string[]) => api.gateway.planFor(id, {}, vaults.map(changing));
  const approvePlan = (id: string, planDigest: string, token: string) =>
    api.call('POST', `/v1/operations/${id}:approve`, { token, body: { planDigest } });

  it('names the resource to the approver who lacks the right there, is not recorded, and counts for one who has it', async () => {
    policy = policyOf(`
version: 1
rules:
  - { name: ask, who: { roles: [Kms.Operator] }, may: [request], kinds: '*', scopes: '*' }
  - { name: anna, who: { ids: [oid-anna] }, may: [approve], kinds: '*', scopes: ['${CLUSTER}', '${own}'] }
  - { name: arne, who: { ids: [oid-arne] }, may: [approve], kinds: '*', scopes: ['${SUBSCRIPTION}'] }
`);
    const id = idOf(await ask(api.as.olga));
    const digest = planFor(id, own, foreign);
    const refused = await approvePlan(id, digest, api.as.anna);
    expect(refused.problem()).toMatchObject({ status: 403, code: 'RightMissing' });
    expect(refused.problem().detail).toContain(
      `approve rotate-key on ${foreign}, which the step grant of the plan changes`,
    );
    expect(api.gateway.operation(id).approvals).toEqual([]);
    // In the log with the resource, for those who look after the policy.
    expect(api.log.join('')).toContain(foreign);
    expect((await approvePlan(id, digest, api.as.arne)).status).toBe(200);
    expect((await approvePlan(id, planFor(id, own), api.as.anna)).status).toBe(200);
  });

  it('is refused when the plan that is shown is not the plan of its digest', async () => {
    const id = idOf(await ask(api.as.olga));
    const digest = planFor(id, own);
    const { plan } = api.gateway.operation(id);
    if (plan === null) throw new Error('There is no plan.');
    api.gateway.change(id, { plan: { ...plan, steps: plan.steps.filter(({ type }) => type === 'gate') } });
    expect((await approvePlan(id, digest, api.as.anna)).problem().code).toBe('PlanDigestMismatch');
    expect(api.gateway.operation(id).approvals).toEqual([]);
  });

  it('follows a request that carries where the requester may ask, as much as there is room for', async () => {
    const rules = (scopes: readonly string[]): string =>
      `version: 1\nrules: [{ name: a, who: { ids: [oid-olga] }, may: [request], kinds: '*', scopes: [${scopes.join(', ')}] }]`;
    policy = policyOf(rules([CLUSTER, own]));
    expect(termsOf(await ask(api.as.olga))).toMatchObject({ scopes: [own.toLowerCase()] });
    expect(api.log.join('')).not.toContain('more scopes than fit');
    policy = policyOf(rules([CLUSTER, ...Array.from({ length: 100 }, (_, index) => vaultIn(`g${index}`))]));
    expect(JSON.stringify(termsOf(await ask(api.as.olga))).length).toBeLessThan(1_400);
    expect(api.log.join('')).toContain('more scopes than fit');
  });
});

describe('one person with two accounts', () => {
  const PEOPLE = `${ALL_RIGHTS}\npeople: [{ id: oid-olga, accounts: [oid-adm-olga] }]\n`;

  it('cannot approve their own request, also when the policy learned of it later', async () => {
    const admin = await api.tokens.of('adm-olga', [Role.Approver]);
    const before = idOf(await ask(await api.tokens.of('adm-olga', [Role.Operator])));
    policy = policyOf(PEOPLE);
    const after = idOf(await ask(api.as.olga));
    expect((await approve(after, admin)).problem().code).toBe('RequesterCannotApprove');
    const olga = await api.tokens.of('Olga', [Role.Approver]);
    expect((await approve(before, olga)).problem().code).toBe('RequesterCannotApprove');
    expect(api.gateway.told).toEqual([]);
  });
});

describe('break-glass', () => {
  const breakGlass = { reason: 'The cluster is down.' };
  const carl = () => api.tokens.of('Carl', [Role.BreakGlass]);

  it('needs the role and the right, and is recorded and loud', async () => {
    const id = idOf(await ask(api.as.olga));
    const reply = await approve(id, await carl(), { breakGlass });
    expect(reply.json(OperationView).approvals).toMatchObject([{ by: { objectId: 'oid-carl' }, breakGlass }]);
    expect(reply.json(OperationView).progressText).toMatch(/Warning: break-glass.*Carl/);
    const line: unknown = JSON.parse(api.log.find((text) => text.includes('BREAK-GLASS')) ?? '{}');
    expect(line).toMatchObject({
      level: 50,
      operationId: id,
      by: 'oid-carl',
      reason: breakGlass.reason,
      cluster: CLUSTER,
    });
  });

  it('without one of the two, without a reason, or as a denial is refused', async () => {
    const id = idOf(await ask(api.as.olga));
    const code = async (token: string, more: object) => (await approve(id, token, more)).problem().code;
    expect(await code(api.as.anna, { breakGlass })).toBe('RoleMissing');
    const both = await api.tokens.of('Anna', [Role.BreakGlass, Role.Approver]);
    expect(await code(both, { breakGlass })).toBe('RightMissing');
    expect(await code(await carl(), {})).toBe('RoleMissing');
    expect(await code(await carl(), { breakGlass: { reason: ' ' } })).toBe('InvalidRequest');
    const denial = { planDigest: api.gateway.planFor(id), breakGlass };
    const denied = await api.call('POST', `/v1/operations/${id}:deny`, { token: api.as.anna, body: denial });
    expect(denied.problem().code).toBe('InvalidRequest');
    expect(api.gateway.told).toEqual([]);
  });
});

it('a right that was taken away ends with the next request, also for the requester', async () => {
  const id = idOf(await ask(api.as.olga));
  const cancel = () => api.call('POST', `/v1/operations/${id}:cancel`, { token: api.as.olga, body: {} });
  policy = policyOf('version: 1\nrules: []');
  expect((await cancel()).problem().code).toBe('OperationNotFound');
  expect((await approve(id, api.as.anna)).problem().code).toBe('OperationNotFound');
  // Not even the operation that their Idempotency-Key stands for.
  expect((await ask(api.as.olga, { 'idempotency-key': `k${count}` })).problem().code).toBe('ClusterNotFound');
  policy = policyOf(ALL_RIGHTS);
  expect((await cancel()).status).toBe(200);
});
