import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { OperationView } from '../../api/operation-view';
import { pausedFor, pauseFault } from '../../domain/pause';
import { idOf, startTestApi, type TestApi } from './support';

let api: TestApi;
let id: string;
beforeEach(async () => {
  api = await startTestApi();
  id = idOf(await api.ask('k1'));
  api.gateway.change(id, { status: 'Running', offers: ['pause', 'cancel'] });
});
afterEach(() => api.close());

const post = (verb: string, token: string, body: unknown = {}) =>
  api.call('POST', `/v1/operations/${id}:${verb}`, { token, body });
const ids = () => api.gateway.told.map((message) => message.id);

describe('a pause', () => {
  it('is asked for by an operator or approver, with a reason, and not by a reader', async () => {
    expect((await post('pause', api.as.rita)).problem()).toMatchObject({ status: 403, code: 'RoleMissing' });
    const reply = await post('pause', api.as.anna, { reason: 'Freeze.' });
    expect(reply.json(OperationView)).toMatchObject({ paused: { by: { name: 'Anna' }, reason: 'Freeze.' } });
    expect(api.gateway.told).toMatchObject([{ type: 'pause', by: { name: 'Anna' }, reason: 'Freeze.' }]);
  });

  it('counts once, however often it is sent, and after its end it is another one', async () => {
    await post('pause', api.as.olga);
    expect((await post('pause', api.as.olga)).status).toBe(200);
    expect((await post('pause', api.as.anna)).problem()).toMatchObject({ status: 409, code: 'NotPausable' });
    await post('resume', api.as.anna);
    expect((await post('resume', api.as.anna)).problem()).toMatchObject({ status: 409, code: 'NotPaused' });
    api.gateway.change(id, { offers: ['pause', 'cancel'] });
    await post('pause', api.as.olga);
    await post('resume', api.as.anna);
    expect(api.gateway.told.map(({ type }) => type)).toEqual(['pause', 'resume', 'pause', 'resume']);
    expect(new Set(ids()).size).toBe(4);
  });

  it.each(['Planning', 'AwaitingApproval', 'Blocked'] as const)('is refused while it is %s', async (status) => {
    api.gateway.change(id, { status, offers: ['cancel'] });
    expect((await post('pause', api.as.olga)).problem()).toMatchObject({
      status: 409,
      code: 'NotPausable',
      detail: expect.stringContaining(status),
    });
    expect(api.gateway.told).toEqual([]);
  });

  it('and its end are refused when the operation has ended', async () => {
    api.gateway.change(id, { status: 'Succeeded', offers: [] });
    for (const verb of ['pause', 'resume'])
      expect((await post(verb, api.as.olga)).problem()).toMatchObject({ code: 'OperationEnded' });
  });

  it('says who paused, why, and what it means for the keys', () => {
    const by = { tenantId: 't', objectId: 'o', name: 'Anna', type: 'user' } as const;
    const pause = { by, at: '2026-01-01T00:00:00.000Z', reason: 'Freeze' };
    expect(pausedFor(pause)).toBe(
      'a person: Anna paused the operation at 2026-01-01T00:00:00.000Z: Freeze. Nothing is written until then, and the operation keeps the lock of the cluster. Keep every key listed under keysNeeded. `resume` the operation, or `cancel` it.',
    );
    expect(pauseFault({ id: 'op-1', status: 'Paused', offers: ['resume', 'cancel'], paused: pause })?.detail).toContain(
      'Anna paused operation op-1 already',
    );
  });
});
