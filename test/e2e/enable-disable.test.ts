/**
 * enable-kms and disable-kms on the real parts: vaults with Azure RBAC and with access policies, KMS v1 and v2, with and without
 * the right of the cluster's identity. Raw etcd is the judge.
 */
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import type { OperationAnswer } from '../../cli/api-client';
import { isFinal } from '../../domain/operation';
import { kmsKeyId } from '../../domain/resource-ids';
import type { SandboxClusterFacts, VaultPermissions } from '../../launch/sandbox-cluster';
import { clusterWrites } from '../../launch/sandbox-control';
import { readSecretRecords } from '../../sandbox/cluster/raw-records';
import { grantByHand, makeVaultByHand } from '../support/by-hand';
import { startDirectedService, type DirectedService } from '../support/directed-service';
import { kubeApi } from '../support/kube';
import { control, ended, makeCluster, people, until } from '../support/stack';

const { requester, approver1, approver2 } = people();

async function ask(
  cluster: string,
  kind: string,
  parameters: Record<string, string> = {},
  as = requester,
): Promise<OperationAnswer> {
  const { operation } = await as.create({ kind, cluster, parameters, change: { number: 'CHG-ENABLE' } }, randomUUID());
  return await until(requester, operation.id, ({ offers, status }) => offers.includes('approve') || isFinal(status));
}

async function enable(cluster: string, keyId: string): Promise<OperationAnswer> {
  const asked = await ask(cluster, 'enable-kms', { keyId });
  await approver1.approve(asked.id, asked.plan?.digest ?? '');
  return await ended(requester, asked.id);
}

async function disable(cluster: string): Promise<OperationAnswer> {
  const asked = await ask(cluster, 'disable-kms');
  const digest = asked.plan?.digest ?? '';
  await approver1.approve(asked.id, digest);
  await until(requester, asked.id, ({ waitingFor }) => waitingFor?.includes('approve-plaintext') ?? false);
  await approver2.approve(asked.id, digest, 'approve-plaintext');
  return await ended(requester, asked.id);
}

/** How many Secrets are stored how: `plaintext`, `kms-v1`, `kms-v2`, with the key that they are under. */
async function stored({ etcd }: SandboxClusterFacts, keyId?: string): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for await (const { scheme, keyIdHash } of readSecretRecords(etcd)) {
    const under =
      keyIdHash === undefined ? '' : keyId !== undefined && keyIdHash === kmsKeyId(keyId) ? ' key' : ' other';
    counts[`${scheme}${under}`] = (counts[`${scheme}${under}`] ?? 0) + 1;
  }
  return counts;
}

describe.each([
  ['1.26', 'kms-v1', 24],
  ['1.34', 'kms-v2', 40],
])('a cluster with Kubernetes %s', (kubernetesVersion, scheme, secrets) => {
  const name = `enable-${scheme}`;
  let cluster: SandboxClusterFacts;

  beforeAll(async () => {
    cluster = await makeCluster(name, { count: secrets, immutableEvery: 7 }, { kubernetesVersion, kms: false });
  });

  it.each<[VaultPermissions, RegExp]>([
    ['rbac', /az role assignment create --role "Key Vault Crypto User"/],
    ['access-policy', /az keyvault set-policy .* --key-permissions decrypt encrypt/],
  ])(`is encrypted with ${scheme} and decrypted again: %s`, async (permissions, command) => {
    const vault = { name: `kv-${permissions.slice(0, 4)}-${scheme}`, permissions };
    const keyId = await makeVaultByHand(vault.name, permissions);
    const writes = clusterWrites(await control().journal(), cluster.resourceId);
    await expect(ask(cluster.resourceId, 'enable-kms', { keyId })).rejects.toMatchObject({
      status: 422,
      code: 'IdentityLacksKeyAccess',
      message: expect.stringMatching(command),
    });
    expect(clusterWrites(await control().journal(), cluster.resourceId)).toBe(writes);

    await grantByHand(cluster, vault);
    const on = await enable(cluster.resourceId, keyId);
    expect(on).toMatchObject({
      status: 'Succeeded',
      plan: { to: { mode: 'on', scheme, key: keyId } },
      result: { previousKeyId: null, currentKeyId: keyId, proof: { secrets, unproven: 0 } },
    });
    expect(on.keysNeeded).toContain(keyId);
    expect(on.plan?.warnings.map(({ code }) => code)).not.toContain('IdentityRightsUnknown');
    expect(await stored(cluster, keyId)).toEqual({ [`${scheme} key`]: secrets });

    const off = await disable(cluster.resourceId);
    expect(off).toMatchObject({
      status: 'Succeeded',
      result: { previousKeyId: keyId, currentKeyId: null, proof: { secrets, unproven: 0 } },
    });
    expect(off.keysNeeded).toContain(keyId);
    expect(await stored(cluster)).toEqual({ plaintext: secrets });
  });
});

