/** API servers that disagree about the write key, behind one address: the case that a rewrite must not run in. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { takeBaseline } from '../../activities/canaries';
import { awaitConvergence } from '../../activities/convergence';
import { connectKubernetes, type KubeConnection } from '../../activities/kubernetes/connection';
import { recheckConvergence } from '../../activities/convergence-recheck';
import type { Baseline, Convergence } from '../../domain/convergence';
import { encryptionConfiguration } from '../../sandbox/cluster/encryption-config';
import { startEtcd } from '../../sandbox/cluster/etcd';
import { createKmsPlugins } from '../../sandbox/cluster/kms-plugins';
import { startApiServer, type ApiServer } from '../../sandbox/cluster/kube-apiserver';
import { adminKubeconfig } from '../../sandbox/cluster/kubeconfig';
import { prepareLayout } from '../../sandbox/cluster/layout';
import { startLoadBalancer, type LoadBalancer } from '../../sandbox/cluster/load-balancer';
import { findTool } from '../../tools';
import { createMemoryVault, temporaryDirectory } from '../sandbox/cluster-support';
import { LIMITS, testRunning } from './cluster-support';

const operationId = 'op-skew00000001';

describe('two API servers behind one address', () => {
  const vault = createMemoryVault();
  const [oldKey, newKey] = [vault.addKey(), vault.addKey()];
  const target = { scheme: 'kms-v2', keyId: newKey } as const;
  let balancer: LoadBalancer;
  let oldServer: ApiServer;
  let newServer: ApiServer;
  let connection: KubeConnection;
  let baseline: Baseline;
  let first: Convergence;
  const cleanUps: (() => Promise<unknown>)[] = [];

  beforeAll(async () => {
    const directory = await temporaryDirectory();
    cleanUps.push(() => rm(directory, { recursive: true, force: true }));
    const { layout, admin } = await prepareLayout(directory);
    const etcd = await startEtcd({
      binary: await findTool('etcd'),
      directory: layout.etcd,
      logFile: join(layout.logs, 'etcd.log'),
    });
    cleanUps.push(() => etcd.stop());
    const plugins = createKmsPlugins(layout.kms, vault);
    await plugins.start([oldKey, newKey].map((kid) => ({ version: 'v2', kids: [kid] })));
    cleanUps.push(() => plugins.retain([]));
    const binary = await findTool('kube-apiserver-1.34');
    const start = async (serial: number, slots: string[]): Promise<ApiServer> => {
      const encryption = encryptionConfiguration({ write: 'kms', slots }, plugins.endpointOf);
      const server = await startApiServer({
        binary,
        kubernetesMinor: '1.34',
        serial,
        layout,
        etcdUrl: etcd.url,
        encryption,
        admin,
      });
      cleanUps.push(() => server.stop());
      return server;
    };
    oldServer = await start(1, [oldKey, newKey]);
    newServer = await start(2, [newKey, oldKey]);
    balancer = await startLoadBalancer();
    cleanUps.push(() => balancer.close());
    connection = connectKubernetes(adminKubeconfig('c', `https://127.0.0.1:${balancer.port}`, admin), 4);
    cleanUps.push(() => connection.close());

    balancer.setBackends([oldServer.port]);
    baseline = await takeBaseline(connection, operationId);
  });
  afterAll(async () => {
    for (const cleanUp of cleanUps.reverse()) await cleanUp();
  });

  const converge = (deadlineInMs: number): Promise<Convergence> =>
    awaitConvergence(connection, { target, operationId, baseline }, testRunning(), { ...LIMITS, deadlineInMs });

  it('have not converged while they change canaries back and forth', async () => {
    balancer.setBackends([oldServer.port, newServer.port]);
    await expect(converge(3_000)).rejects.toMatchObject({
      type: 'NotConverged',
      nonRetryable: true,
      message: expect.stringMatching(/stored canaries again [1-9]/),
    });
  });

  it('have converged when only servers with the new key are left, also for one who asks again', async () => {
    balancer.setBackends([newServer.port]);
    first = await converge(20_000);
    expect(first).toMatchObject({ stillProbes: 20, metrics: 'confirmed' });
    await expect(converge(20_000)).resolves.toMatchObject({ flips: 0 });
  });

  it('no longer hold what was seen when an old server comes back', async () => {
    const holds = async (): Promise<boolean> => {
      const input = { target, operationId, convergence: first };
      return (await recheckConvergence(connection, input, testRunning(), { ...LIMITS, deadlineInMs: 3_000 })).holds;
    };
    expect(await holds()).toBe(true);
    balancer.setBackends([oldServer.port, newServer.port]);
    expect(await holds()).toBe(false);
    balancer.setBackends([newServer.port]);
    await converge(20_000);
    expect(await holds()).toBe(true);
    balancer.setBackends([oldServer.port]);
    expect(await holds()).toBe(false);
  });
});
