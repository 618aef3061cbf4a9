import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { OperationView } from '../../api/operation-view';
import { ApiError } from '../../api/problem';
import { Role } from '../../domain/people';
import { CLUSTER, idOf, REQUEST, startTestApi, TENANT, type Reply, type TestApi } from './support';

let api: TestApi;
let id: string;
let digest: string;
beforeEach(async () => {
  api = await startTestApi();
  id = idOf(await api.ask('k1'));
  digest = api.gateway.planFor(id);
});
afterEach(() => api.close());

const decide = (verb: string, token: string, body: unknown = { planDigest: digest }): Promise<Reply> =>
  api.call('POST', `/v1/operations/${id}:${verb}`, { token, body });

describe('an approval', () => {
  it('of the plan that stands counts, and is answered with the operation', async () => {
    const reply = await decide('approve', api.as.anna, { planDigest: digest, comment: 'Looks right.' });
    expect(reply.status).toBe(200);
    expect(reply.json(OperationView).approvals).toMatchObject([
      { by: { objectId: 'oid-anna' }, planDigest: digest, comment: 'Looks right.' },
    ]);
    expect(api.gateway.told).toMatchObject([{ type: 'approve', decision: { roles: [Role.Approver] } }]);
  });

  it('by the requester is refused, even with the role Approver', async () => {
    const token = await api.tokens.of('Olga', [Role.Operator, Role.Approver]);
    expect((await decide('approve', token)).problem()).toMatchObject({ status: 403, code: 'RequesterCannotApprove' });
    // A changed name does not make another person.
    const renamed = await api.tokens.of('Olga', [Role.Approver], { name: 'Not Olga' });
    expect((await decide('approve', renamed)).problem().code).toBe('RequesterCannotApprove');
    // Neither does an id in other letters.
    const capital = await api.tokens.of('Olga', [Role.Approver], { oid: 'OID-OLGA', tid: TENANT.toUpperCase() });
    expect((await decide('approve', capital)).problem().code).toBe('RequesterCannotApprove');
    expect(api.gateway.told).toEqual([]);
  });

  it('by a program is refused, even with the role Approver', async () => {
    for (const claims of [{ scp: undefined, sub: 'oid-pipeline' }, { idtyp: 'app' }]) {
      const token = await api.tokens.of('pipeline', [Role.Approver], claims);
      expect((await decide('approve', token)).problem()).toMatchObject({ status: 403, code: 'ProgramCannotApprove' });
    }
  });

  it('of another plan is refused', async () => {
    const problem = (await decide('approve', api.as.anna, { planDigest: 'sha256:other' })).problem();
    expect(problem).toMatchObject({ status: 412, code: 'PlanDigestMismatch', detail: expect.stringContaining(digest) });
  });

  it('that was given before changes nothing and is answered the same, also after the operation went on', async () => {
    await decide('approve', api.as.anna);
    const again = await decide('approve', api.as.anna);
    expect(again.status).toBe(200);
    expect(again.json(OperationView).approvals).toHaveLength(1);
    api.gateway.change(id, { status: 'Running' });
    expect((await decide('approve', api.as.anna)).status).toBe(200);
    expect(api.gateway.told).toHaveLength(1);
  });

  it('has one message id for one person and plan, and another for the next plan', async () => {
    api.gateway.planFor(id, { approvals: [] });
    await decide('approve', api.as.anna);
    api.gateway.change(id, { approvals: [] });
    await decide('approve', api.as.anna);
    await decide('approve', api.as.arne);
    api.gateway.change(id, { approvals: [], planRevision: 2 });
    await decide('approve', api.as.anna);
    const ids = api.gateway.told.map((message) => ('id' in message ? message.id : ''));
    expect(ids[0]).toBe(ids[1]);
    expect(new Set(ids).size).toBe(3);
  });

  it('of an operation that does not wait is refused', async () => {
    api.gateway.change(id, { status: 'Running' });
    expect((await decide('approve', api.as.arne)).problem()).toMatchObject({
      status: 409,
      code: 'NotAwaitingApproval',
    });
  });

  it('of an operation that has ended says how it ended', async () => {
    api.gateway.change(id, {
      status: 'Failed',
      endedAt: '2026-01-01T00:00:00Z',
      reason: { code: 'KmsNotEnabled', detail: 'KMS is off.' },
    });
    const problem = (await decide('approve', api.as.anna)).problem();
    expect(problem).toMatchObject({
      status: 409,
      code: 'OperationEnded',
      detail: expect.stringMatching(/ended Failed at 2026.*KMS is off/),
    });
  });

  it('after the deadline is refused, whether the operation has ended yet or not', async () => {
    api.gateway.change(id, { approvalDeadline: new Date(Date.now() - 1000).toISOString() });
    expect((await decide('approve', api.as.anna)).problem()).toMatchObject({ status: 409, code: 'ApprovalExpired' });
    api.gateway.change(id, {
      status: 'Canceled',
      approvalDeadline: null,
      reason: { code: 'ApprovalExpired', detail: 'Nobody approved.' },
    });
    expect((await decide('approve', api.as.anna)).problem()).toMatchObject({
      code: 'ApprovalExpired',
      detail: 'Nobody approved.',
    });
    expect(api.gateway.told).toEqual([]);
  });

  it('while another operation executes on the cluster is refused by name, and not recorded', async () => {
    api.gateway.holders.set(CLUSTER, 'op-holder');
    expect((await decide('approve', api.as.anna)).problem()).toMatchObject({
      status: 409,
      code: 'ClusterBusy',
      detail: expect.stringContaining('op-holder'),
    });
    expect(api.gateway.told).toEqual([]);
    api.gateway.holders.set(CLUSTER, id);
    expect((await decide('approve', api.as.anna)).status).toBe(200);
  });

  it('of an operation that is ready to wait is taken while another one executes', async () => {
    id = idOf(await api.ask('k2', { ...REQUEST, whenBusy: 'wait' }));
    digest = api.gateway.planFor(id);
    api.gateway.holders.set(CLUSTER, 'op-holder');
    expect((await decide('approve', api.as.anna)).status).toBe(200);
  });

  it.each([
    ['no digest', {}, '/planDigest'],
    ['an unknown member', { planDigest: 'x', force: true }, '/force'],
    ['a comment that is too long', { planDigest: 'x', comment: 'x'.repeat(501) }, '/comment'],
  ])('with %s is refused', async (_what, body, pointer) => {
    expect((await decide('approve', api.as.anna, body)).problem()).toMatchObject({
      status: 400,
      code: 'InvalidRequest',
      pointer,
    });
  });

  it('is not lost in silence when no worker answers', async () => {
    api.gateway.tell = () => Promise.reject(new ApiError({ code: 'WorkerUnavailable', detail: 'No worker.' }));
    const reply = await decide('approve', api.as.anna);
    expect(reply.problem()).toMatchObject({ status: 503, code: 'WorkerUnavailable', retryAfter: 5 });
  });

  it('that comes while the operation ends is told so', async () => {
    api.gateway.tell = () => {
      api.gateway.change(id, { status: 'Canceled', reason: { code: 'Denied', detail: 'Arne denied the plan.' } });
      return Promise.resolve('ended');
    };
    expect((await decide('approve', api.as.anna)).problem()).toMatchObject({
      code: 'OperationEnded',
      detail: expect.stringContaining('Arne denied'),
    });
  });

  it('of an unknown operation is refused', async () => {
    id = 'op-00000000000000000000000000';
    expect((await decide('approve', api.as.anna)).problem()).toMatchObject({ status: 404, code: 'OperationNotFound' });
    id = 'cluster-00000000000000000000000000';
    expect((await decide('approve', api.as.anna)).problem().code).toBe('OperationNotFound');
  });
});

