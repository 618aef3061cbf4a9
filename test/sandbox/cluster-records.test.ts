/** Seeding a real cluster, and reading from its etcd how each Secret is stored. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createCluster } from '../../sandbox/cluster/cluster';
import type { SandboxCluster } from '../../sandbox/cluster/contract';
import { providerName } from '../../sandbox/cluster/key-id';
import { countByKey, readSecretRecords, type SecretRecord } from '../../sandbox/cluster/raw-records';
import { seededName, seedSecrets } from '../../sandbox/cluster/seed';
import { adminClient, createMemoryVault, temporaryDirectory } from './cluster-support';

const COUNT = 500;
const MARKER = 'marker-of-the-records-test-';
const vault = createMemoryVault();
const kid = vault.addKey();
const other = vault.addKey();
let cluster: SandboxCluster;

beforeAll(async () => {
  cluster = await createCluster({
    name: 'aks-records',
    kubernetesMinor: '1.34',
    encryption: { write: 'identity', slots: [] },
    crypto: vault,
    directory: await temporaryDirectory(),
  });
});

afterAll(() => cluster?.destroy());

async function allRecords(): Promise<SecretRecord[]> {
  const records: SecretRecord[] = [];
  for await (const record of readSecretRecords(cluster.etcdUrl)) records.push(record);
  return records;
}

describe('seeding', () => {
  const options = {
    count: COUNT,
    namespaces: ['team-a', 'team-b', 'team-c'],
    immutableEvery: 20,
    largeEvery: 50,
    marker: MARKER,
  };

  test('fills several namespaces with as many Secrets as asked, within seconds', async () => {
    const startedAt = performance.now();
    expect(await seedSecrets(cluster.adminKubeconfig, options)).toEqual({ created: COUNT, existing: 0 });
    expect(performance.now() - startedAt).toBeLessThan(15_000);
    const records = await allRecords();
    expect(new Set(records.map(({ name }) => name)).size).toBe(COUNT);
    expect(records.map(({ name }) => name)).toContain(seededName(COUNT));
    const inTeam = (team: string): number => records.filter(({ namespace }) => namespace === team).length;
    expect(['team-a', 'team-b', 'team-c'].map(inTeam)).toEqual([167, 167, 166]);
  });

  test('makes some Secrets immutable, some large, and marks every value', async () => {
    const admin = adminClient(cluster.adminKubeconfig);
    const { text } = await admin.text('/api/v1/namespaces/team-a/secrets/secret-00100');
    await admin.close();
    const secret = JSON.parse(text) as { immutable?: boolean; type: string; data: Record<string, string> };
    expect(secret).toMatchObject({ immutable: true, type: 'Opaque' });
    const values = Object.values(secret.data).map((value) => Buffer.from(value, 'base64').toString());
    expect(values.every((value) => value.startsWith(MARKER))).toBe(true);
    expect(Math.max(...values.map((value) => value.length))).toBe(100 * 1024);
  });

  test('leaves what is there alone', async () => {
    const before = await allRecords();
    const more = { ...options, count: COUNT + 1 };
    expect(await seedSecrets(cluster.adminKubeconfig, more)).toEqual({ created: 1, existing: COUNT });
    expect(await allRecords()).toEqual(expect.arrayContaining(before));
  });

  test('says what the API server refused', async () => {
    const wrong = seedSecrets(cluster.adminKubeconfig, { count: 1, namespaces: ['Not A Name'] });
    await expect(wrong).rejects.toThrow(/Not A Name could not be made at \/api\/v1\/namespaces: 422/);
  });
});

describe('raw records', () => {
  test('show plaintext without its values', async () => {
    const records = await allRecords();
    expect(records.every(({ scheme }) => scheme === 'plaintext')).toBe(true);
    expect(JSON.stringify(records)).not.toContain(MARKER);
    expect(records[0]).toEqual({
      namespace: 'team-a',
      name: 'secret-00001',
      modRevision: expect.stringMatching(/^\d+$/),
      scheme: 'plaintext',
    });
  });

  test('are counted by the key that they are under', async () => {
    const count = (keys: { newKeyId: string; oldKeyId?: string }) =>
      countByKey(readSecretRecords(cluster.etcdUrl), keys);
    expect(await count({ newKeyId: kid })).toEqual({ newKey: 0, oldKey: 0, plaintext: COUNT + 1, other: 0 });
    await cluster.applyEncryption({ write: 'kms', slots: [kid] });
    await seedSecrets(cluster.adminKubeconfig, { count: 30, namespaces: ['team-d'] });
    expect(await count({ newKeyId: kid })).toEqual({ newKey: 30, oldKey: 0, plaintext: COUNT + 1, other: 0 });
    expect(await count({ newKeyId: other, oldKeyId: kid })).toMatchObject({ newKey: 0, oldKey: 30 });
    expect(await count({ newKeyId: other })).toMatchObject({ oldKey: 0, other: 30 });
  });

  test('of KMS v1 are told by the name of their provider', async () => {
    const v1 = { namespace: 'a', name: 'b', modRevision: '1', scheme: 'kms-v1', provider: providerName(kid) } as const;
    expect(await countByKey([v1], { newKeyId: other, oldKeyId: kid })).toMatchObject({ oldKey: 1 });
  });

  test('cannot be had from an etcd that is not there, and that is an error', async () => {
    await expect(countByKey(readSecretRecords('http://127.0.0.1:1'), { newKeyId: kid })).rejects.toThrow(
      'ECONNREFUSED',
    );
  });
});
