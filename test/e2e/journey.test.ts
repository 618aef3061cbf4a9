/**
 * One cluster on the way that the AKS documents describe: KMS v1 on 1.26 with a private vault, rotated, upgraded to KMS v2 on 1.27, its
 * vault made public, its key replaced and retired, moved to another vault, its key expired and recovered, and in the end without KMS. After each step raw etcd is judged, every value is what it was at
 * first, and the evidence is verified offline.
 */
import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { CustomObjectsApi, PolicyV1Api } from '@kubernetes/client-node';
import { createHash, randomUUID } from 'node:crypto';
import type { OperationAnswer } from '../../cli/api-client';
import { isFinal } from '../../domain/operation';
import { evidenceOf } from '../support/evidence';
import type { SandboxClusterFacts } from '../../launch/sandbox-cluster';
import { countByKey, readSecretRecords, type KeyCount } from '../../sandbox/cluster/raw-records';
import { mustParseKeyId } from '../../domain/resource-ids';
import { grantByHand, makeVaultByHand, newVersionInClosedVault } from '../support/by-hand';
import { kubeApi } from '../support/kube';
import { control, ended, makeCluster, people, until } from '../support/stack';
import { keyClient, keyVersions } from '../support/vault';

const SECRETS = 300;
const { requester, approver1, approver2 } = people();

describe('a cluster on its way through every kind', () => {
  let cluster: SandboxClusterFacts;
  let values: string;
  let last: OperationAnswer | undefined;
  let key = '';

  beforeAll(async () => {
    cluster = await makeCluster('journey', { count: SECRETS }, { kubernetesVersion: '1.26', vaultAccess: 'Private' });
    values = await hashOfValues(cluster);
    key = cluster.keyId;
  });

  afterEach(async () => {
    if (last === undefined) return;
    const verdict = evidenceOf(last);
    expect(verdict).toMatchObject({ ok: true, record: { operation: { id: last.id, status: 'Succeeded' } } });
    expect(await hashOfValues(cluster)).toBe(values);
    last = undefined;
  });

  const ask = async (kind: string, parameters: Record<string, unknown> = {}): Promise<OperationAnswer> => {
    const body = { kind, cluster: cluster.resourceId, parameters, change: { number: 'CHG-JOURNEY' } };
    const { operation } = await requester.create(body, randomUUID());
    return await until(requester, operation.id, ({ offers, status }) => offers.includes('approve') || isFinal(status));
  };
  /** Asks, approves each gate when it is open, and follows the operation to its end. */
  const run = async (kind: string, parameters: Record<string, unknown> = {}): Promise<OperationAnswer> => {
    const asked = await ask(kind, parameters);
    const digest = asked.plan?.digest ?? '';
    const gates = asked.plan?.steps.filter(({ type }) => type === 'gate') ?? [];
    for (const [index, { id }] of gates.entries()) {
      await until(requester, asked.id, ({ status, steps, progressText }) => {
        if (status === 'Blocked') throw new Error(progressText);
        return status === 'AwaitingApproval' && steps.some((step) => step.id === id && step.status === 'running');
      });
      await [approver1, approver2][index % 2]?.approve(asked.id, digest, id);
    }
    last = await ended(requester, asked.id);
    expect(last).toMatchObject({ status: 'Succeeded', result: { proof: { unproven: 0 } } });
    key = last.result?.currentKeyId ?? '';
    return last;
  };
  const stored = (newKeyId: string): Promise<KeyCount> => countByKey(readSecretRecords(cluster.etcd), { newKeyId });
  const all = { newKey: SECRETS, oldKey: 0, plaintext: 0, other: 0 };

  it('rotates its key with KMS v1, to a version that was made in the network of the vault', async () => {
    const made = await newVersionInClosedVault(cluster.keyId);
    const over = await run('rotate-key', { keyId: made });
    expect(key).toBe(made);
    expect(over.result?.previousKeyId).toBe(cluster.keyId);
    expect(await stored(key)).toEqual(all);
    await expect(ask('change-vault', { keyId: cluster.keyId })).rejects.toMatchObject({ code: 'KeyInSameVault' });
    await expect(ask('upgrade-to-kms-v2', { kubernetesVersion: '1.34' })).rejects.toMatchObject({
      code: 'UpgradeNotOffered',
    });
  });

  it('is upgraded to KMS v2, by way of plaintext, agent pools included', async () => {
    await takeRisks(cluster);
    const over = await run('upgrade-to-kms-v2');
    expect(over.plan?.warnings).toEqual(
      expect.arrayContaining([
        expect.objectContaining({
          code: 'RemovedApisInUse',
          detail: expect.stringContaining('storage.k8s.io/v1beta1 csistoragecapacities (removed in 1.27)'),
        }),
        expect.objectContaining({
          code: 'PodsWithoutDisruptionBudget',
          detail: expect.stringMatching(/^1 pod\(s\) .*: default \(1\)\.$/),
        }),
      ]),
    );
    expect(over.steps.map(({ id }) => id)).toEqual([
      'approve',
      'approve-plaintext',
      'approve-upgrade',
      'off.take-baseline',
      'off.set-kms',
      'off.converge',
      'off.rewrite',
      'off.prove',
      'off.record-proof',
      'upgrade.control-plane-1-27-3',
      'upgrade.pool-nodepool1-1-27-3',
      'on.take-baseline',
      'on.set-kms',
      'on.converge',
      'on.rewrite',
      'on.prove',
      'on.record-proof',
    ]);
    expect(over.plan).toMatchObject({ from: { scheme: 'kms-v1' }, to: { scheme: 'kms-v2' } });
    expect(over.result?.currentKeyId).toBe(over.result?.previousKeyId);
    expect(await stored(key)).toEqual(all);
    expect(over.keysNeeded).toContain(key);
    await expect(ask('upgrade-to-kms-v2')).rejects.toMatchObject({ code: 'KmsV2Already' });
  });

  it('has its vault made public', async () => {
    await run('change-vault-access', { vaultAccess: 'Public' });
    expect(await stored(key)).toEqual(all);
    expect(await keyVersions(key)).toHaveLength(2);
  });

  it('has its key replaced: rotated twice, and the old version disabled', async () => {
    const old = key;
    const over = await run('replace-key', { soakInSeconds: 0 });
    expect(await stored(key)).toEqual(all);
    expect(over.keysNeeded).not.toContain(old);
    const versions = await keyVersions(old);
    expect(versions.find(({ keyId }) => keyId === old)?.enabled).toBe(false);
    expect(versions.filter(({ enabled }) => enabled).map(({ keyId }) => keyId)).toEqual(
      expect.arrayContaining(over.keysNeeded),
    );
  });

  it('has the version retired that left its slots two rotations ago, after a soak; its key object stays', async () => {
    const before = await ask('retire-key', { keyId: key });
    expect(before).toMatchObject({ status: 'Failed', reason: { code: 'KeyInUse' } });
    const over = await run('retire-key', { keyId: cluster.keyId, soakInSeconds: 1 });
    expect(over.steps.at(-1)?.result).toMatch(/^The key object stays/);
    expect((await keyVersions(cluster.keyId)).find(({ keyId }) => keyId === cluster.keyId)?.enabled).toBe(false);
  });

  it('moves to another vault', async () => {
    const vault = { name: 'kv-journey-2', permissions: 'rbac' } as const;
    const other = await makeVaultByHand(vault.name, vault.permissions);
    await expect(ask('change-vault', { keyId: other })).rejects.toMatchObject({ code: 'IdentityLacksKeyAccess' });
    await grantByHand(cluster, vault);
    await run('change-vault', { keyId: other });
    expect(key).toBe(other);
    expect(await stored(key)).toEqual(all);
  });

  it('loses its key, which expires, and gets it back', async () => {
    const { name, version } = mustParseKeyId(key);
    await keyClient(key).updateKeyProperties(name, version, { expiresOn: new Date(Date.now() - 3_600_000) });
    await control().restartServers('journey');
    await expect(hashOfValues(cluster)).rejects.toThrow();
    const { findings } = await requester.encryption(cluster.resourceId);
    expect(findings).toContainEqual(expect.objectContaining({ code: 'KeyUnusable', repair: 'recover-key' }));
    await run('recover-key');
    expect(await stored(key)).toEqual(all);
  });

  it('goes back to plaintext in the end, with its keys still needed (K3)', async () => {
    const old = key;
    const over = await run('disable-kms');
    expect(await stored(old)).toEqual({ newKey: 0, oldKey: 0, plaintext: SECRETS, other: 0 });
    expect(over.keysNeeded).toContain(old);
  });
});

