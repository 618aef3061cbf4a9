/** Clusters that are not as simple as the demo's: late API servers, KMS v1, records that cannot be read. */
import { afterAll, describe, expect, it } from '@jest/globals';
import { Client } from 'undici';
import { clusterWrites } from '../../launch/sandbox-control';
import { countByKey, readSecretRecords } from '../../sandbox/cluster/raw-records';
import { askForRotation, control, ended, makeCluster, openTemporal, people, until } from '../support/stack';
import { keyVersions } from '../support/vault';

const NONE = { newKey: 0, oldKey: 0, plaintext: 0, other: 0 };

describe('a rotation of a cluster', () => {
  afterAll(() => control().clearFault('late-servers'));

  it('with three API servers waits for the late one by name, and proves nothing before it has switched', async () => {
    const { requester, approver1 } = people();
    const cluster = await makeCluster('late', { count: 60 }, { apiServers: 3 });
    const asked = await askForRotation(requester, cluster.resourceId);
    await control().setFault('late-servers', { path: '/managedClusters/late', servers: 1 });
    await approver1.approve(asked.id, asked.plan?.digest ?? '');
    const waiting = await until(requester, asked.id, ({ waitingFor }) => waitingFor?.includes('another key') ?? false);

    const { clusters } = await control().state();
    const late = clusters.find(({ name }) => name === 'late')?.servers?.find(({ writes }) => writes === cluster.keyId);
    expect(waiting.waitingFor).toContain(`(host ${late?.name}) last wrote with another key`);
    expect(waiting.steps.find(({ id }) => id === 'rotate.converge')).toMatchObject({ status: 'running' });
    expect(waiting.progressText).toContain(String(late?.name));

    await control().clearFault('late-servers');
    const over = await ended(requester, asked.id);
    expect(over).toMatchObject({
      status: 'Succeeded',
      result: { proof: { secrets: 60, unproven: 0, convergenceHeld: true, weaknesses: [] } },
    });
    expect(over.steps.find(({ id }) => id === 'rotate.converge')?.result).toContain('3 API server(s) agree');
    const newKeyId = over.result?.currentKeyId ?? '';
    expect(await countByKey(readSecretRecords(cluster.etcd), { newKeyId })).toEqual({ ...NONE, newKey: 60 });
  });

  it('with KMS v1 keeps to what the vault takes, and names the weaker evidence', async () => {
    const { requester, approver1 } = people();
    // Half of what the vault takes with a 4096-bit key would do for 8 a second; the owners allow 6.
    const options = { kubernetesVersion: '1.26', keySize: 4096, tags: { 'keyturn-rewrites-per-second': '6' } };
    const cluster = await makeCluster('kms-v1', { count: 24 }, options);
    const asked = await askForRotation(requester, cluster.resourceId);
    expect(asked.plan?.to).toMatchObject({ scheme: 'kms-v1' });
    expect(asked.plan?.steps).toContainEqual(expect.objectContaining({ id: 'rotate.rewrite', perSecond: 6 }));
    expect(asked.plan?.warnings.map(({ code }) => code)).toContain('KmsV1');
    expect(asked.plan?.steps.find(({ id }) => id === 'rotate.rewrite')?.reason).toContain('At most 6 Secrets a second');
    await approver1.approve(asked.id, asked.plan?.digest ?? '');
    const over = await ended(requester, asked.id);
    expect(over).toMatchObject({
      status: 'Succeeded',
      result: { rewrite: { rewritten: 24, bounds: { method: 'no-op' } }, proof: { secrets: 24, unproven: 0 } },
    });
    expect(over.result?.proof?.weaknesses.join()).toContain('KMS v1');
    const step = over.steps.find(({ id }) => id === 'rotate.rewrite');
    expect(Date.parse(step?.endedAt ?? '') - Date.parse(step?.startedAt ?? '')).toBeGreaterThan(3_500);
    const newKeyId = over.result?.currentKeyId ?? '';
    expect(await countByKey(readSecretRecords(cluster.etcd), { newKeyId })).toEqual({ ...NONE, newKey: 24 });
  });

  it('with a record that cannot be read is refused before any key is touched', async () => {
    const { requester } = people();
    const cluster = await makeCluster('unreadable', { count: 10 });
    const key = Buffer.from('/registry/secrets/default/secret-00001').toString('base64');
    const value = Buffer.from('k8s:enc:kms:v2:gone:whatever').toString('base64');
    const etcd = new Client(cluster.etcd);
    const answer = await etcd.request({ method: 'POST', path: '/v3/kv/put', body: JSON.stringify({ key, value }) });
    await answer.body.dump();
    await etcd.destroy();
    expect(answer.statusCode).toBe(200);

    const asked = await askForRotation(requester, cluster.resourceId);
    expect(asked).toMatchObject({
      status: 'Failed',
      plan: null,
      reason: { code: 'SecretsUnreadable', detail: expect.stringContaining('default/secret-00001') },
    });
    // The PUT that made it, and nothing since.
    expect(clusterWrites(await control().journal(), cluster.resourceId)).toBe(1);
    expect(await keyVersions(cluster.keyId)).toHaveLength(1);
  });
});

describe('the history of an operation', () => {
  it('has as many events for many Secrets as for few', async () => {
    const { requester, approver1 } = people();
    const cluster = await makeCluster('history', { count: 20 });
    const client = await openTemporal();
    const rotate = async (): Promise<number> => {
      const asked = await askForRotation(requester, cluster.resourceId);
      await approver1.approve(asked.id, asked.plan?.digest ?? '');
      expect(await ended(requester, asked.id)).toMatchObject({ status: 'Succeeded' });
      const { events } = await client.workflow.getHandle(asked.id).fetchHistory();
      // Temporal groups what it delivers to the worker; how is chance. What the workflow asked for is not.
      return (events ?? []).filter(({ activityTaskScheduledEventAttributes }) => activityTaskScheduledEventAttributes)
        .length;
    };
    await rotate();
    const few = await rotate();
    await control().seed('history', { count: 1_200 });
    expect(await rotate()).toBe(few);
    await client.connection.close();
  });
});
