/** Secrets that a real API server refuses to store: found before, named after, never lost, and in nobody else's way. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { removeCanaries, takeBaseline } from '../../activities/canaries';
import { awaitConvergence } from '../../activities/convergence';
import { takeCensus } from '../../activities/secrets/census';
import { proveSecrets } from '../../activities/secrets/proof';
import { rewriteSecrets } from '../../activities/secrets/rewrite';
import type { Census } from '../../domain/census';
import type { Proof, RewriteReport } from '../../domain/proof';
import type { RefusedSecret } from '../../domain/refusal';
import { seedSecrets } from '../../sandbox/cluster/seed';
import { eventually } from '../sandbox/cluster-support';
import { DENIED_WITH, FAILURES, startAdmissionWebhook } from './admission-webhook';
import { LIMITS, PACE, SECRETS, TestCluster, testRunning } from './cluster-support';
import { putObject } from './etcd';

const OTHERS = 30;
const STATUSES = [400, 401, 403, 404, 409, 429, 500, 503];

describe('a Secret that the API server refuses', () => {
  let c: TestCluster;
  let operation = 0;
  beforeAll(async () => {
    c = await TestCluster.start();
    await seedSecrets(c.cluster.adminKubeconfig, { count: OTHERS, namespaces: ['team-a'] });
  });
  afterAll(() => c.stop());

  const census = (): Promise<Census> => takeCensus(c.connection, PACE, testRunning());
  /** A rotation, activity by activity. */
  const rotate = async (): Promise<{ report: RewriteReport; proof: Proof }> => {
    const operationId = `op-refused${String(++operation).padStart(5, '0')}`;
    const baseline = await takeBaseline(c.connection, operationId);
    await c.switchKey();
    const target = c.target;
    const convergence = await awaitConvergence(c.connection, { target, operationId, baseline }, testRunning(), LIMITS);
    const { convergedRv, method } = convergence;
    const bounds = { baselineRv: baseline.baselineRv, convergedRv, method };
    const report = await rewriteSecrets(c.connection, { bounds, operationId, pace: PACE }, testRunning());
    const proof = await proveSecrets(
      c.connection,
      { target, operationId, bounds, convergence, pace: PACE },
      testRunning(),
      LIMITS,
    );
    await removeCanaries(c.connection, operationId);
    return { report, proof };
  };
  const named = (refused: readonly RefusedSecret[]): string[] =>
    refused.map(({ namespace, name, reason }) => `${namespace}/${name} ${reason}`).sort();

  it('because a webhook denies it is named, whatever status the webhook chooses', async () => {
    const webhook = await startAdmissionWebhook();
    for (const status of STATUSES) await c.createSecret(`denied-${status}`, { [DENIED_WITH]: String(status) });
    await c.call('POST', webhook.configurations, webhook.configuration);
    await eventually(async () => (await census()).problems.length > 0);

    expect((await census()).problems).toMatchObject([{ reason: 'AdmissionDenied', count: STATUSES.length }]);
    const { report, proof } = await rotate();
    expect(report).toMatchObject({ rewritten: OTHERS, refused: STATUSES.length, gone: 0 });
    const denied = STATUSES.map((status) => `default/denied-${status} AdmissionDenied`);
    expect(named(report.refusedSecrets)).toEqual(denied);
    expect(proof).toMatchObject({ secrets: OTHERS + STATUSES.length, unproven: STATUSES.length });
    expect(named(proof.unprovenSecrets)).toEqual(denied);
    expect(JSON.stringify([report, proof])).not.toContain(Buffer.from('value-of-').toString('base64').slice(0, 10));

    await webhook.close();
    expect((await census()).problems).toMatchObject([{ reason: 'WebhookUnavailable', count: STATUSES.length }]);
    await c.call('DELETE', `${webhook.configurations}/${webhook.name}`);
    for (const status of STATUSES) await c.call('DELETE', `${SECRETS}/denied-${status}`);
    await eventually(async () => (await census()).problems.length === 0);
  });

  it('because a webhook fails is told without a word of the webhook, which quotes the values', async () => {
    const webhook = await startAdmissionWebhook();
    for (const how of FAILURES) await c.createSecret(`failed-${how}`, { [DENIED_WITH]: how });
    await c.call('POST', webhook.configurations, webhook.configuration);
    await eventually(async () => (await census()).problems.length > 0);

    const { report, proof } = await rotate();
    const failed = FAILURES.map((how) => `default/failed-${how} WebhookUnavailable`).sort();
    expect(named(proof.unprovenSecrets)).toEqual(failed);
    const told = [await census(), report, proof];
    for (const value of ['value-of-', Buffer.from('value-of-').toString('base64').slice(0, 10), 'password'])
      expect(JSON.stringify(told)).not.toContain(value);
    for (const { message } of proof.unprovenSecrets)
      expect(message).toContain(`The admission webhook ${webhook.name} failed`);

    await webhook.close();
    await c.call('DELETE', `${webhook.configurations}/${webhook.name}`);
    for (const how of FAILURES) await c.call('DELETE', `${SECRETS}/failed-${how}`);
    await eventually(async () => (await census()).problems.length === 0);
  });

  it('because its namespace is gone stays in the count until it is deleted', async () => {
    await putObject(c.cluster.etcdUrl, '/registry/secrets/left/stray', {
      apiVersion: 'v1',
      kind: 'Secret',
      type: 'Opaque',
      metadata: {
        name: 'stray',
        namespace: 'left',
        uid: '5b0c8a52-7a51-4f6e-9d0e-0f3c5a1d2b4e',
        creationTimestamp: '2026-01-01T00:00:00Z',
      },
      data: { password: Buffer.from('old').toString('base64') },
    });
    await eventually(async () => (await census()).secrets === OTHERS + 1);
    expect((await census()).problems).toMatchObject([
      {
        reason: 'NamespaceMissing',
        count: 1,
        secrets: ['left/stray'],
        message: expect.stringContaining('The namespace left does not exist.'),
      },
    ]);
    const { report, proof } = await rotate();
    expect(report).toMatchObject({ secrets: OTHERS + 1, rewritten: OTHERS, refused: 1, gone: 0 });
    expect(proof).toMatchObject({ secrets: OTHERS + 1, unproven: 1 });
    expect(proof.unprovenSecrets).toMatchObject([
      { namespace: 'left', name: 'stray', reason: 'NamespaceMissing', suggestion: expect.stringMatching(/Delete/) },
    ]);
    expect(await c.stored()).toMatchObject({ plaintext: 1, oldKey: 0 });

    await c.call('DELETE', '/api/v1/namespaces/left/secrets/stray');
    expect((await rotate()).proof).toMatchObject({ secrets: OTHERS, unproven: 0, convergenceHeld: true });
  });
});
