/**
 * An API server that was replaced and has not ended: no new connection meets it, no lease or metric shows it, and it stores under the
 * old key what clients bring that stay connected to it.
 */
import { afterEach, describe, expect, it } from '@jest/globals';
import { Client } from 'undici';
import { takeBaseline } from '../../activities/canaries';
import { awaitConvergence, type ConvergenceLimits } from '../../activities/convergence';
import type { KubeConnection } from '../../activities/kubernetes/connection';
import { KubeError } from '../../activities/kubernetes/errors';
import { rewriteSecrets } from '../../activities/secrets/rewrite';
import { proveSecrets } from '../../activities/secrets/proof';
import { boundsOf, type Convergence } from '../../domain/convergence';
import type { KmsTarget } from '../../domain/encryption';
import { isConclusive, type Proof } from '../../domain/proof';
import { seedSecrets } from '../../sandbox/cluster/seed';
import { accessOf, eventually } from '../sandbox/cluster-support';
import { LIMITS, PACE, SECRETS, TestCluster, testRunning } from './cluster-support';
import { newOperationId } from './operation-support';

const COUNT = 20;
/** Longer than any test. */
const LONG_IN_MS = 3_600_000;

let c: TestCluster;
let old: Client;
afterEach(async () => {
  await old?.destroy();
  await c.stop();
});

/** A client that stays connected to the API server that is late. */
function connectToLate(): Client {
  const late = c.cluster.servers().find(({ writes }) => writes === c.previousKey);
  expect(late).toBeDefined();
  return new Client(`https://127.0.0.1:${late?.port}`, { connect: accessOf(c.cluster.adminKubeconfig).tls });
}

async function writeOverOldConnection(at: string): Promise<void> {
  const { statusCode, body } = await old.request({
    method: 'PATCH',
    path: `${SECRETS}/kept`,
    headers: { 'content-type': 'application/merge-patch+json' },
    body: JSON.stringify({ metadata: { annotations: { at } } }),
  });
  await body.dump();
  expect(statusCode).toBe(200);
}

/** One API server is late, is replaced then, and does not end. */
async function replaceLate(kubernetesMinor: string) {
  c = await TestCluster.start({ kubernetesMinor, apiServers: 2 });
  await seedSecrets(c.cluster.adminKubeconfig, { count: COUNT, namespaces: ['team-a'] });
  await c.createSecret('kept');
  const target: KmsTarget = { scheme: kubernetesMinor === '1.26' ? 'kms-v1' : 'kms-v2', keyId: c.key };
  const operationId = newOperationId();
  const baseline = await takeBaseline(c.connection, operationId);
  c.cluster.setLateServers(1);
  await c.switchKey();
  old = connectToLate();
  await writeOverOldConnection('before it was replaced');
  c.cluster.setKeepReplaced(true);
  c.cluster.setLateServers(0);
  await eventually(() => c.cluster.servers().every(({ writes }) => writes === c.key), 60_000);
  return { operationId, baseline, target: { ...target, keyId: c.key } };
}

type Replaced = Awaited<ReturnType<typeof replaceLate>>;

/** Resolves when the replaced server has ended. */
async function endReplaced(): Promise<void> {
  c.cluster.setKeepReplaced(false);
  await c.cluster.secretRequests();
}

async function prove(
  { operationId, target }: Replaced,
  convergence: Convergence,
  beforeProof: () => Promise<void> = async () => undefined,
): Promise<Proof> {
  await c.reconnect();
  const bounds = boundsOf(convergence);
  await rewriteSecrets(c.connection, { bounds, operationId, pace: PACE }, testRunning());
  await beforeProof();
  const input = { target, operationId, bounds, convergence, pace: PACE };
  return await proveSecrets(c.connection, input, testRunning(), LIMITS);
}

describe.each(['1.26', '1.34'])('an API server of %s that was replaced and has not ended', (kubernetesMinor) => {
  it('is waited for: nothing is proven while it may store Secrets under the old key', async () => {
    const replaced = await replaceLate(kubernetesMinor);
    const running = testRunning();
    let drained = false;
    let converged: Convergence | undefined;
    const limits: ConvergenceLimits = {
      ...LIMITS,
      deadlineInMs: 120_000,
      get drainInMs() {
        return drained ? 0 : LONG_IN_MS;
      },
    };
    const waiting = awaitConvergence(c.connection, replaced, running, limits);
    void waiting.then((convergence) => (converged = convergence)).catch(() => undefined);
    const said = (): string => JSON.stringify(running.heartbeats.at(-1) ?? '');
    await eventually(() => said().includes('the end of API servers that were replaced'), 60_000);
    await writeOverOldConnection('after it was replaced');
    expect((await c.stored()).oldKey).toBeGreaterThan(0);
    expect(converged).toBeUndefined();

    await endReplaced();
    await expect(writeOverOldConnection('after it had ended')).rejects.toThrow();
    drained = true;
    const proof = await prove(replaced, await waiting);
    expect(isConclusive(proof)).toBe(true);
    expect(await c.stored()).toMatchObject({ oldKey: 0, other: 0, plaintext: 0 });
  });

  it('would make a proof untrue that did not wait for it', async () => {
    const replaced = await replaceLate(kubernetesMinor);
    const convergence = await awaitConvergence(c.connection, replaced, testRunning(), LIMITS);
    const proof = await prove(replaced, convergence, () => writeOverOldConnection('after it was replaced'));
    expect(isConclusive(proof)).toBe(true);
    expect(await c.stored()).toMatchObject({ oldKey: 1 });
    await endReplaced();
  });
});

describe('how long it is waited', () => {
  const drainInMs = 6_000;
  const refusing = (connection: KubeConnection): KubeConnection => ({
    ...connection,
    requestDated: () => Promise.reject(new KubeError({ status: 403, reason: 'Forbidden', message: 'no metrics' })),
  });

  it.each([
    ['since the youngest API server was started', (connection: KubeConnection) => connection],
    ['since a canary changed, where metrics cannot be read', refusing],
  ])('counts %s, and is in the evidence', async (_, through) => {
    c = await TestCluster.start();
    const operationId = newOperationId();
    const baseline = await takeBaseline(c.connection, operationId);
    await c.switchKey();
    const input = { operationId, baseline, target: c.target };
    const { quietForInMs } = await awaitConvergence(through(c.connection), input, testRunning(), {
      ...LIMITS,
      deadlineInMs: 120_000,
      drainInMs,
    });
    expect(quietForInMs).toBeGreaterThanOrEqual(drainInMs);
    // Of an API server that has run for longer nothing needs to be waited for; without metrics that is not known.
    const again = { operationId, target: c.target };
    const second = await awaitConvergence(c.connection, again, testRunning(), { ...LIMITS, drainInMs });
    expect(second.quietForInMs).toBeGreaterThanOrEqual(drainInMs);
  });
});
