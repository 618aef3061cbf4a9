/** A webhook that changes Secrets on every update, or once: its changes are never taken for a switch of an API server. */
import { afterEach, describe, expect, it } from '@jest/globals';
import { takeBaseline } from '../../activities/canaries';
import { awaitConvergence } from '../../activities/convergence';
import { boundsOf } from '../../domain/convergence';
import { proveSecrets } from '../../activities/secrets/proof';
import { rewriteSecrets } from '../../activities/secrets/rewrite';
import type { Baseline, Convergence } from '../../domain/convergence';
import type { KmsTarget } from '../../domain/encryption';
import { isConclusive } from '../../domain/proof';
import { seedSecrets } from '../../sandbox/cluster/seed';
import { eventually } from '../sandbox/cluster-support';
import { LIMITS, PACE, TestCluster, testRunning, type TestClusterOptions } from './cluster-support';
import { annotating, installMutatingWebhook, type MutatingWebhook, type SeenSecret } from './mutating-webhook';
import { newOperationId } from './operation-support';

const COUNT = 40;
/** 1.26: KMS v1 with a provider name for each key. 1.27: metrics do not say which server they are of. */
const SEEN_BY_CANARIES_ALONE: readonly TestClusterOptions[] = [
  { kubernetesMinor: '1.26', apiServers: 2 },
  { kubernetesMinor: '1.27', apiServers: 2 },
];

let c: TestCluster;
let webhook: MutatingWebhook | undefined;
afterEach(async () => {
  await webhook?.close();
  webhook = undefined;
  await c.stop();
});

async function start(options: TestClusterOptions): Promise<void> {
  c = await TestCluster.start(options);
  await seedSecrets(c.cluster.adminKubeconfig, { count: COUNT, namespaces: ['team-a'] });
}

async function install(mutate: (secret: SeenSecret) => readonly unknown[]): Promise<void> {
  webhook = await installMutatingWebhook(c, mutate);
}

const targetOf = ({ kubernetesMinor }: TestClusterOptions): KmsTarget => ({
  scheme: kubernetesMinor === '1.26' ? 'kms-v1' : 'kms-v2',
  keyId: c.key,
});

/** Waits for convergence while every API server is late, lets it wait, and then lets the servers switch. */
async function convergeLate(
  options: TestClusterOptions,
  operationId: string,
  baseline: Baseline,
  meanwhile: () => Promise<void> = async () => undefined,
): Promise<Convergence> {
  const all = c.cluster.servers().length;
  c.cluster.setLateServers(all);
  await c.switchKey();
  await meanwhile();
  expect(c.cluster.servers().filter(({ writes }) => writes === c.previousKey)).toHaveLength(all);
  const running = testRunning();
  let ended = false;
  // No conclusion from silence: here an API server is late for as long as the test says.
  const limits = { ...LIMITS, deadlineInMs: 120_000, silenceInMs: 120_000 };
  const input = { target: targetOf(options), operationId, baseline };
  const waiting = awaitConvergence(c.connection, input, running, limits);
  void waiting.catch(() => undefined).finally(() => (ended = true));
  // Several rounds of probes: with a webhook's change taken for a switch, the first one ends it.
  const rounds = (): number => running.heartbeats.length;
  await eventually(() => ended || rounds() >= 3, 60_000);
  expect(ended).toBe(false);
  c.cluster.setLateServers(0);
  return await waiting;
}

async function proveAll(options: TestClusterOptions, operationId: string, convergence: Convergence): Promise<void> {
  await c.reconnect();
  const bounds = boundsOf(convergence);
  const target = targetOf(options);
  await rewriteSecrets(c.connection, { bounds, operationId, pace: PACE }, testRunning());
  const input = { target, operationId, bounds, convergence, pace: PACE };
  const proof = await proveSecrets(c.connection, input, testRunning(), LIMITS);
  expect(proof).toMatchObject({ secrets: COUNT, unproven: 0, convergenceHeld: true });
  expect(isConclusive(proof)).toBe(true);
  expect(await c.stored()).toMatchObject({ oldKey: 0, other: 0, plaintext: 0 });
}

describe.each(SEEN_BY_CANARIES_ALONE)('with every API server of $kubernetesMinor late', (options) => {
  it('a webhook that annotates Secrets once is no switch: it is done before the key is set', async () => {
    await start(options);
    await install(annotating('checked', () => 'yes'));
    const operationId = newOperationId();
    const baseline = await takeBaseline(c.connection, operationId);
    const convergence = await convergeLate(options, operationId, baseline);
    expect(convergence).toMatchObject({ contentChanges: 0 });
    await proveAll(options, operationId, convergence);
  });

  it('a webhook that is installed after the key was set is no switch', async () => {
    await start(options);
    const operationId = newOperationId();
    const baseline = await takeBaseline(c.connection, operationId);
    const convergence = await convergeLate(options, operationId, baseline, () =>
      install(annotating('checked', () => 'yes')),
    );
    expect(convergence.contentChanges).toBe(3);
    await proveAll(options, operationId, convergence);
  });
});

describe('a webhook that changes Secrets on every update', () => {
  const stamping = (): string => `${Date.now()}.${process.hrtime.bigint()}`;

  it('is found and named before the key is set', async () => {
    await start({});
    await install(annotating('checked-at', stamping));
    await expect(takeBaseline(c.connection, newOperationId())).rejects.toMatchObject({
      type: 'CanariesNotStill',
      nonRetryable: true,
      message: expect.stringMatching(/keyturn-canary.*The key was not set\..*webhook mutator\.example\.com/),
    });
    // The proof of the current key begins without a baseline.
    const input = { target: c.target, operationId: newOperationId() };
    await expect(awaitConvergence(c.connection, input, testRunning(), LIMITS)).rejects.toMatchObject({
      type: 'CanariesNotStill',
      message: expect.stringContaining('webhook mutator.example.com'),
    });
  });

  it('is found when it changes a value and no metadata that people see', async () => {
    await start({ kubernetesMinor: '1.27' });
    const value = (): string => Buffer.from(stamping()).toString('base64');
    await install(({ metadata: { name } }) =>
      name.startsWith('keyturn-canary') ? [{ op: 'replace', path: '/data/about', value: value() }] : [],
    );
    await expect(takeBaseline(c.connection, newOperationId())).rejects.toMatchObject({
      type: 'CanariesNotStill',
      message: expect.stringContaining('webhook mutator.example.com'),
    });
  });
});