describe('a denial', () => {
  it('ends the operation', async () => {
    expect((await decide('deny', api.as.anna)).json(OperationView).status).toBe('Canceled');
  });

  it('is open to the requester who holds the role', async () => {
    const token = await api.tokens.of('Olga', [Role.Operator, Role.Approver]);
    expect((await decide('deny', token)).status).toBe(200);
  });

  it('of another plan is refused', async () => {
    expect((await decide('deny', api.as.anna, { planDigest: 'sha256:other' })).problem().code).toBe(
      'PlanDigestMismatch',
    );
  });

  it('does not care who executes on the cluster', async () => {
    api.gateway.holders.set(CLUSTER, 'op-holder');
    expect((await decide('deny', api.as.anna)).status).toBe(200);
  });
});

describe('a running operation', () => {
  it.each(['olga', 'anna'] as const)('can be canceled by %s, with or without a body', async (who) => {
    expect((await api.call('POST', `/v1/operations/${id}:cancel`, { token: api.as[who] })).status).toBe(200);
    expect(api.gateway.told).toMatchObject([{ type: 'cancel' }]);
    expect((await decide('cancel', api.as[who], { comment: 'again' })).problem().code).toBe('OperationEnded');
  });

  it('cannot be steered by a reader', async () => {
    for (const verb of ['cancel', 'retry', 'deny', 'approve'])
      expect((await decide(verb, api.as.rita, {})).problem().code).toBe('RoleMissing');
  });

  it('is tried again when it is blocked, and only then', async () => {
    expect((await decide('retry', api.as.olga, {})).problem()).toMatchObject({ status: 409, code: 'NotBlocked' });
    api.gateway.change(id, { status: 'Blocked' });
    expect((await decide('retry', api.as.olga, {})).json(OperationView).status).toBe('Running');
    api.gateway.change(id, { status: 'Succeeded' });
    expect((await decide('retry', api.as.olga, {})).problem().code).toBe('OperationEnded');
    expect((await decide('retry', api.as.olga, { force: true })).problem()).toMatchObject({
      code: 'InvalidRequest',
      pointer: '/force',
    });
  });
});