describe("rights of the cluster's identity", () => {
  const vault = { name: 'kv-rights', permissions: 'rbac' as const };
  let cluster: SandboxClusterFacts;
  let keyId: string;
  let service: DirectedService;

  beforeAll(async () => {
    service = await startDirectedService('rights');
    cluster = await makeCluster('rights', { count: 40 }, { kms: false });
    keyId = await makeVaultByHand(vault.name, vault.permissions);
  });
  afterEach(() => control().clearFault('forbidden'));
  afterAll(() => service.stop());

  it('that Keyturn may not read are a warning that says what was not checked', async () => {
    await control().setFault('forbidden', { path: `/vaults/${vault.name}/keys` });
    const asked = await ask(cluster.resourceId, 'enable-kms', { keyId });
    expect(asked.plan?.warnings).toContainEqual(
      expect.objectContaining({
        code: 'IdentityRightsUnknown',
        detail: expect.stringMatching(/did not see whether .* may encrypt and decrypt .*roleAssignments\/read/),
      }),
    );
    await requester.cancel(asked.id);
    await ended(requester, asked.id);
  });

  it('that are taken after the plan was approved block the change, and a retry goes on when they are back', async () => {
    await grantByHand(cluster, vault);
    const own = people(service.apiUrl);
    const asked = await ask(cluster.resourceId, 'enable-kms', { keyId }, own.requester);
    const switching = service.hold('submitClusterChange');
    await own.approver1.approve(asked.id, asked.plan?.digest ?? '');
    await switching.held();
    await grantByHand(cluster, vault, false);
    switching.release();
    const blocked = await until(requester, asked.id, ({ status }) => status === 'Blocked');
    expect(blocked.reason).toMatchObject({
      code: 'IdentityLacksKeyAccess',
      detail: expect.stringMatching(/may not encrypt and decrypt .*keeps the encryption .*then retry/),
    });
    expect(blocked.steps.find(({ status }) => status === 'blocked')).toMatchObject({ id: 'on.set-kms' });
    expect(await stored(cluster)).toEqual({ plaintext: expect.any(Number) });

    await grantByHand(cluster, vault);
    await requester.retry(asked.id);
    const over = await ended(requester, asked.id);
    expect(over).toMatchObject({ status: 'Succeeded', result: { currentKeyId: keyId, proof: { unproven: 0 } } });
    expect(await stored(cluster, keyId)).toEqual({ 'kms-v2 key': 40 });
  });
});

describe('the limit of KMS v1', () => {
  it('refuses 2,001 Secrets, and takes 2,000', async () => {
    const cluster = await makeCluster('v1-limit', { count: 2_001 }, { kubernetesVersion: '1.26', kms: false });
    const refused = await ask(cluster.resourceId, 'enable-kms', { keyId: cluster.keyId });
    expect(refused).toMatchObject({
      status: 'Failed',
      plan: null,
      reason: { code: 'TooManySecretsForKmsV1', detail: expect.stringContaining('2001 Secrets') },
    });
    await kubeApi(cluster).core.deleteNamespacedSecret({ namespace: 'default', name: 'secret-00001' });
    const asked = await ask(cluster.resourceId, 'enable-kms', { keyId: cluster.keyId });
    expect(asked).toMatchObject({ status: 'AwaitingApproval', plan: { to: { mode: 'on', scheme: 'kms-v1' } } });
    await requester.cancel(asked.id);
    await ended(requester, asked.id);
  });
});
