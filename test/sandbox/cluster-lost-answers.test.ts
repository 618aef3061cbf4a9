/** The fault that loses answers of API servers: what is stored is stored, and its answer never arrives. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Client } from 'undici';
import { createCluster } from '../../sandbox/cluster/cluster';
import type { LostAnswer, SandboxCluster } from '../../sandbox/cluster/contract';
import { accessOf, adminClient, createMemoryVault, recordOf, secretPath, temporaryDirectory } from './cluster-support';

describe('lost answers of API servers', () => {
  const vault = createMemoryVault();
  const lost: LostAnswer[] = [];
  let cluster: SandboxCluster;

  beforeAll(async () => {
    cluster = await createCluster({
      name: 'lossy',
      kubernetesMinor: '1.34',
      encryption: { write: 'kms', slots: [vault.addKey()] },
      crypto: vault,
      directory: await temporaryDirectory(),
    });
    await cluster.setLostAnswers(1, (one) => lost.push(one));
  });
  afterAll(() => cluster.destroy());

  it('are those of a write, once for each object and method; the write is done, by the user who asked', async () => {
    const admin = adminClient(cluster.adminKubeconfig);
    await expect(admin.createSecret('one')).rejects.toThrow();
    expect(await recordOf(cluster.etcdUrl, 'one')).toBeDefined();
    expect((await admin.createSecret('one')).status).toBe(409);

    await expect(admin.annotate('one', 'first')).rejects.toThrow();
    const { body } = await admin.get(secretPath('one'));
    expect(JSON.stringify(body)).toContain('first');
    expect((await admin.annotate('one', 'second')).status).toBe(200);
    expect(lost.map(({ method }) => method)).toEqual(['POST', 'PATCH']);
    await admin.close();
  });

  it('are not those of reads, and of patches that store nothing', async () => {
    const admin = adminClient(cluster.adminKubeconfig);
    await cluster.setLostAnswers(1, (one) => lost.push(one));
    const before = lost.length;
    const { body } = await admin.get(secretPath('one'));
    const touched = await admin.touch('one');
    expect(touched.status).toBe(200);
    expect(touched.body.metadata?.resourceVersion).toBe(body.metadata?.resourceVersion);
    expect(lost).toHaveLength(before);
    await admin.close();
  });

  it('make no client an admin: without a certificate it may not ask, also not with the headers of one', async () => {
    const { server, tls } = accessOf(cluster.adminKubeconfig);
    const stranger = new Client(server, { connect: { ca: tls.ca } });
    const headers = { 'X-Remote-User': 'masterclient', 'X-Remote-Group': 'system:masters' };
    const { statusCode, body } = await stranger.request({ method: 'GET', path: secretPath('one'), headers });
    await body.dump();
    expect(statusCode).toBe(401);
    await stranger.close();
  });

  it('end with the fault', async () => {
    await cluster.setLostAnswers(0, () => undefined);
    const admin = adminClient(cluster.adminKubeconfig);
    expect((await admin.createSecret('two')).status).toBe(201);
    expect((await admin.annotate('two', 'first')).status).toBe(200);
    await admin.close();
  });
});
