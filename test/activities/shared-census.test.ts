/** Censuses that plans share: on a real API server, counted by the lists of Secrets that it answers. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { KubeConnection } from '../../activities/kubernetes/connection';
import type { Running } from '../../activities/running';
import { takeCensus } from '../../activities/secrets/census';
import { countSecrets } from '../../activities/kubernetes/secret-list';
import { createSharedCensuses, type CensusOf, type SharedCensuses } from '../../activities/secrets/shared-census';
import type { Census } from '../../domain/census';
import { seedSecrets } from '../../sandbox/cluster/seed';
import { PACE, TestCluster, testRunning } from './cluster-support';

const AGE_IN_MS = 10_000;
const WANTED: Omit<CensusOf, 'count'> = { cluster: '/subscriptions/s/c1', state: 'as of now', server: 'server 1' };
const SECRETS_LIST = /^\/api\/v1\/secrets\?/;

describe('a shared census', () => {
  let c: TestCluster;
  let lists = 0;
  let clock = 0;
  let shared: SharedCensuses;
  let counting: KubeConnection;

  beforeAll(async () => {
    c = await TestCluster.start();
    await seedSecrets(c.cluster.adminKubeconfig, { count: 40, namespaces: ['team-a'] });
    const counted = (path: string): void => void (SECRETS_LIST.test(path) && lists++);
    counting = {
      ...c.connection,
      requestText: (request) => (counted(request.path), c.connection.requestText(request)),
      request: (request) => (counted(request.path), c.connection.request(request)),
    };
  });
  afterAll(() => c.stop());
  beforeEach(() => {
    [lists, clock] = [0, 0];
    shared = createSharedCensuses(AGE_IN_MS, () => clock);
  });

  const count = async (): Promise<number> => (await countSecrets(c.connection)).count;
  const take = (running: Running): Promise<Census> => takeCensus(counting, PACE, running);
  const ask = (change: Partial<CensusOf> = {}, running: Running = testRunning()): Promise<Census> =>
    shared.of({ ...WANTED, count, ...change }, running, take);
  /** How many lists one census reads. */
  const listsOfOne = async (): Promise<number> => {
    const before = lists;
    await take(testRunning());
    return lists - before;
  };

  it('is taken once for all plans that are made at the same time, and tells each how far it is', async () => {
    const one = await listsOfOne();
    expect(one).toBeGreaterThan(0);
    const running = [1, 2, 3, 4, 5].map(() => testRunning());
    const before = lists;
    const censuses = await Promise.all(running.map((each) => ask({}, each)));
    expect(lists - before).toBe(one);
    for (const census of censuses) expect(census).toMatchObject({ secrets: 40, problems: [] });
    for (const { heartbeats } of running) expect(heartbeats.at(-1)).toMatchObject({ done: 40 });
  });

  it('is given to a plan that asks a moment later, and not to one that asks when it is too old', async () => {
    await ask();
    const before = lists;
    clock = AGE_IN_MS;
    await ask();
    expect(lists).toBe(before);
    clock = AGE_IN_MS + 1;
    await ask();
    expect(lists).toBeGreaterThan(before);
  });

  it('is not given when the number of Secrets is another: who was refused for it deletes some and asks again at once', async () => {
    await c.createSecret('one-more');
    expect(await ask()).toMatchObject({ secrets: 41 });
    await c.call('DELETE', '/api/v1/namespaces/default/secrets/one-more');
    expect(await ask()).toMatchObject({ secrets: 40 });
  });

  it.each([
    ['another state of the cluster in ARM, as after a change of its KMS', { state: 'after a rotation' }],
    ['another API server under the same resource id', { server: 'server 2' }],
    ['another cluster', { cluster: '/subscriptions/s/c2' }],
  ])('is not given for %s', async (_, change) => {
    await ask();
    const before = lists;
    await ask(change);
    expect(lists).toBeGreaterThan(before);
  });

  it('is not given any more when Keyturn writes to the cluster, also to a plan that waits for it', async () => {
    const first = ask();
    const waiting = ask();
    shared.forget(WANTED.cluster);
    await Promise.all([first, waiting]);
    const one = await listsOfOne();
    expect(lists).toBe(3 * one);
  });

  it('that found something is not kept: what a person mends is looked at again at once', async () => {
    await c.createSecret('stuck');
    await c.call('PATCH', '/api/v1/namespaces/default/secrets/stuck', { metadata: { finalizers: ['test/stuck'] } });
    await c.call('DELETE', '/api/v1/namespaces/default/secrets/stuck');
    const old = (running: Running) => takeCensus(counting, PACE, running, { now: () => Date.now() + 3_600_000 });
    expect(await shared.of({ ...WANTED, count }, testRunning(), old)).toMatchObject({ finalizing: { count: 1 } });
    await c.call('PATCH', '/api/v1/namespaces/default/secrets/stuck', { metadata: { finalizers: [] } });
    expect(await shared.of({ ...WANTED, count }, testRunning(), old)).toMatchObject({
      secrets: 40,
      finalizing: { count: 0 },
    });
  });

  it('that fails, fails for the plan that began it only', async () => {
    const failing = shared.of({ ...WANTED, count }, testRunning(), () =>
      Promise.reject(new Error('the API server is away')),
    );
    const other = ask();
    await expect(failing).rejects.toThrow('is away');
    expect(await other).toMatchObject({ secrets: 40 });
  });

  it('goes on for the others when the plan that began it is canceled, and ends when all are', async () => {
    const [first, second] = [testRunning(), testRunning()];
    const signals: AbortSignal[] = [];
    const noting = (running: Running): Promise<Census> => {
      signals.push(running.signal);
      return take(running);
    };
    const canceled = shared.of({ ...WANTED, count }, first, noting);
    const other = ask({}, second);
    first.abort(new Error('canceled'));
    await expect(canceled).rejects.toThrow('canceled');
    expect(await other).toMatchObject({ secrets: 40 });
    expect(signals).toHaveLength(1);
    shared.forget(WANTED.cluster);
    const alone = testRunning();
    const last = shared.of({ ...WANTED, count }, alone, noting);
    alone.abort(new Error('canceled, too'));
    await expect(last).rejects.toThrow('canceled, too');
    expect(signals.map(({ aborted }) => aborted)).toEqual([false, true]);
  });

  it('tells the look under the lock what has changed since: only that is asked again', async () => {
    const earlier = await ask();
    await c.createSecret('made-after');
    const census = await takeCensus(counting, PACE, testRunning(), { earlier });
    expect(census).toMatchObject({ secrets: 41 });
  });
});
