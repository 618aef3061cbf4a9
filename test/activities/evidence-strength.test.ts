/** Convergence with two and three API servers, one of them late; and with less than full sight, where it is said so. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import { removeCanaries, takeBaseline } from '../../activities/canaries';
import { awaitConvergence } from '../../activities/convergence';
import { boundsOf } from '../../domain/convergence';
import type { KubeConnection } from '../../activities/kubernetes/connection';
import { readSecret } from '../../activities/kubernetes/metadata';
import { FIRST_PAGE_SIZE, LARGEST_PAGE_SIZE } from '../../activities/kubernetes/secret-list';
import { liveLeases } from '../../activities/kubernetes/servers';
import { proveSecrets } from '../../activities/secrets/proof';
import { rewriteSecrets } from '../../activities/secrets/rewrite';
import type { Convergence } from '../../domain/convergence';
import { seedSecrets } from '../../sandbox/cluster/seed';
import { eventually } from '../sandbox/cluster-support';
import { LIMITS, PACE, TestCluster, testRunning } from './cluster-support';
import { newOperationId, turn } from './operation-support';
import { restrictedConnection, type Rule } from './restricted-access';

const SECRETS_RULE: Rule = { apiGroups: [''], resources: ['secrets'], verbs: ['*'] };
const Managed = z.object({ metadata: z.object({ managedFields: z.array(z.object({ time: z.string() })) }) });
const metadataOf = async (
  { connection }: TestCluster,
  { namespace, name }: { readonly namespace: string; readonly name: string },
): Promise<z.infer<typeof Managed>['metadata']> => {
  const path = `/api/v1/namespaces/${namespace}/secrets/${name}`;
  return Managed.parse(await connection.request({ method: 'GET', path })).metadata;
};
const LEASES_RULE: Rule = { apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs: ['get', 'list'] };

describe.each([2, 3])('%i API servers behind one address', (apiServers) => {
  let c: TestCluster;
  beforeAll(async () => {
    c = await TestCluster.start({ apiServers });
    await seedSecrets(c.cluster.adminKubeconfig, { count: 120, namespaces: ['team-a'] });
  });
  afterAll(() => c.stop());

  it('of which one is late: the wait names it, and nothing is proven before it has switched', async () => {
    const operationId = newOperationId();
    const baseline = await takeBaseline(c.connection, operationId);
    expect(baseline.processes).toHaveLength(apiServers);
    c.cluster.setLateServers(1);
    await c.switchKey();
    const late = c.cluster.servers().find(({ writes }) => writes === c.previousKey);
    expect(late).toBeDefined();

    const running = testRunning();
    let converged: Convergence | undefined;
    const limits = { ...LIMITS, deadlineInMs: 120_000 };
    const waiting = awaitConvergence(c.connection, { target: c.target, operationId, baseline }, running, limits);
    void waiting.then((convergence) => (converged = convergence));
    await eventually(
      () => JSON.stringify(running.heartbeats.at(-1)).includes(`host ${late?.name}) last wrote with another key`),
      90_000,
    );
    expect(converged).toBeUndefined();

    c.cluster.setLateServers(0);
    const convergence = await waiting;
    expect(c.cluster.servers().map(({ writes }) => writes)).toEqual(Array(apiServers).fill(c.key));
    expect(convergence).toMatchObject({ metrics: 'confirmed', weaknesses: [] });
    expect(convergence.leases).toHaveLength(apiServers);

    await c.reconnect();
    const bounds = boundsOf(convergence);
    await rewriteSecrets(c.connection, { bounds, operationId, pace: PACE }, testRunning());
    const input = { target: c.target, operationId, bounds, convergence, pace: PACE };
    expect(await proveSecrets(c.connection, input, testRunning(), LIMITS)).toMatchObject({
      secrets: 120,
      unproven: 0,
      convergenceHeld: true,
    });
    expect(await c.stored()).toMatchObject({ oldKey: 0, other: 0, plaintext: 0 });
    await removeCanaries(c.connection, operationId);
  });
});

describe('an API server that shows less', () => {
  let c: TestCluster;
  beforeAll(async () => {
    c = await TestCluster.start();
    await seedSecrets(c.cluster.adminKubeconfig, { count: 60, namespaces: ['team-a'] });
  });
  afterAll(() => c.stop());

  it.each([
    { hidden: 'metrics', rules: [SECRETS_RULE, LEASES_RULE], weakness: 'metrics of the API servers cannot be read' },
    {
      hidden: 'leases and metrics',
      rules: [SECRETS_RULE],
      weakness: 'identity leases of the API servers cannot be read',
    },
  ])('without $hidden is turned all the same, and the weaker evidence is named', async ({ rules, weakness }) => {
    const { connection, close } = await restrictedConnection(c, rules);
    const turned = await turn(
      c,
      () => c.switchKey(),
      () => c.target,
      connection,
    );
    await close();
    expect(turned.convergence.metrics).toBe('unavailable');
    expect(turned.proof).toMatchObject({ secrets: 60, unproven: 0, convergenceHeld: true });
    expect(turned.proof.weaknesses).toHaveLength(1);
    expect(turned.proof.weaknesses[0]).toContain(weakness);
    expect(turned.proof.weaknesses[0]).toContain('concludes from canaries alone');
    expect(await c.stored()).toMatchObject({ newKey: 60, oldKey: 0 });
  });

  it('and is started anew after convergence proves nothing, whatever it writes with now', async () => {
    const { bounds, convergence, proof } = await turn(
      c,
      () => c.switchKey(),
      () => c.target,
    );
    expect(proof).toMatchObject({ unproven: 0, convergenceHeld: true });
    await c.cluster.stop();
    await c.cluster.start();
    const input = { target: c.target, operationId: newOperationId(), bounds, convergence, pace: PACE };
    expect(await proveSecrets(c.connection, input, testRunning(), LIMITS)).toMatchObject({
      secrets: 60,
      unproven: 0,
      convergenceHeld: false,
    });
  });

  it('has a lease with the host that people know it by', async () => {
    const [lease] = await liveLeases(c.connection);
    expect(lease?.host).toMatch(/^[a-z0-9.-]+$/i);
  });

  it('is not hidden by a lease that somebody dates in the future', async () => {
    const before = await liveLeases(c.connection);
    const leases = '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases';
    const labels = { 'apiserver.kubernetes.io/identity': 'kube-apiserver' };
    const spec = { renewTime: '2099-01-01T00:00:00.000000Z' };
    await c.call('POST', leases, { metadata: { name: 'forged', labels }, spec });
    const names = (await liveLeases(c.connection)).map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(before.map(({ name }) => name)));
    await c.call('DELETE', `${leases}/forged`);
  });

  it('does not look switched when another client writes under the name of Keyturn, and takes it back', async () => {
    const operationId = newOperationId();
    const { canaries } = await takeBaseline(c.connection, operationId);
    const [canary] = canaries;
    if (!canary) throw new Error('There is no canary.');
    // The times in `managedFields` are whole seconds.
    const { managedFields } = await metadataOf(c, canary);
    await eventually(() => Date.now() >= Date.parse(managedFields[0]?.time ?? '') + 1000);
    const path = `/api/v1/namespaces/${canary.namespace}/secrets/${canary.name}?fieldManager=keyturn`;
    await c.call('PATCH', path, { metadata: { annotations: { mark: 'of another client' } } });
    await c.call('PATCH', path, { metadata: { annotations: { mark: null } } });
    const now = await readSecret(c.connection, canary);
    expect(now.annotations).toEqual({});
    // Only a record that changed while its content is the same was stored under another key.
    expect(now.resourceVersion).not.toBe(canary.resourceVersion);
    expect(now.content).not.toBe(canary.content);
    await removeCanaries(c.connection, operationId);
  });
});

describe('a cluster whose etcd is restored', () => {
  /** They fill two pages; the third has nothing but canaries, which the operation leaves out. */
  const COUNT = FIRST_PAGE_SIZE + LARGEST_PAGE_SIZE;
  let c: TestCluster;
  beforeAll(async () => {
    c = await TestCluster.start();
    await seedSecrets(c.cluster.adminKubeconfig, { count: COUNT, namespaces: ['app'] });
  });
  afterAll(() => c.stop());

  it('is not proven: resource versions went backwards, after the last list or before it', async () => {
    const snapshot = await c.cluster.snapshot();
    const { bounds, convergence, proof } = await turn(
      c,
      () => c.switchKey(),
      () => c.target,
    );
    expect(proof).toMatchObject({ secrets: COUNT, unproven: 0, convergenceHeld: true });

    let listed = false;
    let restored: Promise<void> | undefined;
    /** Restores before the first question for a resource version that comes after the list. */
    const requestText: KubeConnection['requestText'] = async (request) => {
      const isCount = request.path === '/api/v1/secrets?limit=1';
      if (listed && isCount) await (restored ??= c.cluster.restore(snapshot));
      const answer = await c.connection.requestText(request);
      if (request.path.startsWith('/api/v1/secrets?') && !isCount) listed = true;
      return answer;
    };
    const input = { target: c.target, operationId: newOperationId(), bounds, convergence, pace: PACE };
    const backwards = { type: 'ResourceVersionWentBackwards', nonRetryable: true };
    const restoring = { ...c.connection, requestText };
    await expect(proveSecrets(restoring, input, testRunning(), LIMITS)).rejects.toMatchObject(backwards);
    expect(restored).toBeDefined();
    expect(await c.stored()).toMatchObject({ oldKey: COUNT, newKey: 0 });

    const { operationId } = input;
    const rewriting = rewriteSecrets(c.connection, { bounds, operationId, pace: PACE }, testRunning());
    await expect(rewriting).rejects.toMatchObject(backwards);
    await expect(proveSecrets(c.connection, input, testRunning(), LIMITS)).rejects.toMatchObject(backwards);
  });
});
