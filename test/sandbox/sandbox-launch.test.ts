/** Real clusters of the test run's own sandbox process, made and handled as the commands and other tests do it. */
import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from '@jest/globals';
import { makeSandboxCluster, type SandboxClusterFacts } from '../../launch/sandbox-cluster';
import { connectAzure, operationEnd } from '../../launch/azure-client';
import { SandboxControl, type SandboxState } from '../../launch/sandbox-control';
import { countByKey, readSecretRecords } from '../../sandbox/cluster/raw-records';
import { testStack } from '../support/stack';
import { kubeApi } from '../support/kube';
import { adminClient, eventually } from './cluster-support';

describe('a cluster of the sandbox process', () => {
  const { sandbox, directory } = testStack();
  const control = new SandboxControl(sandbox.control);
  const made: string[] = [];
  const make = async (name: string, options: object) => {
    const cluster = await makeSandboxCluster(sandbox, { name, vaultName: `kv-${name}`, directory, ...options });
    made.push(cluster.resourceId);
    return cluster;
  };
  const konnectivityAgents = async (cluster: SandboxClusterFacts): Promise<unknown[]> => {
    const admin = adminClient(readFileSync(cluster.kubeconfig, 'utf8'));
    const { text } = await admin.text('/api/v1/namespaces/kube-system/pods?labelSelector=app%3Dkonnectivity-agent');
    await admin.close();
    return (JSON.parse(text) as { items: { status: { phase: string } }[] }).items.map(({ status }) => status.phase);
  };
  const stateOf = async (name: string): Promise<SandboxState['clusters'][number] | undefined> =>
    (await control.state()).clusters.find((cluster) => cluster.name === name);

  afterAll(async () => {
    const azure = await connectAzure(sandbox);
    for (const id of made) await azure.request('DELETE', `https://management.azure.com${id}?api-version=2026-04-01`);
    await azure.close();
    await eventually(async () => (await control.state()).clusters.every(({ id }) => !made.includes(id)));
  });

  it('has two API servers and no KMS when asked so, and shows them with the bytes that they carried', async () => {
    const cluster = await make('launch-two', { apiServers: 2, kms: false });
    const state = await stateOf('launch-two');
    expect(state).toMatchObject({ kubernetesVersion: '1.34.1', encryption: { write: 'identity', slots: [] } });
    expect(state?.servers?.map(({ name, writes }) => [name, writes])).toEqual([
      ['keyturn-launch-two-1', 'identity'],
      ['keyturn-launch-two-2', 'identity'],
    ]);
    await control.seed('launch-two', { count: 20 });
    const after = await stateOf('launch-two');
    expect(after?.traffic?.bytesFromClients).toBeGreaterThan((state?.traffic?.bytesFromClients ?? 0) + 20 * 100);
    expect(await countByKey(readSecretRecords(cluster.etcd), { newKeyId: cluster.keyId })).toMatchObject({
      plaintext: 20,
    });
    expect(await konnectivityAgents(cluster)).toEqual(['Running', 'Running']);
  });

  it('has KMS on a private vault from the start when asked so, also after a stop and a start', async () => {
    const cluster = await make('launch-private', { vaultAccess: 'Private', vaultPermissions: 'rbac' });
    expect(await stateOf('launch-private')).toMatchObject({ vnetIntegrated: true });
    await control.seed('launch-private', { count: 3 });
    const azure = await connectAzure(sandbox);
    for (const action of ['stop', 'start']) {
      const url = `https://management.azure.com${cluster.resourceId}/${action}?api-version=2026-04-01`;
      await operationEnd(azure.request, (await azure.request('POST', url)).operationUrl ?? '', action);
    }
    await expect(azure.request('GET', `${cluster.keyId}?api-version=2025-07-01`)).rejects.toThrow(
      /403.*ForbiddenByConnection/,
    );
    await azure.close();
    expect((await kubeApi(cluster).secret('default', 'secret-00001')).metadata?.name).toBe('secret-00001');
    expect(await countByKey(readSecretRecords(cluster.etcd), { newKeyId: cluster.keyId })).toMatchObject({ newKey: 3 });
    expect(await konnectivityAgents(cluster)).toEqual([]);
  });

  it('runs KMS v1 with a large key on 1.26, and goes back to a snapshot', async () => {
    const cluster = await make('launch-v1', { kubernetesVersion: '1.26', kmsProviderNames: 'shared', keySize: 3072 });
    await control.seed('launch-v1', { count: 5 });
    const counted = () => countByKey(readSecretRecords(cluster.etcd), { newKeyId: cluster.keyId });
    expect(await counted()).toEqual({ newKey: 5, oldKey: 0, plaintext: 0, other: 0 });
    const snapshot = await control.snapshot('launch-v1');
    await control.seed('launch-v1', { count: 9 });
    expect(await counted()).toMatchObject({ newKey: 9 });
    await control.restore('launch-v1', snapshot);
    expect(await counted()).toMatchObject({ newKey: 5 });
    expect((await kubeApi(cluster).secret('default', 'secret-00001')).metadata?.name).toBe('secret-00001');
    await expect(control.restore('launch-v1', 'snapshot-7')).rejects.toThrow(/404.*no snapshot snapshot-7/);
  });
});
