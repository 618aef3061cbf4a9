/** The heart of Keyturn on real parts: switch, converge, rewrite, prove; and what goes wrong in between. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { removeCanaries, takeBaseline } from '../../activities/canaries';
import { awaitConvergence } from '../../activities/convergence';
import type { KubeConnection } from '../../activities/kubernetes/connection';
import { KubeError } from '../../activities/kubernetes/errors';
import { patchFenced } from '../../activities/kubernetes/metadata';
import { proveSecrets } from '../../activities/secrets/proof';
import { rewriteSecrets } from '../../activities/secrets/rewrite';
import type { Baseline, Convergence } from '../../domain/convergence';
import type { Proof, ProofBounds, RewriteReport } from '../../domain/proof';
import { seedSecrets } from '../../sandbox/cluster/seed';
import { LIMITS, PACE, SECRETS, TestCluster, testRunning } from './cluster-support';

const NAMESPACES = ['team-a', 'team-b'];

const boundsOf = (baselineRv: string | null, { convergedRv, method }: Convergence): ProofBounds => ({
  baselineRv,
  convergedRv,
  method,
});

describe('a rotation on a real cluster', () => {
  let c: TestCluster;
  let operation = 0;

  beforeAll(async () => {
    c = await TestCluster.start();
    await seedSecrets(c.cluster.adminKubeconfig, {
      count: 500,
      namespaces: NAMESPACES,
      immutableEvery: 10,
      largeEvery: 100,
    });
  });
  afterAll(() => c.stop());
  // A test that failed must not leave its canaries to the next one.
  afterEach(() => removeCanaries(c.connection, latest()));

  const latest = (): string => `op-test${String(operation).padStart(8, '0')}`;
  const newOperation = (): string => {
    operation++;
    return latest();
  };
  const converge = (operationId: string, baseline?: Baseline): Promise<Convergence> =>
    awaitConvergence(c.connection, { target: c.target, operationId, baseline }, testRunning(), LIMITS);
  const rewrite = (bounds: ProofBounds, running = testRunning()): Promise<RewriteReport> =>
    rewriteSecrets(c.connection, { bounds, operationId: latest(), pace: PACE }, running);
  const prove = (operationId: string, bounds: ProofBounds, convergence: Convergence): Promise<Proof> =>
    proveSecrets(
      c.connection,
      { target: c.target, operationId, bounds, convergence, pace: PACE },
      testRunning(),
      LIMITS,
    );
  /** Everything up to the rewrite. */
  const switched = async () => {
    const operationId = newOperation();
    const baseline = await takeBaseline(c.connection, operationId);
    await c.switchKey();
    const convergence = await converge(operationId, baseline);
    const bounds = boundsOf(baseline.baselineRv, convergence);
    return { operationId, baseline, convergence, bounds };
  };

  it('leaves no Secret under the old key, proves all of them, and has nothing to do the second time', async () => {
    const { operationId, convergence, bounds } = await switched();
    expect(convergence).toMatchObject({ metrics: 'confirmed', flips: 0, stillProbes: 20 });
    expect(convergence.leases).toHaveLength(1);
    expect(await c.stored()).toMatchObject({ oldKey: 500, newKey: 3 });

    const running = testRunning();
    const report = await rewrite(bounds, running);
    expect(report).toMatchObject({ secrets: 500, rewritten: 500, unchanged: 0, contradictions: 0, refused: 0 });
    expect(running.heartbeats[0]).toEqual({ done: 0, total: 500, perSecond: 0 });
    expect(await c.stored()).toEqual({ newKey: 503, oldKey: 0, plaintext: 0, other: 0 });

    const again = await rewrite(bounds);
    expect(again).toMatchObject({ secrets: 500, rewritten: 0, alreadyProven: 500, unchanged: 0 });

    const proof = await prove(operationId, bounds, convergence);
    expect(proof).toMatchObject({ secrets: 500, unproven: 0, unprovenSecrets: [], convergenceHeld: true });
    await removeCanaries(c.connection, operationId);
    await removeCanaries(c.connection, operationId);
    expect(await c.stored()).toMatchObject({ newKey: 500 });
  });

  it('takes the same canaries when the baseline is taken twice', async () => {
    const operationId = newOperation();
    const first = await takeBaseline(c.connection, operationId);
    const second = await takeBaseline(c.connection, operationId);
    expect(second.canaries).toEqual(first.canaries);
    expect(first.canaries.map(({ name }) => name)).toContain(`keyturn-canary-${operationId.slice(3, 15)}-1`);
    expect(BigInt(first.baselineRv)).toBeGreaterThanOrEqual(BigInt(first.canaries[2]?.resourceVersion ?? 0));
    await removeCanaries(c.connection, operationId);
  });

  it('converges by stillness when no switch was made, and accepts every unchanged Secret then', async () => {
    const operationId = newOperation();
    const convergence = await converge(operationId);
    const bounds = boundsOf(null, convergence);
    expect(await rewrite(bounds)).toMatchObject({ secrets: 500, rewritten: 0, unchanged: 500, contradictions: 0 });
    expect(await prove(operationId, bounds, convergence)).toMatchObject({ unproven: 0, convergenceHeld: true });
    await removeCanaries(c.connection, operationId);
  });

  it('counts contradictions and proves nothing when the switch that was asked for never happened', async () => {
    const operationId = newOperation();
    await takeBaseline(c.connection, operationId);
    const convergence = await converge(operationId);
    const bounds = boundsOf(convergence.convergedRv, convergence);
    await expect(rewrite(bounds)).rejects.toMatchObject({
      type: 'RewriteHadNoEffect',
      nonRetryable: true,
      message: expect.stringContaining('100 of the first 100 Secrets'),
    });
    const proof = await prove(operationId, bounds, convergence);
    expect(proof).toMatchObject({ unproven: 500 });
    expect(proof.unprovenSecrets.length).toBeLessThan(500);
    expect(proof.unprovenSecrets[0]).toMatchObject({ reason: 'Contradiction' });
    await removeCanaries(c.connection, operationId);
  });

  it('does not converge while the canaries keep still, and says which ones', async () => {
    const operationId = newOperation();
    const baseline = await takeBaseline(c.connection, operationId);
    const waiting = awaitConvergence(c.connection, { target: c.target, operationId, baseline }, testRunning(), {
      ...LIMITS,
      deadlineInMs: 300,
    });
    await expect(waiting).rejects.toMatchObject({
      type: 'NotConverged',
      nonRetryable: true,
      message: expect.stringContaining(baseline.canaries[0]?.name ?? 'none'),
    });
    await removeCanaries(c.connection, operationId);
  });

  it('does not take a canary that somebody else changed for a sign of a switch', async () => {
    const operationId = newOperation();
    const baseline = await takeBaseline(c.connection, operationId);
    for (const { namespace, name } of baseline.canaries) {
      await c.call('PATCH', `/api/v1/namespaces/${namespace}/secrets/${name}`, {
        metadata: { labels: { by: 'somebody' } },
      });
    }
    // The metrics must speak then. They know this key, not another one, and where they cannot be read nobody speaks.
    expect((await converge(operationId, baseline)).metrics).toBe('confirmed');
    const mute: KubeConnection = {
      ...c.connection,
      requestDated: () => Promise.reject(new KubeError({ status: 403, reason: 'Forbidden', message: 'no metrics' })),
    };
    const fails = (connection: KubeConnection, keyId: string, why: string): Promise<void> =>
      expect(
        awaitConvergence(connection, { target: { scheme: 'kms-v2', keyId }, operationId, baseline }, testRunning(), {
          ...LIMITS,
          deadlineInMs: 500,
        }),
      ).rejects.toMatchObject({ type: 'NotConverged', message: expect.stringContaining(why) });
    await fails(c.connection, c.vault.addKey(), 'with another key');
    await fails(mute, c.key, 'which says nothing about keys');
    await removeCanaries(c.connection, operationId);
  });

  it('goes on where it was after it was stopped', async () => {
    const { operationId, convergence, bounds } = await switched();
    const running = testRunning();
    let answered = 0;
    // In the middle, whatever the speed: after the fiftieth Secret.
    const stopping: KubeConnection = {
      ...c.connection,
      async request(request) {
        const answer = await c.connection.request(request);
        if (request.method === 'PATCH' && ++answered === 50) running.abort(new Error('worker is shutting down'));
        return answer;
      },
    };
    const stopped = rewriteSecrets(stopping, { bounds, operationId, pace: PACE }, running);
    await expect(stopped).rejects.toThrow('worker is shutting down');
    const half = await c.stored();
    expect(half.oldKey).toBeGreaterThan(0);

    const report = await rewrite(bounds);
    expect(report).toMatchObject({ secrets: 500, refused: 0, contradictions: 0 });
    expect(report.alreadyProven).toBeGreaterThan(0);
    expect(report.rewritten + report.alreadyProven).toBe(500);
    expect(await c.stored()).toMatchObject({ oldKey: 0, newKey: 503 });
    expect(await prove(operationId, bounds, convergence)).toMatchObject({ unproven: 0, convergenceHeld: true });
    await removeCanaries(c.connection, operationId);
  });

  it('stays right while others write, delete and make Secrets', async () => {
    const names = Array.from({ length: 60 }, (_, index) => `busy-${index}`);
    for (const name of names) await c.createSecret(name);
    const { operationId, convergence, bounds } = await switched();
    let stop = false;
    const writing = (async () => {
      for (let round = 0; !stop; round++) {
        for (const name of names.slice(0, 20))
          await c.call('PATCH', `${SECRETS}/${name}`, { stringData: { round: `${round}` } });
      }
    })();
    const deleting = (async () => {
      for (const name of names.slice(20, 40)) await c.call('DELETE', `${SECRETS}/${name}`);
      for (const name of names.slice(30, 40)) await c.createSecret(name);
    })();
    const report = await rewrite(bounds);
    await deleting;
    stop = true;
    await writing;
    expect(report).toMatchObject({ refused: 0, contradictions: 0 });
    expect(report.secrets).toBeGreaterThan(500);
    expect(await c.stored()).toMatchObject({ oldKey: 0 });
    expect(await prove(operationId, bounds, convergence)).toMatchObject({ secrets: 550, unproven: 0 });
    await removeCanaries(c.connection, operationId);
    for (const name of [...names.slice(0, 20), ...names.slice(30)]) await c.call('DELETE', `${SECRETS}/${name}`);
  });

  it('isolates a Secret that an admission policy refuses, names it, and shows no value', async () => {
    const policies = '/apis/admissionregistration.k8s.io/v1';
    await c.createSecret('frozen', { frozen: 'yes' });
    await c.call('POST', `${policies}/validatingadmissionpolicies`, {
      metadata: { name: 'frozen-secrets' },
      spec: {
        matchConstraints: {
          resourceRules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['UPDATE'], resources: ['secrets'] }],
        },
        validations: [
          {
            expression: "!has(object.metadata.labels) || !('frozen' in object.metadata.labels)",
            messageExpression: "'frozen: ' + string(object.data['password'])",
          },
        ],
      },
    });
    await c.call('POST', `${policies}/validatingadmissionpolicybindings`, {
      metadata: { name: 'frozen-secrets' },
      spec: { policyName: 'frozen-secrets', validationActions: ['Deny'] },
    });
    await expect(policyIsEnforced()).resolves.toBeUndefined();

    const { operationId, convergence, bounds } = await switched();
    await policyIsEnforced();
    const report = await rewrite(bounds);
    expect(report).toMatchObject({ secrets: 501, rewritten: 500, refused: 1 });
    expect(report.refusedSecrets[0]).toMatchObject({ namespace: 'default', name: 'frozen', reason: 'AdmissionDenied' });
    expect(report.refusedSecrets[0]?.message).toContain('ValidatingAdmissionPolicy frozen-secrets');
    expect(report.refusedSecrets[0]?.message).not.toContain(Buffer.from('value-of-frozen').toString('base64'));
    expect(await prove(operationId, bounds, convergence)).toMatchObject({
      unproven: 1,
      unprovenSecrets: [{ namespace: 'default', name: 'frozen', reason: 'AdmissionDenied' }],
    });

    await c.call('DELETE', `${policies}/validatingadmissionpolicybindings/frozen-secrets`);
    await c.call('DELETE', `${policies}/validatingadmissionpolicies/frozen-secrets`);
    await until(async () => (await rewrite(bounds)).refused === 0);
    expect(await prove(operationId, bounds, convergence)).toMatchObject({ secrets: 501, unproven: 0 });
    await c.call('DELETE', `${SECRETS}/frozen`);
    await removeCanaries(c.connection, operationId);
  });

  it('rewrites canaries that an earlier operation left behind, so that no Secret is lost when their key is evicted', async () => {
    await takeBaseline(c.connection, 'op-abandoned0001');
    // The second switch evicts the key that they were written under.
    for (let turn = 0; turn < 2; turn++) {
      const { operationId, convergence, bounds } = await switched();
      expect(await rewrite(bounds)).toMatchObject({ secrets: 503, rewritten: 503 });
      expect(await prove(operationId, bounds, convergence)).toMatchObject({ secrets: 503, unproven: 0 });
      await removeCanaries(c.connection, operationId);
    }
    expect(await c.stored()).toEqual({ newKey: 503, oldKey: 0, plaintext: 0, other: 0 });
    await removeCanaries(c.connection, 'op-abandoned0001');
  });

  it('refuses to prove anything when resource versions went backwards', async () => {
    const operationId = newOperation();
    const convergence = await converge(operationId);
    const bounds = { ...boundsOf(null, convergence), convergedRv: `${convergence.convergedRv}0` };
    await expect(rewrite(bounds)).rejects.toMatchObject({ type: 'ResourceVersionWentBackwards', nonRetryable: true });
    await removeCanaries(c.connection, operationId);
  });

  /** A new policy takes a moment to be known to the server. */
  async function policyIsEnforced(): Promise<void> {
    await until(async () => {
      const { metadata } = await c.call('GET', `${SECRETS}/frozen`);
      return patchFenced(c.connection, { ...metadata, namespace: 'default' }).then(
        () => false,
        () => true,
      );
    });
  }

  async function until(holds: () => Promise<boolean>): Promise<void> {
    for (let tries = 100; !(await holds()); tries--) {
      if (tries === 0) throw new Error('It never came true.');
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
});
