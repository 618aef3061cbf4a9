/** A rewrite through an API server that is busy, flaky or gone: the real one, with faults put in front of it. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { removeCanaries, takeBaseline } from '../../activities/canaries';
import { awaitConvergence } from '../../activities/convergence';
import { toFailure } from '../../activities/failures';
import type { KubeConnection, KubeRequest } from '../../activities/kubernetes/connection';
import { KubeError } from '../../activities/kubernetes/errors';
import { rewriteSecrets } from '../../activities/secrets/rewrite';
import type { ProofBounds } from '../../domain/proof';
import { seedSecrets } from '../../sandbox/cluster/seed';
import { LIMITS, PACE, TestCluster, testRunning } from './cluster-support';

type Send = (request: KubeRequest) => Promise<unknown>;

describe('a rewrite', () => {
  let c: TestCluster;
  let round = 0;
  beforeAll(async () => {
    c = await TestCluster.start();
    await seedSecrets(c.cluster.adminKubeconfig, { count: 60, namespaces: ['team-a'] });
  });
  afterAll(() => c.stop());

  const latest = (): string => `op-faults${String(round).padStart(6, '0')}`;
  const switched = async (): Promise<ProofBounds> => {
    round++;
    const operationId = latest();
    const baseline = await takeBaseline(c.connection, operationId);
    await c.switchKey();
    const input = { target: c.target, operationId, baseline };
    const { convergedRv, method } = await awaitConvergence(c.connection, input, testRunning(), LIMITS);
    await removeCanaries(c.connection, operationId);
    return { baselineRv: baseline.baselineRv, convergedRv, method };
  };
  /** The real connection, with something in front of every patch. */
  const through = (front: (request: KubeRequest, send: Send) => Promise<unknown>): KubeConnection => ({
    ...c.connection,
    request: (request) =>
      request.method === 'PATCH' ? front(request, c.connection.request) : c.connection.request(request),
  });
  const rewrite = (bounds: ProofBounds, connection: KubeConnection) =>
    rewriteSecrets(connection, { bounds, operationId: latest(), pace: PACE }, testRunning());

  it('sends less while the server asks for it, and refuses no Secret', async () => {
    const bounds = await switched();
    let refusals = 20;
    let inFlight = 0;
    let most = 0;
    const connection = through(async (request, send) => {
      if (refusals-- > 0)
        throw new KubeError({ status: 429, reason: 'TooManyRequests', message: 'slow', retryAfterInMs: 300 });
      most = Math.max(most, ++inFlight);
      return send(request).finally(() => inFlight--);
    });
    const begin = Date.now();
    expect(await rewrite(bounds, connection)).toMatchObject({ secrets: 60, rewritten: 60, refused: 0 });
    expect(Date.now() - begin).toBeGreaterThanOrEqual(300);
    expect(most).toBeLessThan(PACE.inFlight / 2);
  });

  it('counts a Secret as proven whose patch was done and whose answer was lost', async () => {
    const bounds = await switched();
    const lost = new Set<string>();
    const connection = through(async (request, send) => {
      const answer = await send(request);
      if (lost.has(request.path)) return answer;
      lost.add(request.path);
      throw new KubeError({ reason: 'ECONNRESET', message: 'connection reset' });
    });
    expect(await rewrite(bounds, connection)).toMatchObject({
      secrets: 60,
      rewritten: 0,
      alreadyProven: 60,
      refused: 0,
    });
    expect(await c.stored()).toMatchObject({ oldKey: 0 });
  });

  it('names a Secret whose record cannot be read, and goes on with the others', async () => {
    const bounds = await switched();
    const connection = through(async (request, send) => {
      if (!request.path.includes('secret-00007')) return send(request);
      throw new KubeError({
        status: 500,
        reason: 'InternalError',
        message: 'unable to transform key: no matching key was found',
      });
    });
    expect(await rewrite(bounds, connection)).toMatchObject({
      secrets: 60,
      rewritten: 59,
      refused: 1,
      refusedSecrets: [{ namespace: 'team-a', name: 'secret-00007', reason: 'Unreadable' }],
    });
    expect(await rewrite(bounds, c.connection)).toMatchObject({ rewritten: 1, alreadyProven: 59 });
  });

  it('is tried again later when the API server is gone', async () => {
    const bounds = await switched();
    await c.cluster.stop();
    const error: unknown = await rewrite(bounds, c.connection).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(KubeError);
    expect(toFailure(error, { doing: 'Rewriting Secrets' })).toMatchObject({
      type: 'ClusterUnavailable',
      nonRetryable: false,
    });
    await c.cluster.start();
    expect(await rewrite(bounds, c.connection)).toMatchObject({ rewritten: 60 });
  });
});
