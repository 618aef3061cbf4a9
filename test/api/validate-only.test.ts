import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import { PlanPreview } from '../../api/routes/plan-preview';
import { CLUSTER, HEALTHY, idOf, REQUEST, startTestApi, type TestApi } from './support';

let api: TestApi;
beforeEach(async () => {
  api = await startTestApi();
  api.gateway.planFor(idOf(await api.ask('sample')));
  const { plan } = api.gateway.operation(api.gateway.started[0]?.operation.id ?? '');
  api.gateway.plans = { plan, faults: [], censusTaken: true };
});
afterEach(() => api.close());

const validate = (body: unknown = REQUEST, query = '?validateOnly=true', token = api.as.olga) =>
  api.call('POST', `/v1/operations${query}`, { token, body });

describe('a request that is only to be validated', () => {
  it('is answered with the plan, without an Idempotency-Key, and starts nothing', async () => {
    const reply = await validate();
    expect(reply.status).toBe(200);
    expect(reply.json(PlanPreview)).toEqual({ plan: api.gateway.plans.plan, censusTaken: true, waitingFor: null });
    expect(api.gateway.planned).toEqual([
      { request: { ...REQUEST, parameters: {}, whenBusy: 'refuse' }, policy: { approvalsRequired: 1, scopes: ['*'] } },
    ]);
    expect(api.gateway.started).toHaveLength(1);
    for (const header of ['operation-location', 'retry-after']) expect(reply.headers.get(header)).toBeNull();
  });

  it('is refused as the request itself would be', async () => {
    if (!HEALTHY.cluster.found) throw new Error('unreachable');
    api.azure.says = {
      ...HEALTHY,
      cluster: { found: true, cluster: { ...HEALTHY.cluster.cluster, powerState: 'Stopped' } },
    };
    const said = (reply: { text: string }) => ({ ...(JSON.parse(reply.text) as object), requestId: '' });
    const validated = await validate();
    expect(validated.problem().code).toBe('ClusterNotRunning');
    expect(said(validated)).toEqual(said(await api.ask('other')));
    expect(api.gateway.planned).toEqual([]);
  });

  it('is refused with what only the plan shows', async () => {
    const faults = [
      { code: 'SecretsUnreadable', detail: 'The API server cannot read 2 Secrets.' },
      { code: 'TooManySecretsForKmsV1', detail: 'There are 2,100 Secrets.' },
    ];
    api.gateway.plans = { plan: null, faults, censusTaken: true };
    expect((await validate()).problem()).toMatchObject({ status: 422, code: 'SecretsUnreadable', errors: faults });
  });

  it('on a busy cluster is refused, or told what it would wait for', async () => {
    api.gateway.holders.set(CLUSTER, 'op-holder');
    expect((await validate()).problem()).toMatchObject({ status: 409, code: 'ClusterBusy' });
    const waiting = (await validate({ ...REQUEST, whenBusy: 'wait' })).json(PlanPreview);
    expect(waiting).toEqual({ plan: null, censusTaken: null, waitingFor: expect.stringContaining('op-holder') });
    expect(api.gateway.planned).toEqual([]);
  });

  it('needs the role of an operator', async () => {
    expect((await validate(REQUEST, '?validateOnly=true', api.as.rita)).problem().code).toBe('RoleMissing');
  });

  it.each(['?validateonly=true', '?validateOnly=yes', '?validateOnly=true&validateOnly=true', '?dryRun=true'])(
    'starts nothing when it is misspelled: %s',
    async (query) => {
      const headers = { 'idempotency-key': 'k' };
      const reply = await api.call('POST', `/v1/operations${query}`, { token: api.as.olga, body: REQUEST, headers });
      expect(reply.problem()).toMatchObject({ status: 400, code: 'InvalidRequest' });
      expect(api.gateway.started).toHaveLength(1);
    },
  );

  it('is an ordinary request without the parameter, or with false', async () => {
    expect((await validate(REQUEST, '?validateOnly=false')).problem().code).toBe('IdempotencyKeyMissing');
    const headers = { 'idempotency-key': 'k' };
    const reply = await api.call('POST', '/v1/operations?validateOnly=false', {
      token: api.as.olga,
      body: REQUEST,
      headers,
    });
    expect(reply.status).toBe(202);
    expect(reply.json(z.looseObject({ status: z.string() })).status).toBe('Planning');
  });
});