/** One hash over every seeded Secret with its values. */
async function hashOfValues(cluster: SandboxClusterFacts): Promise<string> {
  const { items } = await kubeApi(cluster).core.listSecretForAllNamespaces();
  const lines = items
    .filter(({ metadata }) => !metadata?.name?.startsWith('keyturn-canary'))
    .map(({ metadata, data }) => JSON.stringify([metadata?.namespace, metadata?.name, data]))
    .sort();
  expect(lines.length).toBeGreaterThanOrEqual(SECRETS);
  return createHash('sha256').update(lines.join('\n')).digest('hex');
}

/** Asks for an API that 1.27 has no more, and runs a pod with a disruption budget and one without. */
async function takeRisks(cluster: SandboxClusterFacts): Promise<void> {
  const { core, config } = kubeApi(cluster);
  const removed = { group: 'storage.k8s.io', version: 'v1beta1', plural: 'csistoragecapacities' };
  await config.makeApiClient(CustomObjectsApi).listClusterCustomObject(removed);
  const namespace = 'default';
  for (const app of ['web', 'batch']) {
    const spec = { containers: [{ name: 'main', image: 'registry.k8s.io/pause:3.9' }] };
    await core.createNamespacedPod({ namespace, body: { metadata: { name: app, labels: { app } }, spec } });
  }
  await config.makeApiClient(PolicyV1Api).createNamespacedPodDisruptionBudget({
    namespace,
    body: { metadata: { name: 'web' }, spec: { maxUnavailable: 1, selector: { matchLabels: { app: 'web' } } } },
  });
}
