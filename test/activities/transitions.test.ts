/**
 * Every encryption state that AKS can be in, and every way from one to the other, on real API servers. After each, raw etcd
 * says under what each Secret really is.
 */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { EncryptionTarget } from '../../domain/encryption';
import { isConclusive } from '../../domain/proof';
import { seedSecrets } from '../../sandbox/cluster/seed';
import { eventually } from '../sandbox/cluster-support';
import { TestCluster, type TestClusterOptions } from './cluster-support';
import { prove, turn, type Turned } from './operation-support';

const COUNT = 150;
const PLAINTEXT: EncryptionTarget = { scheme: 'identity' };

/** Starts a cluster with Secrets for a group of tests. */
function withCluster(options: TestClusterOptions): () => TestCluster {
  let c: TestCluster | undefined;
  beforeAll(async () => {
    c = await TestCluster.start(options);
    await seedSecrets(c.cluster.adminKubeconfig, { count: COUNT, namespaces: ['team-a'], immutableEvery: 10 });
  });
  afterAll(() => c?.stop());
  return () => {
    if (c === undefined) throw new Error('The cluster did not start.');
    return c;
  };
}

const expectProven = (turned: Turned): void => {
  expectComplete(turned);
  expect(isConclusive(turned.proof)).toBe(true);
};
const expectComplete = ({ report, proof }: Turned): void => {
  expect(report).toMatchObject({ secrets: COUNT, rewritten: COUNT, unchanged: 0, contradictions: 0, refused: 0 });
  expect(proof).toMatchObject({ secrets: COUNT, unproven: 0, convergenceHeld: true });
};
/** Nothing of any kind. */
const nothing = { newKey: 0, oldKey: 0, plaintext: 0, other: 0 };

describe('KMS v1, a provider name for each key (1.26)', () => {
  const cluster = withCluster({ kubernetesMinor: '1.26', kms: false });
  const v1 = (): EncryptionTarget => ({ scheme: 'kms-v1', keyId: cluster().key });

  it('plaintext to KMS v1', async () => {
    const c = cluster();
    expect(await c.stored()).toMatchObject({ plaintext: COUNT });
    const turned = await turn(c, () => c.switchKey(), v1);
    expectProven(turned);
    expect(turned.bounds.method).toBe('no-op');
    expect(turned.convergence).toMatchObject({ metrics: 'unavailable' });
    expect(turned.proof.weaknesses.join()).toContain('concludes from canaries alone');
    expect(await c.stored()).toEqual({ ...nothing, newKey: COUNT });
  });

  it('one key to the next', async () => {
    const c = cluster();
    const turned = await turn(c, () => c.switchKey(), v1);
    expectProven(turned);
    expect(turned.bounds.method).toBe('no-op');
    expect(await c.stored()).toEqual({ ...nothing, newKey: COUNT });
  });

  it('KMS v1 to plaintext, then 1.26 to 1.27 on the same etcd, then to KMS v2, and nothing is left behind', async () => {
    const c = cluster();
    expectProven(
      await turn(
        c,
        () => c.switchOff(),
        () => PLAINTEXT,
      ),
    );
    expect(await c.stored()).toEqual({ ...nothing, plaintext: COUNT });

    await c.cluster.upgrade('1.27');
    expect(await c.stored()).toEqual({ ...nothing, plaintext: COUNT });

    const turned = await turn(
      c,
      () => c.switchKey(),
      () => ({ scheme: 'kms-v2', keyId: c.key }),
    );
    expectProven(turned);
    // 1.27 has the metrics, but they do not say of which server they are.
    expect(turned.proof.weaknesses.join()).toContain('before Kubernetes 1.29');
    expect(await c.stored()).toEqual({ ...nothing, newKey: COUNT });
  });
});

describe('KMS v1 behind one provider name (1.26), where nothing ever looks stale', () => {
  const cluster = withCluster({ kubernetesMinor: '1.26', kmsProviderNames: 'shared' });

  it('one key to the next, by force, and the weaker evidence is named', async () => {
    const c = cluster();
    const turned = await turn(
      c,
      () => c.switchKey(),
      () => ({ scheme: 'kms-v1', keyId: c.key }),
    );
    expectComplete(turned);
    expect(turned.bounds.method).toBe('forced');
    expect(turned.convergence.weaknesses.join()).toContain('started after the baseline');
    expect(await c.stored()).toEqual({ ...nothing, newKey: COUNT });
    const { metadata } = await c.call('GET', '/api/v1/namespaces/team-a/secrets/secret-00001');
    expect(metadata).toMatchObject({ annotations: { 'keyturn.dev/rewritten': expect.stringContaining('op-') } });
  });

  it('is not called proven, because a server that was started in the middle of the change would not be seen', async () => {
    const c = cluster();
    const target = (): EncryptionTarget => ({ scheme: 'kms-v1', keyId: c.key });
    c.cluster.setLateServers(1);
    const turned = await turn(c, () => c.switchKey(), target);
    expectComplete(turned);
    expect(await c.stored()).toEqual({ ...nothing, oldKey: COUNT });
    expect(isConclusive(turned.proof)).toBe(false);

    // Before the next turn, when the server has long switched.
    c.cluster.setLateServers(0);
    await eventually(() => c.cluster.servers().every(({ writes }) => writes === c.key), 90_000);
    const { proof } = await prove(c, target());
    expect(proof).toMatchObject({ secrets: COUNT, unproven: 0, convergenceHeld: true, bounds: { method: 'forced' } });
    expect(isConclusive(proof)).toBe(true);
    expect(await c.stored()).toEqual({ ...nothing, newKey: COUNT });
  });
});

describe('KMS v2 (1.34)', () => {
  const cluster = withCluster({ kms: false });
  const v2 = (): EncryptionTarget => ({ scheme: 'kms-v2', keyId: cluster().key });

  it('plaintext to KMS v2, then A to B to C', async () => {
    const c = cluster();
    for (let key = 0; key < 3; key++) {
      const turned = await turn(c, () => c.switchKey(), v2);
      expectProven(turned);
      expect(turned.convergence).toMatchObject({ metrics: 'confirmed', method: 'no-op', weaknesses: [] });
      expect(await c.stored()).toEqual({ ...nothing, newKey: COUNT });
    }
  });

  it('KMS v2 to plaintext, said by the servers themselves, and back', async () => {
    const c = cluster();
    const off = await turn(
      c,
      () => c.switchOff(),
      () => PLAINTEXT,
    );
    expectProven(off);
    expect(off.convergence).toMatchObject({ metrics: 'confirmed', weaknesses: [] });
    expect(await c.stored()).toEqual({ ...nothing, plaintext: COUNT });
    expectProven(await turn(c, () => c.switchKey(), v2));
    expect(await c.stored()).toEqual({ ...nothing, newKey: COUNT });
  });
});
