import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { request } from 'undici';
import { GROUP, TestAzure, type RawAnswer } from './azure-support';

const FAST = { updateIntervalInMs: 5 };

describe('the sandbox faults, journal and control API', () => {
  let azure: TestAzure;
  let identityId: string;
  let keyIds: string[];
  const vault = 'kv-faults-1';

  beforeEach(async () => {
    azure = await TestAzure.start();
    ({ identityId } = await azure.provision(vault));
    const keys = azure.keys(vault);
    keyIds = [String((await keys.createRsaKey('etcd')).id), String((await keys.rotateKey('etcd')).id)];
    await azure.containers.managedClusters.createOrUpdate(
      GROUP,
      'c1',
      azure.clusterParameters(identityId, keyIds[0]),
      FAST,
    );
  });
  afterEach(() => azure.stop());

  const control = async (
    method: string,
    path: string,
    body?: unknown,
    token = azure.sandbox.control.token,
  ): Promise<{ status: number; body: Record<string, unknown> }> => {
    const answer = await request(`${azure.sandbox.control.url}${path}`, {
      method: method as 'GET',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    return { status: answer.statusCode, body: (await answer.body.json()) as Record<string, unknown> };
  };
  const turn = async (headers: Record<string, string> = {}): Promise<RawAnswer> => {
    const { body } = await azure.arm('GET', azure.clusterPath('c1'));
    const properties = body['properties'] as Record<string, unknown>;
    properties['securityProfile'] = {
      azureKeyVaultKms: { enabled: true, keyId: keyIds[1], keyVaultNetworkAccess: 'Public' },
    };
    return azure.arm('PUT', azure.clusterPath('c1'), { body, headers });
  };
  const clusterProperties = async (): Promise<Record<string, unknown>> => {
    const { body } = await azure.arm('GET', azure.clusterPath('c1'));
    return body['properties'] as Record<string, unknown>;
  };
  const kmsPuts = (): unknown[] => azure.sandbox.journal.entries().filter((entry) => entry.kms);

  it('throttles the next ARM requests with Retry-After, and the SDK gets over it', async () => {
    await control('PUT', '/faults/throttle', { requests: 2 });
    const first = await azure.arm('GET', azure.clusterPath('c1'));
    expect([first.status, first.headers['retry-after']]).toEqual([429, '1']);
    expect((await azure.containers.managedClusters.get(GROUP, 'c1')).name).toBe('c1');
    expect((await control('GET', '/faults')).body).toEqual({});
  });

  it('answers 503 as often as it is told, and not in vaults or at Entra', async () => {
    azure.sandbox.faults.set('server-error', { requests: 1 });
    expect((await azure.vault('GET', vault, '/keys/etcd')).status).toBe(200);
    expect((await azure.arm('GET', azure.clusterPath('c1'))).status).toBe(503);
    expect((await azure.arm('GET', azure.clusterPath('c1'))).status).toBe(200);
  });

  it('carries out a PUT whose answer is lost, once', async () => {
    azure.sandbox.faults.set('lost-response');
    await expect(turn()).rejects.toThrow(/closed|reset|other side/i);
    expect(azure.sandbox.journal.entries().at(-1)).toMatchObject({
      method: 'PUT',
      status: 200,
      answered: false,
      kms: true,
    });
    expect(azure.sandbox.faults.active()).toEqual({});
    expect(await clusterProperties()).toMatchObject({ securityProfile: { azureKeyVaultKms: { keyId: keyIds[1] } } });
    expect(azure.clusters[0]?.states.at(-1)).toEqual({ write: 'kms', slots: [keyIds[1], keyIds[0]] });
  });

  it('spends a lost response neither on a refusal nor on another path', async () => {
    azure.sandbox.faults.set('lost-response');
    expect((await turn({ 'if-match': 'stale' })).status).toBe(412);
    azure.sandbox.faults.clear('lost-response');
    azure.sandbox.faults.set('lost-response', { method: 'POST', path: '/keys/etcd/rotate' });
    expect((await turn()).status).toBe(200);
    await expect(azure.vault('POST', vault, '/keys/etcd/rotate')).rejects.toThrow();
    const versions: unknown[] = [];
    for await (const version of azure.keys(vault).listPropertiesOfKeyVersions('etcd')) versions.push(version);
    expect(versions).toHaveLength(3);
  });

  it('holds operations before they do anything, until released', async () => {
    await control('PUT', '/faults/hold-operation');
    const accepted = await turn();
    const token = await azure.token('https://management.azure.com');
    const poll = await azure.raw('GET', String(accepted.headers['azure-asyncoperation']), { token });
    expect(poll.body['status']).toBe('InProgress');
    expect(azure.clusters[0]?.states).toHaveLength(1);
    await control('DELETE', '/faults/hold-operation');
    expect(await azure.poll(accepted)).toMatchObject({ status: 'Succeeded' });
  });

  it('can be closed while operations are held', async () => {
    azure.sandbox.faults.set('hold-operation');
    await turn();
    await azure.sandbox.close();
    expect(azure.clusters[0]?.events).toEqual(['destroy']);
    azure = await TestAzure.start();
  });

  it('fails the next operation with the code given, and the SDK says so without a code', async () => {
    azure.sandbox.faults.set('fail-operation', { code: 'QuotaExceeded', message: 'No more cores.' });
    const error: unknown = await azure.containers.managedClusters
      .createOrUpdate(GROUP, 'c1', azure.clusterParameters(identityId, keyIds[1]), FAST)
      .catch((reason: unknown) => reason);
    expect(String(error)).toContain('QuotaExceeded');
    expect(await clusterProperties()).toMatchObject({
      provisioningState: 'Failed',
      securityProfile: { azureKeyVaultKms: { keyId: keyIds[1] } },
      status: { provisioningError: { code: 'QuotaExceeded' } },
    });
    // The API servers had switched all the same.
    expect(azure.clusters[0]?.states.at(-1)).toEqual({ write: 'kms', slots: [keyIds[1], keyIds[0]] });
  });

  it('can fail an operation without having touched the cluster', async () => {
    azure.sandbox.faults.set('fail-operation', { applied: false });
    expect(await azure.poll(await turn())).toMatchObject({
      status: 'Failed',
      error: { code: 'InternalOperationError' },
    });
    expect(azure.clusters[0]?.states).toHaveLength(1);
    expect(await azure.poll(await turn())).toMatchObject({ status: 'Succeeded' });
    expect(azure.clusters[0]?.states.at(-1)).toEqual({ write: 'kms', slots: [keyIds[1], keyIds[0]] });
  });

  it('delays the API servers of clusters that are there and of those that come', async () => {
    await control('PUT', '/faults/kube-latency', { milliseconds: 40 });
    const parameters = azure.clusterParameters(identityId);
    await azure.containers.managedClusters.createOrUpdate(GROUP, 'c2', parameters, FAST);
    expect(azure.clusters.map((cluster) => cluster.latencyInMs)).toEqual([40, 40]);
    await control('DELETE', '/faults/kube-latency');
    expect(azure.clusters.map((cluster) => cluster.latencyInMs)).toEqual([0, 0]);
  });

  it('makes API servers late in the clusters whose id it names, those that come included, until it is switched off', async () => {
    await control('PUT', '/faults/late-servers', { path: '/managedClusters/C', servers: 2 });
    await azure.containers.managedClusters.createOrUpdate(GROUP, 'c2', azure.clusterParameters(identityId), FAST);
    await azure.containers.managedClusters.createOrUpdate(GROUP, 'd1', azure.clusterParameters(identityId), FAST);
    expect(azure.clusters.map((cluster) => cluster.lateServers)).toEqual([2, 2, 0]);
    // One of several, by its own path.
    await control('PUT', '/faults/late-servers', { path: '/managedClusters/d1' });
    expect(azure.clusters.map((cluster) => cluster.lateServers)).toEqual([2, 2, 1]);
    await control('DELETE', `/faults/late-servers?path=${encodeURIComponent('/managedClusters/c')}`);
    expect(azure.clusters.map((cluster) => cluster.lateServers)).toEqual([0, 0, 1]);
    expect(await azure.poll(await turn())).toMatchObject({ status: 'Succeeded' });
    await control('DELETE', '/faults/late-servers');
    expect(azure.clusters.map((cluster) => cluster.lateServers)).toEqual([0, 0, 0]);
    expect((await control('PUT', '/faults/late-servers', { servers: 0 })).status).toBe(400);
  });

  it('saves and restores the etcd of a cluster, and refuses what it does not know', async () => {
    const saved = await control('POST', '/clusters/c1/snapshots');
    expect([saved.status, saved.body]).toEqual([201, { snapshot: 'snapshot-1' }]);
    const restored = await control('POST', '/clusters/C1/restore', { snapshot: 'snapshot-1' });
    expect([restored.status, azure.clusters[0]?.events]).toEqual([200, ['restore snapshot-1']]);
    expect((await control('POST', '/clusters/c1/restore', { snapshot: 'snapshot-2' })).status).toBe(404);
    expect((await control('POST', '/clusters/c9/snapshots')).status).toBe(404);
    expect((await control('POST', '/clusters/c1/snapshots', { name: 'mine' })).status).toBe(400);
    expect((await control('POST', '/clusters/c1/restore', {})).status).toBe(400);
    expect((await control('POST', '/clusters/c1/restore', { snapshot: 'snapshot-1', more: 1 })).status).toBe(400);
    expect(azure.clusters[0]?.events).toHaveLength(1);
  });

  it('counts mutating requests in the journal, and nothing else', async () => {
    const before = azure.sandbox.journal.entries().length;
    expect(kmsPuts()).toHaveLength(1);
    const body = { alg: 'RSA-OAEP-256', value: 'YQ' };
    await azure.vault('POST', vault, '/keys/etcd//encrypt', { body });
    await azure.arm('POST', `${azure.clusterPath('c1')}/listClusterAdminCredential`);
    expect(azure.sandbox.journal.entries()).toHaveLength(before);

    await azure.poll(await turn());
    await azure.poll(await turn());
    expect((await turn({ 'if-match': 'stale' })).status).toBe(412);
    await azure.keys(vault).rotateKey('etcd');
    const { entries } = (await control('GET', '/journal')).body as { entries: Record<string, unknown>[] };
    expect(entries.slice(before).map(({ method, host, status, kms }) => [method, host, status, kms])).toEqual([
      ['PUT', 'management.azure.com', 200, true],
      ['PUT', 'management.azure.com', 200, false],
      ['PUT', 'management.azure.com', 412, false],
      ['POST', `${vault}.vault.azure.net`, 401, false],
      ['POST', `${vault}.vault.azure.net`, 200, false],
    ]);
    expect(Object.keys(entries.at(-1) ?? {}).sort()).toEqual(
      ['answered', 'host', 'kms', 'method', 'path', 'status', 'time'].sort(),
    );
  });

  it('shows slots, clusters and keys in the state, and no secret', async () => {
    await azure.poll(await turn());
    const { body } = await control('GET', '/state');
    expect(body).toMatchObject({
      clusters: [
        {
          name: 'c1',
          provisioningState: 'Succeeded',
          encryption: { write: 'kms', slots: [keyIds[1], keyIds[0]] },
          traffic: { bytesToClients: 2, bytesFromClients: 1 },
          servers: [{ name: 'host-c1', writes: keyIds[1] }],
        },
      ],
      vaults: [{ name: vault, keys: [{ name: 'etcd', versions: [{ kid: keyIds[0] }, { kid: keyIds[1] }] }] }],
    });
    const text = JSON.stringify(body);
    expect(text).not.toContain(azure.sandbox.clientSecret);
    expect(text).not.toMatch(/PRIVATE KEY|kubeconfig|"d":/);
  });

  it('guards the control API with its own token, and explains what it does not take', async () => {
    expect((await control('GET', '/state', undefined, 'wrong')).status).toBe(401);
    const unknown = await control('PUT', '/faults/earthquake', {});
    expect([unknown.status, unknown.body['error']]).toEqual([404, expect.stringContaining('There are: throttle')]);
    const settings = await control('PUT', '/faults/kube-latency', { milliseconds: -1 });
    expect([settings.status, settings.body['error']]).toEqual([400, expect.stringContaining('milliseconds')]);
    expect((await control('PUT', '/faults/throttle', { requests: 1, more: 1 })).status).toBe(400);
  });
});
