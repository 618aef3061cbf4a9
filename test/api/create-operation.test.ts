import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { OperationView } from '../../api/operation-view';
import { ApiError } from '../../api/problem';
import { Role } from '../../domain/people';
import { CLUSTER, HEALTHY, idOf, KEY, OF_PROGRAM, REQUEST, startTestApi, type TestApi } from './support';

let api: TestApi;
beforeEach(async () => void (api = await startTestApi({ temporalUiUrl: 'http://127.0.0.1:8233' })));
afterEach(() => api.close());

describe('a request for an operation', () => {
  it('is answered with the operation, and where to see how it stands', async () => {
    const reply = await api.ask('k1');
    const view = reply.json(OperationView);
    expect(reply.status).toBe(202);
    expect(view).toMatchObject({
      status: 'Planning',
      kind: 'rotate-key',
      requestedBy: { objectId: 'oid-olga', type: 'user' },
      plan: null,
    });
    expect(view.id).toMatch(/^op-[0-9a-f]{26}$/);
    expect(view.request).toEqual({ ...REQUEST, parameters: {}, whenBusy: 'refuse' });
    expect(view.progressText).toContain('Planning');
    expect(reply.headers.get('operation-location')).toBe(`${api.url}/v1/operations/${view.id}`);
    expect(reply.headers.get('retry-after')).toBe('2');
    expect(reply.headers.get('idempotent-replayed')).toBeNull();
    expect(view.links).toMatchObject({
      self: `${api.url}/v1/operations/${view.id}`,
      approve: `${api.url}/v1/operations/${view.id}:approve`,
      evidence: `${api.url}/v1/operations/${view.id}/evidence`,
      temporalUi: `http://127.0.0.1:8233/namespaces/default/workflows/${view.id}`,
    });
    expect(api.gateway.started[0]?.input).toMatchObject({
      policy: { approvalsRequired: 1 },
      approvalTimeoutInMs: 3_600_000,
    });
  });

  it('may say how long it waits for approval', async () => {
    await api.ask('k1', { ...REQUEST, approvalTimeoutInSeconds: 60 });
    expect(api.gateway.started[0]?.input.approvalTimeoutInMs).toBe(60_000);
  });

  it('by a program is taken, and known to be one', async () => {
    const token = await api.tokens.of('pipeline', [Role.Operator], OF_PROGRAM);
    const reply = await api.call('POST', '/v1/operations', {
      token,
      body: REQUEST,
      headers: { 'idempotency-key': 'k1' },
    });
    expect(reply.json(OperationView).requestedBy.type).toBe('app');
  });

  it('that was sent before is the same operation, and Azure is not asked again', async () => {
    const first = await api.ask('k1');
    api.gateway.planFor(idOf(first));
    const again = await api.ask('k1', { change: REQUEST.change, cluster: CLUSTER, kind: 'rotate-key' });
    expect(idOf(again)).toBe(idOf(first));
    expect(again.status).toBe(202);
    expect(again.headers.get('idempotent-replayed')).toBe('true');
    expect(again.json(OperationView).status).toBe('AwaitingApproval');
    expect({ started: api.gateway.started.length, asked: api.azure.asked }).toEqual({ started: 1, asked: 1 });
  });

  it('that was sent before is answered even when the cluster is busy with it', async () => {
    const first = await api.ask('k1');
    api.gateway.holders.set(CLUSTER, idOf(first));
    expect((await api.ask('k1')).status).toBe(202);
  });

  it('with the same key from somebody else is another operation', async () => {
    const token = await api.tokens.of('Otto', [Role.Operator]);
    const other = await api.call('POST', '/v1/operations', {
      token,
      body: REQUEST,
      headers: { 'idempotency-key': 'k1' },
    });
    expect(idOf(other)).not.toBe(idOf(await api.ask('k1')));
  });

  it('with a used key and another body is refused', async () => {
    const first = await api.ask('k1');
    const problem = (await api.ask('k1', { ...REQUEST, change: { number: 'CHG2' } })).problem();
    expect(problem).toMatchObject({
      status: 422,
      code: 'IdempotencyKeyReused',
      detail: expect.stringContaining(idOf(first)),
    });
  });

  it('that is sent twice at the same moment starts one operation, and both get it', async () => {
    const replies = await Promise.all([api.ask('k1'), api.ask('k1'), api.ask('k1')]);
    expect(new Set(replies.map(idOf)).size).toBe(1);
    expect(replies.map(({ status }) => status)).toEqual([202, 202, 202]);
    expect(api.gateway.started).toHaveLength(1);
  });

  it.each([
    ['no key', {}, 'IdempotencyKeyMissing'],
    ['an empty key', { 'idempotency-key': '' }, 'IdempotencyKeyInvalid'],
    ['a key with a space', { 'idempotency-key': 'a b' }, 'IdempotencyKeyInvalid'],
    ['a key of 129 characters', { 'idempotency-key': 'x'.repeat(129) }, 'IdempotencyKeyInvalid'],
  ])('with %s is refused', async (_what, headers, code) => {
    const reply = await api.call('POST', '/v1/operations', { token: api.as.olga, body: REQUEST, headers });
    expect(reply.problem()).toMatchObject({ status: 400, code });
  });

  it('with a key of 128 characters is taken', async () => {
    expect((await api.ask('x'.repeat(128))).status).toBe(202);
  });

  it('is refused with every precondition that does not hold, each pointing at its member', async () => {
    if (!HEALTHY.cluster.found) throw new Error('unreachable');
    api.azure.says = {
      ...HEALTHY,
      cluster: {
        found: true,
        cluster: { ...HEALTHY.cluster.cluster, powerState: 'Stopped', identityType: 'SystemAssigned' },
      },
      requestedKey: {
        found: true,
        key: { keyId: KEY, keyType: 'EC', operations: ['encrypt', 'decrypt'], enabled: false },
      },
    };
    const reply = await api.ask('k1', { ...REQUEST, parameters: { keyId: KEY } });
    const problem = reply.problem();
    expect(problem).toMatchObject({ status: 422, code: 'ClusterNotRunning', pointer: '/cluster' });
    expect(problem.errors.map(({ code, pointer }) => [code, pointer])).toEqual([
      ['ClusterNotRunning', '/cluster'],
      ['ClusterIdentityUnsupported', '/cluster'],
      ['KeyAlreadyCurrent', '/parameters/keyId'],
      ['KeyDisabled', '/parameters/keyId'],
      ['KeyTypeUnsupported', '/parameters/keyId'],
    ]);
    // One of them needs another request, so that repeating this one is pointless.
    expect(reply.headers.get('retry-after')).toBeNull();
    expect(api.gateway.started).toHaveLength(0);
  });

  it('on a busy cluster is refused by name, without asking Azure', async () => {
    api.gateway.holders.set(CLUSTER, 'op-holder');
    const reply = await api.ask('k1');
    expect(reply.problem()).toMatchObject({
      status: 409,
      code: 'ClusterBusy',
      detail: expect.stringContaining('op-holder'),
      retryAfter: 30,
    });
    expect(api.azure.asked).toBe(0);
  });

  it('on a busy cluster is taken when it is ready to wait', async () => {
    api.gateway.holders.set(CLUSTER, 'op-holder');
    expect((await api.ask('k1', { ...REQUEST, whenBusy: 'wait' })).status).toBe(202);
  });

  it('on a cluster that another operation disables is taken when it is ready to wait', async () => {
    if (!HEALTHY.cluster.found) throw new Error('unreachable');
    const off = { ...HEALTHY.cluster.cluster, kms: { ...HEALTHY.cluster.cluster.kms, enabled: false } };
    api.azure.says = { ...HEALTHY, cluster: { ...HEALTHY.cluster, cluster: off } };
    expect((await api.ask('k0', { ...REQUEST, whenBusy: 'wait' })).problem()).toMatchObject({ code: 'KmsNotEnabled' });
    api.gateway.holders.set(CLUSTER, 'op-holder');
    expect((await api.ask('k1', { ...REQUEST, whenBusy: 'wait' })).status).toBe(202);
  });

  it('is not taken while Azure does not answer, and can be repeated', async () => {
    api.azure.says = new Error('getaddrinfo ENOTFOUND management.azure.com, Bearer abc');
    const reply = await api.ask('k1');
    expect(reply.problem()).toMatchObject({ status: 503, code: 'AzureUnavailable' });
    expect(reply.text).not.toContain('ENOTFOUND');
    expect(api.log.join('')).toContain('ENOTFOUND');
    api.azure.says = HEALTHY;
    expect((await api.ask('k1')).status).toBe(202);
  });

  it('is not taken while Temporal does not answer', async () => {
    api.gateway.outage = new ApiError({ code: 'TemporalUnavailable', detail: 'Temporal did not answer in time.' });
    const reply = await api.ask('k1');
    expect(reply.problem()).toMatchObject({ status: 503, code: 'TemporalUnavailable', retryAfter: 5 });
    expect(reply.headers.get('retry-after')).toBe('5');
  });
});
