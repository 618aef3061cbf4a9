/** GET /v1/clusters/{ARM path}/encryption and /csi. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { ApiError } from '../../api/problem';
import { inspectCsi } from '../../domain/csi/inspection';
import { inspect } from '../../domain/inspection';
import { csiInside, goodCluster, goodKey, KEY_1, NOW } from '../domain/fixtures';
import { CLUSTER, startTestApi, type Reply, type TestApi } from './support';

describe('how the encryption of a cluster stands', () => {
  let api: TestApi;
  beforeEach(async () => {
    api = await startTestApi();
  });
  afterEach(() => api.close());
  const read = (cluster = CLUSTER): Promise<Reply> =>
    api.call('GET', `/v1/clusters${cluster}/encryption`, { token: api.as.rita });

  it('is answered to a reader', async () => {
    const inspection = inspect({
      at: NOW,
      cluster: goodCluster(),
      keys: [{ found: true, key: goodKey(KEY_1) }],
      inside: { ledger: null, confirmed: true, changedSinceProof: false, apiServers: 1 },
    });
    api.gateway.inspected.set(CLUSTER, { found: true, inspection });
    const reply = await read();
    expect(reply.status).toBe(200);
    expect(JSON.parse(reply.text)).toEqual(inspection);
  });

  it('is not answered for a cluster that is not there, nor without a worker', async () => {
    expect((await read()).problem()).toMatchObject({ code: 'ClusterNotFound', status: 422 });
    // A name that goes on in another path of ARM.
    expect((await read(`${CLUSTER}%2FlistClusterAdminCredential`)).problem()).toMatchObject({
      code: 'InvalidClusterId',
    });
    api.gateway.outage = new ApiError({ code: 'WorkerUnavailable', detail: 'No worker looked.' });
    expect((await read()).problem()).toMatchObject({ code: 'WorkerUnavailable', status: 503 });
    expect((await read('/subscriptions/s/resourceGroups/g')).problem()).toMatchObject({ code: 'RouteNotFound' });
  });
});

describe('what connects the pods of a cluster with vaults', () => {
  let api: TestApi;
  beforeEach(async () => {
    api = await startTestApi();
  });
  afterEach(() => api.close());
  const read = (cluster = CLUSTER): Promise<Reply> =>
    api.call('GET', `/v1/clusters${cluster}/csi`, { token: api.as.rita });

  it('is answered to a reader, and not for a cluster that is not there', async () => {
    const inspection = inspectCsi({ at: NOW, cluster: goodCluster(), inside: csiInside(), azure: [] });
    api.gateway.inspectedCsi.set(CLUSTER, { found: true, inspection });
    expect(JSON.parse((await read()).text)).toEqual(inspection);
    expect((await read(`${CLUSTER}x`)).problem()).toMatchObject({ code: 'ClusterNotFound', status: 422 });
  });
});
