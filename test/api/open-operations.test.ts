import { afterEach, describe, expect, it } from '@jest/globals';
import { isFinal } from '../../domain/operation';
import { CLUSTER, idOf, REQUEST, startTestApi, type TestApi } from './support';

let api: TestApi;
afterEach(() => api.close());

const body = (name: string) => ({ ...REQUEST, cluster: CLUSTER.replace('aks1', name) });

describe('operations that are asked for at the same time', () => {
  it('200 times with one Idempotency-Key are one operation, whatever the limit', async () => {
    api = await startTestApi({ openLimits: { perCaller: 1, perCluster: 1 } });
    const replies = await Promise.all(Array.from({ length: 200 }, () => api.ask('k1')));
    expect(replies.map(({ status }) => status)).toEqual(replies.map(() => 202));
    expect(new Set(replies.map(idOf)).size).toBe(1);
    expect(api.gateway.started).toHaveLength(1);
  });

  it('are as many for one cluster as the limit says', async () => {
    api = await startTestApi({ openLimits: { perCaller: 100, perCluster: 3 } });
    const replies = await Promise.all(Array.from({ length: 20 }, (_, index) => api.ask(`k${index}`)));
    expect(replies.filter(({ status }) => status === 202)).toHaveLength(3);
    const refused = replies.find(({ status }) => status === 429);
    expect(refused?.problem()).toMatchObject({ code: 'TooManyOperations', pointer: '/cluster', retryAfter: 60 });
    expect(refused?.headers.get('retry-after')).toBe('60');
    expect(api.gateway.started).toHaveLength(3);
    // Those of another cluster, and those that were asked for before, are not refused.
    expect((await api.ask('other', body('aks2'))).status).toBe(202);
    expect((await api.ask('other', body('aks2'))).headers.get('idempotent-replayed')).toBe('true');
  });

  it('are as many for one caller as the limit says, until one has ended', async () => {
    api = await startTestApi({ openLimits: { perCaller: 2, perCluster: 100 } });
    const [first] = [await api.ask('k1'), await api.ask('k2', body('aks2'))];
    expect((await api.ask('k3', body('aks3'))).problem()).toMatchObject({ code: 'TooManyOperations' });
    api.gateway.change(idOf(first), { status: 'Canceled' });
    expect(isFinal(api.gateway.operation(idOf(first)).status)).toBe(true);
    // The count is taken anew after two seconds.
    for (;;) {
      const { status } = await api.ask('k3', body('aks3'));
      if (status === 202) break;
      expect(status).toBe(429);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  });
});

describe('the document and its page', () => {
  it('are limited for each address', async () => {
    api = await startTestApi({ rateLimit: { limit: 2, windowInMs: 60_000 } });
    const statuses = [];
    for (const path of ['/openapi.json', '/docs', '/openapi.json', '/healthz'])
      statuses.push((await api.call('GET', path)).status);
    expect(statuses).toEqual([200, 200, 429, 200]);
  });
});
