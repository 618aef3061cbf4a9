/**
 * One real cluster (etcd, kube-apiserver, KMS v2 plugins) through the life of an AKS cluster: encrypt, rotate, fail,
 * disable, stop, start. The tests run in order and each leaves the cluster as its last lines say.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createLocalJWKSet, jwtVerify } from 'jose';
import { request } from 'undici';
import { createCluster } from '../../sandbox/cluster/cluster';
import type { SandboxCluster } from '../../sandbox/cluster/contract';
import { hashKeyId, providerName } from '../../sandbox/cluster/key-id';
import { readSecretRecords, type SecretRecord } from '../../sandbox/cluster/raw-records';
import { adminClient, createMemoryVault, pollWhile, temporaryDirectory, type AdminClient } from './cluster-support';

const vault = createMemoryVault();
const first = vault.addKey();
const second = vault.addKey();
const third = vault.addKey();
let directory: string;
let cluster: SandboxCluster;
let admin: AdminClient;

beforeAll(async () => {
  directory = await temporaryDirectory();
  cluster = await createCluster({
    name: 'aks-test',
    kubernetesMinor: '1.34',
    encryption: { write: 'kms', slots: [first] },
    crypto: vault,
    directory,
  });
  admin = adminClient(cluster.adminKubeconfig);
});

afterAll(async () => {
  await admin?.close();
  await cluster?.destroy();
});

async function recordOf(name: string): Promise<SecretRecord | undefined> {
  for await (const record of readSecretRecords(cluster.etcdUrl)) {
    if (record.namespace === 'default' && record.name === name) return record;
  }
  return undefined;
}

const secretPath = (name: string): string => `/api/v1/namespaces/default/secrets/${name}`;

describe('a sandbox cluster', () => {
  test('has its system namespaces, metrics for the admin, and one identity lease', async () => {
    for (const name of ['default', 'kube-system']) {
      expect((await admin.get(`/api/v1/namespaces/${name}`)).status).toBe(200);
    }
    expect((await admin.text('/metrics')).text).toContain('apiserver_envelope_encryption_key_id_hash');
    const leases = '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases';
    const selector = '?labelSelector=apiserver.kubernetes.io%2Fidentity%3Dkube-apiserver';
    expect((await admin.text(leases + selector)).text.match(/"name":"apiserver-/g)).toHaveLength(1);
  });

  test('lets a stranger ask for its health and for nothing else', async () => {
    const ask = (path: string) => adminClient(cluster.adminKubeconfig, { anonymous: true }).text(path);
    expect((await ask('/readyz')).status).toBe(200);
    expect((await ask('/version')).status).toBe(401);
    expect((await ask('/metrics')).status).toBe(401);
  });

  test('stores a Secret under the key in the first slot, and a no-op patch leaves it there', async () => {
    const made = await admin.createSecret('born-under-first');
    expect(made.status).toBe(201);
    expect(await recordOf('born-under-first')).toEqual({
      namespace: 'default',
      name: 'born-under-first',
      modRevision: made.body.metadata?.resourceVersion,
      scheme: 'kms-v2',
      provider: providerName(first),
      keyIdHash: hashKeyId(first),
    });
    const touched = await admin.touch('born-under-first');
    expect(touched.body.metadata?.resourceVersion).toBe(made.body.metadata?.resourceVersion);
  });

  test('answers every request while its key is rotated; then an empty patch rewrites a Secret once', async () => {
    const before = await recordOf('born-under-first');
    const rotation = cluster.applyEncryption({ write: 'kms', slots: [second, first] });
    const polled = await pollWhile(rotation, cluster.adminKubeconfig, secretPath('born-under-first'));
    expect(polled.failures).toEqual([]);
    expect(polled.answers).toBeGreaterThan(50);

    expect(await recordOf('born-under-first')).toEqual(before);
    const rewritten = await admin.touch('born-under-first');
    expect(rewritten.status).toBe(200);
    expect(rewritten.body).not.toHaveProperty('data');
    expect(rewritten.body.metadata?.resourceVersion).not.toBe(before?.modRevision);
    expect(await recordOf('born-under-first')).toMatchObject({
      modRevision: rewritten.body.metadata?.resourceVersion,
      keyIdHash: hashKeyId(second),
    });
    const again = await admin.touch('born-under-first');
    expect(again.body.metadata?.resourceVersion).toBe(rewritten.body.metadata?.resourceVersion);
  });

  test('issues tokens under another URL after a roll, with the keys that it publishes; older ones stay valid', async () => {
    const issuer = 'https://westeurope.oic.prod-aks.azure.com/tenant/id/';
    await admin.post('/api/v1/namespaces/default/serviceaccounts', {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { name: 'app' },
    });
    const tokenFor = async (...audiences: string[]): Promise<string> => {
      const { body } = await admin.post('/api/v1/namespaces/default/serviceaccounts/app/token', {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenRequest',
        spec: { audiences, expirationSeconds: 600 },
      });
      return String((body['status'] as { token: string }).token);
    };
    const isAccepted = async (token: string): Promise<boolean> => {
      const client = adminClient(cluster.adminKubeconfig, { anonymous: true, token });
      const { status } = await client.text('/version').finally(() => client.close());
      return status === 200;
    };
    const older = await tokenFor();
    await cluster.setIssuer(issuer);
    const token = await tokenFor('api://AzureADTokenExchange');
    const keys = { keys: [...(await cluster.tokenKeys())] };
    const { payload } = await jwtVerify(token, createLocalJWKSet(keys), { issuer });
    expect(payload).toMatchObject({ sub: 'system:serviceaccount:default:app', aud: ['api://AzureADTokenExchange'] });
    expect(JSON.parse((await admin.text('/openid/v1/jwks')).text)).toEqual(keys);
    expect(await Promise.all([older, await tokenFor(), token].map(isAccepted))).toEqual([true, true, false]);
    expect(await cluster.countSecretProviderClasses()).toBe(0);
  });

  test('keeps its servers and says why when the vault refuses the next key', async () => {
    vault.refuse(third, 'Forbidden: the identity lacks keys/encrypt on this vault.');
    const servers = apiServerPids();
    await expect(cluster.applyEncryption({ write: 'kms', slots: [third, second] })).rejects.toThrow(
      `${third} (3 attempts): Forbidden: the identity lacks keys/encrypt on this vault.`,
    );
    vault.refuse(third, undefined);
    expect(apiServerPids()).toEqual(servers);
    await admin.createSecret('born-after-refusal');
    expect(await recordOf('born-after-refusal')).toMatchObject({ keyIdHash: hashKeyId(second) });
  });

  test('does not get through the eviction of a key that still holds a Secret, and names the Secret', async () => {
    await cluster.applyEncryption({ write: 'kms', slots: [third, second] });
    await admin.createSecret('born-under-third');
    // `born-after-refusal` is under the second key, which this change would evict.
    await expect(cluster.applyEncryption({ write: 'kms', slots: [first, third] })).rejects.toThrow(
      /informer-sync failed[\s\S]*secrets\/default\/born-[\w-]+": no matching prefix found/,
    );
    expect((await admin.get(secretPath('born-after-refusal'))).status).toBe(200);
    for (const name of ['born-after-refusal', 'born-under-first']) await admin.touch(name);
    await cluster.applyEncryption({ write: 'kms', slots: [first, third] });
    expect((await admin.get(secretPath('born-after-refusal'))).status).toBe(200);
  });

  test('asks the vault no more for a key that was evicted', async () => {
    const calls = vault.calls(second);
    await cluster.applyEncryption({ write: 'kms', slots: [first, third] });
    expect(vault.calls(second)).toBe(calls);
    expect(existsSync(`${directory}/kms/${hashKeyId(second).slice(0, 12)}.sock`)).toBe(false);
  });

  test('writes plaintext after KMS is disabled, and rewrites encrypted Secrets to plaintext', async () => {
    await cluster.applyEncryption({ write: 'identity', slots: [first, third] });
    await admin.createSecret('born-plain');
    expect(await recordOf('born-plain')).toMatchObject({ scheme: 'plaintext' });
    expect(await recordOf('born-under-third')).toMatchObject({ scheme: 'kms-v2', keyIdHash: hashKeyId(third) });
    expect((await admin.get(secretPath('born-under-third'))).status).toBe(200);
    await admin.touch('born-under-third');
    expect(await recordOf('born-under-third')).toMatchObject({ scheme: 'plaintext' });
  });

  test('is as slow as it is told to be', async () => {
    cluster.setLatency(80);
    const started = performance.now();
    await admin.get('/api/v1/namespaces/default');
    expect(performance.now() - started).toBeGreaterThan(155);
    cluster.setLatency(0);
  });

  test('resets connections while stopped, and has its address, data and encryption again after start', async () => {
    await cluster.applyEncryption({ write: 'kms', slots: [first, third] });
    await cluster.stop();
    await cluster.stop();
    expect(apiServerPids()).toEqual([]);
    await expect(admin.get('/api')).rejects.toThrow(/ECONNRESET|other side closed/);
    await expect(cluster.applyEncryption({ write: 'kms', slots: [first] })).rejects.toThrow('start it before');
    expect(await recordOf('born-plain')).toMatchObject({ scheme: 'plaintext' });

    await cluster.start();
    expect((await admin.get(secretPath('born-plain'))).status).toBe(200);
    await admin.touch('born-plain');
    expect(await recordOf('born-plain')).toMatchObject({ keyIdHash: hashKeyId(first) });
  });

  test('reads on after its key is lost, until it has to start: then it cannot', async () => {
    vault.refuse(first, 'Forbidden: the key is disabled.');
    expect((await admin.get(secretPath('born-plain'))).status).toBe(200);
    await cluster.stop();
    await expect(cluster.start()).rejects.toThrow('the key is disabled');
    vault.refuse(first, undefined);
    await cluster.start();
    expect((await admin.get(secretPath('born-plain'))).status).toBe(200);
  });

  test('leaves neither processes nor files when it is destroyed', async () => {
    expect(processesOf(directory)).not.toEqual([]);
    await cluster.destroy();
    await cluster.destroy();
    expect(processesOf(directory)).toEqual([]);
    expect(existsSync(directory)).toBe(false);
    await expect(request(cluster.etcdUrl)).rejects.toThrow('ECONNREFUSED');
  });
});

/** Command lines with this directory in them. */
function processesOf(path: string): string[] {
  const all = execFileSync('ps', ['-axww', '-o', 'pid=,args='], { encoding: 'utf8' }).split('\n');
  return all.filter((line) => line.includes(`${path}/`));
}

function apiServerPids(): number[] {
  return processesOf(directory)
    .filter((line) => line.includes('--secure-port='))
    .map((line) => Number.parseInt(line, 10));
}
