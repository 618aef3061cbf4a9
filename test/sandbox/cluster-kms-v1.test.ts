/**
 * KMS v1, as AKS has it below 1.27, on a real kube-apiserver 1.26; then the upgrade to 1.27. The tests of each cluster run
 * in order.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createCluster } from '../../sandbox/cluster/cluster';
import type { KmsProviderNames, SandboxCluster } from '../../sandbox/cluster/contract';
import { hashKeyId, providerName, SHARED_PROVIDER_NAME } from '../../sandbox/cluster/key-id';
import { countByKey, readSecretRecords } from '../../sandbox/cluster/raw-records';
import {
  adminClient,
  createMemoryVault,
  recordOf,
  secretPath,
  temporaryDirectory,
  type AdminClient,
} from './cluster-support';

const vault = createMemoryVault();
const [first, second] = [vault.addKey(), vault.addKey()];
let cluster: SandboxCluster;
let admin: AdminClient;

async function start(kmsProviderNames: KmsProviderNames): Promise<void> {
  cluster = await createCluster({
    name: `aks-v1-${kmsProviderNames}`,
    kubernetesMinor: '1.26',
    encryption: { write: 'kms', slots: [first] },
    crypto: vault,
    directory: await temporaryDirectory(),
    kmsProviderNames,
  });
  admin = adminClient(cluster.adminKubeconfig);
}

async function end(): Promise<void> {
  await admin?.close();
  await cluster?.destroy();
}

const record = (name: string) => recordOf(cluster.etcdUrl, name);
const count = (newKeyId: string, oldKeyId: string) =>
  countByKey(readSecretRecords(cluster.etcdUrl), { newKeyId, oldKeyId });
const password = async (name: string): Promise<string> => {
  const { data } = JSON.parse((await admin.text(secretPath(name))).text) as { data: { password: string } };
  return Buffer.from(data.password, 'base64').toString();
};

describe('KMS v1 with a provider name per key', () => {
  beforeAll(() => start('per-key'));
  afterAll(end);

  test('stores a Secret under the key in the first slot, and gives it back', async () => {
    const made = await admin.createSecret('one');
    expect(await record('one')).toEqual({
      namespace: 'default',
      name: 'one',
      modRevision: made.body.metadata?.resourceVersion,
      scheme: 'kms-v1',
      provider: providerName(first),
      keyIdHash: hashKeyId(first),
    });
    expect(await password('one')).toBe('value of one');
  });

  test('shows a rotation to the API server: an empty patch rewrites, once', async () => {
    await cluster.applyEncryption({ write: 'kms', slots: [second, first] });
    expect(await password('one')).toBe('value of one');
    const rewritten = await admin.touch('one');
    expect(await record('one')).toMatchObject({
      modRevision: rewritten.body.metadata?.resourceVersion,
      provider: providerName(second),
      keyIdHash: hashKeyId(second),
    });
    expect((await admin.touch('one')).body).toEqual(rewritten.body);
  });

  test('cannot be upgraded past KMS v1 while it is on, and says what to do', async () => {
    const before = cluster.servers();
    await expect(cluster.upgrade('1.27')).rejects.toThrow('Disable KMS and rewrite all Secrets first');
    expect(cluster.servers()).toEqual(before);
  });

  test('once disabled and rewritten is upgraded to 1.27 on the same etcd, and can be enabled as KMS v2', async () => {
    await cluster.applyEncryption({ write: 'identity', slots: [second] });
    await admin.touch('one');
    const before = await record('one');
    expect(before).toMatchObject({ scheme: 'plaintext' });
    const { etcdUrl } = cluster;

    await cluster.upgrade('1.27');
    expect(cluster.etcdUrl).toBe(etcdUrl);
    expect(cluster.servers()).toMatchObject([{ kubernetesMinor: '1.27', writes: 'identity' }]);
    expect(await password('one')).toBe('value of one');
    expect(await record('one')).toEqual(before);

    await cluster.applyEncryption({ write: 'kms', slots: [first, second] });
    await admin.touch('one');
    expect(await record('one')).toMatchObject({ scheme: 'kms-v2', keyIdHash: hashKeyId(first) });
    // The slot that was there through the upgrade reads as KMS v2 too.
    await cluster.applyEncryption({ write: 'kms', slots: [second, first] });
    expect(await password('one')).toBe('value of one');
  });
});

describe('KMS v1 with one provider name for all keys', () => {
  beforeAll(() => start('shared'));
  afterAll(end);

  test('hides a rotation from the API server: an empty patch changes nothing, a real change writes the new key', async () => {
    const made = await admin.createSecret('one');
    await admin.createSecret('two');
    await cluster.applyEncryption({ write: 'kms', slots: [second, first] });
    const touched = await admin.touch('one');
    expect(touched.status).toBe(200);
    expect(touched.body.metadata?.resourceVersion).toBe(made.body.metadata?.resourceVersion);
    expect(await record('one')).toMatchObject({ provider: SHARED_PROVIDER_NAME, keyIdHash: hashKeyId(first) });

    const changed = await admin.annotate('one', 'changed');
    expect(changed.body.metadata?.resourceVersion).not.toBe(made.body.metadata?.resourceVersion);
    expect(await record('one')).toMatchObject({ provider: SHARED_PROVIDER_NAME, keyIdHash: hashKeyId(second) });
    expect(await count(second, first)).toEqual({ newKey: 1, oldKey: 1, plaintext: 0, other: 0 });
    expect([await password('one'), await password('two')]).toEqual(['value of one', 'value of two']);
  });
});
