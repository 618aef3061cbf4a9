/** The way into a cluster whose certificates are rotated while work is under way: found anew, and ARM is not stormed. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { createClusterConnections, type ClusterConnections } from '../../activities/cluster-connections';
import type { KubeConnection } from '../../activities/kubernetes/connection';
import { countSecrets } from '../../activities/kubernetes/secret-list';
import { ArmError } from '../../azure/errors';
import { createAuthority } from '../../sandbox/pki';
import { adminKubeconfig } from '../../sandbox/cluster/kubeconfig';
import { eventually } from '../sandbox/cluster-support';
import { TestCluster } from './cluster-support';

const CLUSTER = '/subscriptions/s/resourceGroups/g/providers/Microsoft.ContainerService/managedClusters/c1';
const AT_THE_SAME_TIME = 30;
const signal = new AbortController().signal;

describe('the kubeconfigs of clusters', () => {
  let kubeconfig: string;
  beforeAll(async () => {
    const { certPem: caPem, issue } = await createAuthority('test');
    const own = await issue({ commonName: 'admin', usage: 'client' });
    kubeconfig = adminKubeconfig('c', 'https://127.0.0.1:1', { caPem, ...own });
  });
  const none = (): Promise<void> => Promise.resolve();

  it('do not stay in memory when nobody asks for them any more', async () => {
    const clusters = { adminKubeconfig: () => Promise.resolve(kubeconfig) };
    const connections = createClusterConnections(clusters, 1, { keptForInMs: 50, askedEveryInMs: 0 });
    await Promise.all(['a', 'b'].map((name) => connections.use(CLUSTER + name, signal, none)));
    expect(connections.known).toBeGreaterThan(0);
    await eventually(() => connections.known === 0);
  });

  it('that ARM does not give leave nothing in memory', async () => {
    const clusters = { adminKubeconfig: () => Promise.reject(new Error('There is no such cluster.')) };
    const connections = createClusterConnections(clusters, 1, { keptForInMs: 300_000, askedEveryInMs: 0 });
    await expect(connections.use(CLUSTER, signal, none)).rejects.toThrow('There is no such cluster.');
    expect(connections.known).toBe(0);
  });
});

describe('a connection to a cluster whose certificates are rotated', () => {
  let c: TestCluster;
  let asked: number;
  /** What ARM gives. */
  let arm: () => Promise<string>;
  beforeAll(async () => {
    c = await TestCluster.start();
  });
  afterAll(() => c.stop());
  beforeEach(() => {
    asked = 0;
    arm = () => Promise.resolve(c.cluster.adminKubeconfig);
  });

  const connections = (askedEveryInMs = 0): ClusterConnections =>
    createClusterConnections(
      {
        adminKubeconfig: () => {
          asked++;
          return arm();
        },
      },
      AT_THE_SAME_TIME,
      { keptForInMs: 300_000, askedEveryInMs },
    );
  const count = async (connection: KubeConnection): Promise<number> => (await countSecrets(connection)).count;

  it('goes on with new credentials: all requests that fail at the same time ask ARM once', async () => {
    const counts = await connections().use(CLUSTER, signal, async (connection) => {
      const before = await count(connection);
      await c.cluster.rotateCertificates();
      const after = await Promise.all(Array.from({ length: AT_THE_SAME_TIME }, () => count(connection)));
      return [before, ...after];
    });
    expect(new Set(counts).size).toBe(1);
    expect(asked).toBe(2);
  });

  it('says what is wrong when ARM gives the same credentials, and asks it no more often than it may', async () => {
    const stale = c.cluster.adminKubeconfig;
    arm = () => Promise.resolve(stale);
    await c.cluster.rotateCertificates();
    await connections(300_000).use(CLUSTER, signal, async (connection) => {
      for (let request = 0; request < 5; request++) {
        await expect(count(connection)).rejects.toMatchObject({
          name: 'KubeError',
          status: undefined,
          transient: true,
        });
      }
    });
    expect(asked).toBe(1);
  });

  it('leaves a failure that a retry overcomes while ARM does not answer', async () => {
    await connections().use(CLUSTER, signal, async (connection) => {
      await count(connection);
      await c.cluster.rotateCertificates();
      arm = () => Promise.reject(new ArmError({ status: 503, code: 'Busy', message: 'Busy.', retryable: true }));
      await expect(count(connection)).rejects.toMatchObject({ name: 'KubeError', transient: true });
      arm = () => Promise.resolve(c.cluster.adminKubeconfig);
      expect(await count(connection)).toBeGreaterThanOrEqual(0);
    });
  });
});
