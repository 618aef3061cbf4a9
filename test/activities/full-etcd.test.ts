/** An etcd that is full in the middle of a rewrite: the pass ends by that reason, and the next one goes on. */
import { afterEach, expect, it } from '@jest/globals';
import { takeBaseline } from '../../activities/canaries';
import { awaitConvergence } from '../../activities/convergence';
import { boundsOf } from '../../domain/convergence';
import { toFailure } from '../../activities/failures';
import { readMetrics } from '../../activities/kubernetes/metrics';
import { storageSizeOf } from '../../activities/kubernetes/storage';
import { proveSecrets } from '../../activities/secrets/proof';
import { rewriteSecrets } from '../../activities/secrets/rewrite';
import { seedSecrets } from '../../sandbox/cluster/seed';
import { fillEtcd, relieveEtcd } from '../support/etcd';
import { LIMITS, PACE, TestCluster, testRunning } from './cluster-support';
import { newOperationId } from './operation-support';

const QUOTA = 32 * 1024 ** 2;
const COUNT = 12;
/** A rewrite adds 8.4 MB. */
const BYTES = 700_000;
/** etcd counts only what it has committed, ten times a second. */
const SLOW = { ...PACE, perSecond: 6 };
let c: TestCluster;
afterEach(() => c.stop());

it('a rewrite stops by that reason, names no Secret, loses nothing, and goes on when etcd takes writes again', async () => {
  c = await TestCluster.start({ etcdQuotaInBytes: QUOTA });
  const operationId = newOperationId();
  await seedSecrets(c.cluster.adminKubeconfig, {
    count: COUNT,
    namespaces: ['a'],
    largeEvery: 1,
    largeSizeInBytes: BYTES,
  });
  const baseline = await takeBaseline(c.connection, operationId);
  await c.switchKey();
  const input = { target: c.target, operationId };
  const convergence = await awaitConvergence(c.connection, { ...input, baseline }, testRunning(), LIMITS);
  const bounds = boundsOf(convergence);
  await fillEtcd(c.cluster.etcdUrl, QUOTA, 5_000_000);
  // The API server shows how large etcd is: what a plan warns of.
  expect(storageSizeOf(await readMetrics(c.connection))).toBeGreaterThan(QUOTA / 2);

  const rewrite = () => rewriteSecrets(c.connection, { bounds, operationId, pace: SLOW }, testRunning());
  const full = await rewrite().catch((error: unknown) => toFailure(error, { doing: 'Rewriting Secrets' }));
  expect(full).toMatchObject({
    type: 'ClusterStorageFull',
    nonRetryable: true,
    message: expect.stringMatching(/database space exceeded.*Nothing is lost.*Keep every key.*retry/),
  });
  expect((await c.stored()).oldKey).toBeGreaterThan(0);
  // The other parts of an operation say the same instead of waiting.
  await expect(takeBaseline(c.connection, newOperationId())).rejects.toMatchObject({ storageFull: true });
  const again = awaitConvergence(c.connection, { ...input, operationId: newOperationId() }, testRunning(), LIMITS);
  await expect(again).rejects.toMatchObject({ storageFull: true });

  await relieveEtcd(c.cluster.etcdUrl);
  expect(await rewrite()).toMatchObject({ refused: 0, contradictions: 0 });
  const proof = await proveSecrets(c.connection, { ...input, bounds, convergence, pace: PACE }, testRunning(), LIMITS);
  expect(proof).toMatchObject({ unproven: 0 });
  expect(await c.stored()).toMatchObject({ newKey: proof.secrets + 3, oldKey: 0 });
});
