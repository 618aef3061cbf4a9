/** How fast a rewrite may be: never above a ceiling, and less when others feel it. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { setMaxListeners } from 'node:events';
import { guardingLatency } from '../../activities/secrets/latency-guard';
import { Pacer } from '../../activities/secrets/pacer';
import { takeCensus } from '../../activities/secrets/census';
import { seedSecrets } from '../../sandbox/cluster/seed';
import { eventually } from '../sandbox/cluster-support';
import { PACE, TestCluster, testRunning } from './cluster-support';

describe('a pacer with a ceiling', () => {
  it('starts requests in an even row, however many may be under way', async () => {
    const pacer = new Pacer({ inFlight: 32, perSecond: 50 });
    const { signal } = new AbortController();
    setMaxListeners(0, signal);
    const startedAt = performance.now();
    const starts = await Promise.all(
      Array.from({ length: 21 }, () => pacer.run(async () => performance.now() - startedAt, signal)),
    );
    // 20 intervals of 20 ms lie between the first and the last; timers may be a millisecond early.
    expect(Math.max(...starts)).toBeGreaterThanOrEqual(20 * 20 - 5);
    for (const [index, start] of starts.entries()) expect(start).toBeGreaterThanOrEqual(index * 20 - 5);
  });
});

describe('a rewrite on a real cluster', () => {
  let c: TestCluster;
  beforeAll(async () => {
    c = await TestCluster.start();
    await seedSecrets(c.cluster.adminKubeconfig, { count: 60, namespaces: ['team-a'] });
  });
  afterAll(() => c.stop());

  it('keeps to the ceiling of the cluster', async () => {
    const startedAt = performance.now();
    await takeCensus(c.connection, { ...PACE, perSecond: 60 }, testRunning());
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(950);
  });

  it('allows fewer requests while others wait longer than they may, and more when they do not', async () => {
    // Far above what a busy machine adds by itself.
    const [idle, slow] = [30, 200];
    const pacer = new Pacer(PACE);
    const { signal } = testRunning();
    c.cluster.setLatency(idle);
    await guardingLatency({ connection: c.connection, pacer, latencyLimit: 4, signal }, async () => {
      await eventually(() => pacer.allowed >= 6);
      c.cluster.setLatency(slow);
      await eventually(() => pacer.allowed === 1);
      c.cluster.setLatency(idle);
      await eventually(() => pacer.allowed >= 4);
    });
  });
});
