/**
 * Several real API servers behind one address: identities, careful rolls, servers that are late, rolls that fail. The
 * tests of each cluster run in order.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createCluster } from '../../sandbox/cluster/cluster';
import type { EncryptionState, SandboxCluster } from '../../sandbox/cluster/contract';
import { hashKeyId } from '../../sandbox/cluster/key-id';
import {
  adminClient,
  createMemoryVault,
  eventually,
  pollWhile,
  recordOf,
  secretPath,
  temporaryDirectory,
  type AdminClient,
} from './cluster-support';

const vault = createMemoryVault();
const [first, second, third] = [vault.addKey(), vault.addKey(), vault.addKey()];
let cluster: SandboxCluster;
/** Another API server for each call. */
let admin: AdminClient;

async function start(name: string, apiServers: number, encryption: EncryptionState): Promise<void> {
  cluster = await createCluster({
    name,
    kubernetesMinor: '1.34',
    encryption,
    crypto: vault,
    directory: await temporaryDirectory(),
    apiServers,
  });
  admin = adminClient(cluster.adminKubeconfig, { freshConnections: true });
}

async function end(): Promise<void> {
  await admin?.close();
  await cluster?.destroy();
}

const writes = (): string[] => cluster.servers().map((server) => server.writes);

async function idHashes(calls: number): Promise<Set<string | undefined>> {
  const seen = new Set<string | undefined>();
  for (let call = 0; call < calls; call++) {
    const { text } = await admin.text('/metrics');
    seen.add(/apiserver_id_hash="(sha256:[0-9a-f]+)"/.exec(text)?.[1]);
  }
  return seen;
}

describe('three API servers', () => {
  beforeAll(() => start('aks_Three', 3, { write: 'kms', slots: [first] }));
  afterAll(end);

  test('count the requests about Secrets together, also those to servers that have ended since', async () => {
    const reads = async (): Promise<number> => (await cluster.secretRequests())['GET'] ?? 0;
    const before = await reads();
    const read = async (): Promise<void> => {
      for (let count = 0; count < 6; count++) await admin.text('/api/v1/namespaces/default/secrets/none');
    };
    await read();
    expect((await reads()) - before).toBe(6);
    await cluster.applyEncryption({ write: 'kms', slots: [first] });
    await read();
    expect((await reads()) - before).toBe(12);
  });

  test('have a live identity lease each, named by a host name of its own', async () => {
    const names = [1, 2, 3].map((number) => `keyturn-aks-three-${number}`);
    expect(cluster.servers().map(({ name }) => name)).toEqual(names);
    await eventually(async () => (await admin.leases()).length === 3);
    const leases = await admin.leases();
    expect(leases.map(({ hostName }) => hostName).sort()).toEqual(names);
    for (const { renewedAt } of leases) expect(Date.now() - renewedAt).toBeLessThan(60_000);
  });

  test('answer in turn over fresh connections, each with its own id', async () => {
    const hashes = await idHashes(6);
    expect(hashes.size).toBe(3);
    expect(hashes).not.toContain(undefined);
  });

  test('keep their leases through a stop and a start', async () => {
    const before = (await admin.leases()).map(({ name }) => name).sort();
    const pids = cluster.servers().map(({ pid }) => pid);
    await cluster.stop();
    expect(cluster.servers()).toEqual([]);
    await cluster.start();
    expect((await admin.leases()).map(({ name }) => name).sort()).toEqual(before);
    expect(cluster.servers().map(({ pid }) => pid)).not.toEqual(expect.arrayContaining(pids));
  });
});

describe('two API servers', () => {
  beforeAll(() => start('aks-two', 2, { write: 'identity', slots: [] }));
  afterAll(end);

  test('answer every read while KMS is enabled and Secrets are written', async () => {
    await admin.createSecret('written');
    let written = 0;
    let done = false;
    const enabling = cluster.applyEncryption({ write: 'kms', slots: [first] }).finally(() => (done = true));
    const write = async (): Promise<void> => {
      while (!done) {
        const { status } = await admin.annotate('written', String(++written));
        expect(status).toBe(200);
      }
    };
    const [polled] = await Promise.all([pollWhile(enabling, cluster.adminKubeconfig, secretPath('written')), write()]);
    expect(polled.failures).toEqual([]);
    expect(polled.answers).toBeGreaterThan(100);
    expect(written).toBeGreaterThan(20);
    expect(writes()).toEqual([first, first]);
    expect(await recordOf(cluster.etcdUrl, 'written')).toMatchObject({ keyIdHash: hashKeyId(first) });
  });

  test('that disagree, because one is late, change a Secret back and forth until the late one follows', async () => {
    cluster.setLateServers(1);
    await cluster.applyEncryption({ write: 'kms', slots: [second, first] });
    expect(writes()).toEqual([second, first]);
    const seen: (string | undefined)[] = [];
    for (let call = 0; call < 6; call++) {
      expect((await admin.touch('written')).status).toBe(200);
      seen.push((await recordOf(cluster.etcdUrl, 'written'))?.keyIdHash);
    }
    // The record starts under the first key: after at most one answer that changes nothing it flips with every call.
    const flips = seen.slice(1).filter((hash, index) => hash !== seen[index]);
    expect(flips).toHaveLength(5);

    cluster.setLateServers(0);
    await eventually(() => writes().every((key) => key === second));
    await admin.touch('written');
    const settled = await recordOf(cluster.etcdUrl, 'written');
    expect(settled).toMatchObject({ keyIdHash: hashKeyId(second) });
    for (let call = 0; call < 4; call++) await admin.touch('written');
    expect(await recordOf(cluster.etcdUrl, 'written')).toEqual(settled);
  });

  test('return to what they were when the second one does not get ready', async () => {
    const pids = cluster.servers().map(({ pid }) => pid);
    const rolling = cluster.applyEncryption({ write: 'kms', slots: [third, second] });
    const refused = eventually(() => cluster.servers()[0]?.pid !== pids[0]).then(() =>
      vault.refuse(third, 'Forbidden: expired'),
    );
    await expect(rolling).rejects.toThrow(/Forbidden: expired/);
    await refused;
    vault.refuse(third, undefined);
    expect(writes()).toEqual([second, second]);
    expect(cluster.servers()[1]?.pid).toBe(pids[1]);
    expect((await admin.get(secretPath('written'))).status).toBe(200);
    const before = await recordOf(cluster.etcdUrl, 'written');
    for (let call = 0; call < 2; call++) await admin.touch('written');
    expect(await recordOf(cluster.etcdUrl, 'written')).toEqual(before);
  });

  test('all run with the newest configuration after a stop and a start, the late one too', async () => {
    cluster.setLateServers(1);
    await cluster.applyEncryption({ write: 'kms', slots: [third, second] });
    expect(writes()).toEqual([third, second]);
    await cluster.stop();
    await cluster.start();
    expect(writes()).toEqual([third, third]);
    expect((await admin.get(secretPath('written'))).status).toBe(200);
    cluster.setLateServers(0);
  });
});
