/** Backups of a real etcd: what a restore brings back, and that nothing else moves. The tests run in order. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createCluster } from '../../sandbox/cluster/cluster';
import { UnknownSnapshotError, type SandboxCluster } from '../../sandbox/cluster/contract';
import {
  adminClient,
  createMemoryVault,
  recordOf,
  secretPath,
  temporaryDirectory,
  type AdminClient,
} from './cluster-support';

const vault = createMemoryVault();
const [first, second, third] = [vault.addKey(), vault.addKey(), vault.addKey()];
let cluster: SandboxCluster;
let admin: AdminClient;
let snapshot: string;

beforeAll(async () => {
  cluster = await createCluster({
    name: 'aks-backup',
    kubernetesMinor: '1.34',
    encryption: { write: 'kms', slots: [first] },
    crypto: vault,
    directory: await temporaryDirectory(),
  });
  admin = adminClient(cluster.adminKubeconfig);
});

afterAll(async () => {
  await admin?.close();
  await cluster?.destroy();
});

test('a restore brings back the old objects and the old resource versions, at the same addresses', async () => {
  const { etcdUrl, adminKubeconfig } = cluster;
  await admin.createSecret('old');
  const before = await recordOf(etcdUrl, 'old');
  snapshot = await cluster.snapshot();
  expect(await recordOf(etcdUrl, 'old')).toEqual(before);
  const changed = await admin.annotate('old', 'after the snapshot');
  const born = await admin.createSecret('new');
  expect(Number(born.body.metadata?.resourceVersion)).toBeGreaterThan(Number(before?.modRevision));

  await cluster.restore(snapshot);
  expect([cluster.etcdUrl, cluster.adminKubeconfig]).toEqual([etcdUrl, adminKubeconfig]);
  expect(await recordOf(etcdUrl, 'old')).toEqual(before);
  const restored = await admin.get(secretPath('old'));
  expect(restored.body.metadata?.resourceVersion).toBe(before?.modRevision);
  expect(restored.body.metadata?.resourceVersion).not.toBe(changed.body.metadata?.resourceVersion);
  expect((await admin.get(secretPath('new'))).status).toBe(404);
});

test('an unknown snapshot is refused by name, and nothing stops', async () => {
  const before = cluster.servers();
  const refused = cluster.restore('../data');
  await expect(refused).rejects.toThrow(UnknownSnapshotError);
  await expect(refused).rejects.toThrow(`no snapshot ../data. It has ${snapshot}.`);
  expect(cluster.servers()).toEqual(before);
});

test('a snapshot of a stopped cluster leaves it stopped', async () => {
  await cluster.stop();
  const another = await cluster.snapshot();
  expect(another).not.toBe(snapshot);
  expect(cluster.servers()).toEqual([]);
  await cluster.start();
});

test('a backup from before two rotations cannot be read any more; a newer one repairs the cluster', async () => {
  await cluster.applyEncryption({ write: 'kms', slots: [second, first] });
  await admin.touch('old');
  await cluster.applyEncryption({ write: 'kms', slots: [third, second] });
  const newer = await cluster.snapshot();
  await expect(cluster.restore(snapshot)).rejects.toThrow('no matching prefix found');
  expect(cluster.servers()).toEqual([]);
  await cluster.restore(newer);
  expect((await admin.get(secretPath('old'))).status).toBe(200);
});
