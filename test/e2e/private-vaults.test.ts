/** Private vaults, on the real parts: to private access and back with one vault and key, and what happens in between. */
import { beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import type { OperationAnswer } from '../../cli/api-client';
import { isFinal } from '../../domain/operation';
import { mustParseKeyId } from '../../domain/resource-ids';
import { evidenceOf } from '../support/evidence';
import type { SandboxClusterFacts } from '../../launch/sandbox-cluster';
import { countByKey, readSecretRecords } from '../../sandbox/cluster/raw-records';
import { asAdministrator, letApproveByHand } from '../support/by-hand';
import { ended, makeCluster, people, until } from '../support/stack';
import { keyVersions } from '../support/vault';

const SECRETS = 40;

describe('a cluster with API Server VNet Integration and a public vault', () => {
  let cluster: SandboxClusterFacts;
  let key: string;
  const { requester, approver1, approver2 } = people();

  beforeAll(async () => {
    cluster = await makeCluster(
      'private-vaults',
      { count: SECRETS, immutableEvery: 7 },
      { vnetIntegration: true, vaultPermissions: 'rbac' },
    );
    key = cluster.keyId;
  });

  const ask = async (kind: string, parameters: Record<string, unknown>): Promise<OperationAnswer> => {
    const body = { kind, cluster: cluster.resourceId, parameters, change: { number: 'CHG-PRIVATE' } };
    const { operation } = await requester.create(body, randomUUID());
    return await until(requester, operation.id, ({ offers, status }) => offers.includes('approve') || isFinal(status));
  };
  const run = async (kind: string, parameters: Record<string, unknown>): Promise<OperationAnswer> => {
    const asked = await ask(kind, parameters);
    const digest = asked.plan?.digest ?? '';
    await approver1.approve(asked.id, digest);
    if (asked.plan?.steps.some(({ id }) => id === 'approve-plaintext') === true) {
      await until(requester, asked.id, ({ waitingFor }) => waitingFor?.includes('approve-plaintext') ?? false);
      await approver2.approve(asked.id, digest, 'approve-plaintext');
    }
    const over = await ended(requester, asked.id);
    key = over.result?.keyId ?? key;
    expect(over).toMatchObject({ status: 'Succeeded', result: { currentKeyId: key, proof: { unproven: 0 } } });
    expect(await countByKey(readSecretRecords(cluster.etcd), { newKeyId: key })).toEqual({
      newKey: SECRETS,
      oldKey: 0,
      plaintext: 0,
      other: 0,
    });
    expect(evidenceOf(over)).toMatchObject({ ok: true });
    return over;
  };
  const vault = async (): Promise<unknown> => {
    const { vaultName } = mustParseKeyId(key);
    const group = cluster.resourceId.split('/providers/')[0] ?? '';
    const url = `https://management.azure.com${group}/providers/Microsoft.KeyVault/vaults/${vaultName}?api-version=2026-02-01`;
    return (await asAdministrator((request) => request('GET', url))).body;
  };

  it('is refused private access as long as its identity may not approve a private endpoint', async () => {
    await expect(ask('change-vault-access', { vaultAccess: 'Private' })).rejects.toMatchObject({
      status: 422,
      code: 'IdentityMayNotApproveEndpoint',
    });
    await expect(ask('change-vault-access', { vaultAccess: 'Public' })).rejects.toMatchObject({
      status: 422,
      code: 'VaultAccessAlready',
    });
    await letApproveByHand(cluster, mustParseKeyId(key).vaultName);
  });

  it('is moved to private access, and the public address closes last', async () => {
    const over = await run('change-vault-access', { vaultAccess: 'Private' });
    expect(over.steps.map(({ id }) => id).slice(-2)).toEqual(['on.record-proof', 'set-vault-network']);
    expect(over.steps.at(-1)?.result).toMatch(/answers over private endpoints only\.$/);
    expect(await vault()).toMatchObject({
      properties: {
        publicNetworkAccess: 'Disabled',
        enableRbacAuthorization: true,
        privateEndpointConnections: [{ properties: { privateLinkServiceConnectionState: { status: 'Approved' } } }],
      },
    });
    // Nobody outside reaches the vault any more.
    await expect(keyVersions(key)).rejects.toMatchObject({ statusCode: 403 });
  });

  it('is looked at through ARM from then on', async () => {
    const { slots, kms, findings } = await requester.encryption(cluster.resourceId);
    expect(kms).toMatchObject({ networkAccess: 'Private' });
    expect(slots.current).toMatchObject({ keyId: key, state: 'usable' });
    expect(findings.map(({ code }) => code)).not.toContain('KeyUnusable');
  });

  it('is rotated to a key that ARM makes, since the vault does not answer', async () => {
    await expect(ask('rotate-key', {})).rejects.toMatchObject({ status: 422, code: 'VaultNotReachable' });
    const over = await run('rotate-key', { newKeyName: 'next' });
    // ARM makes the first version of a key, and no second one.
    await expect(ask('rotate-key', { newKeyName: 'next' })).rejects.toMatchObject({
      status: 422,
      code: 'KeyNameTaken',
    });
    expect(over.plan?.warnings.map(({ code }) => code)).toContain('KeySeenThroughArm');
    expect(over.plan?.to).toMatchObject({ access: 'Private' });
  });

  it('is moved back to public access, and the public address opens first', async () => {
    const over = await run('change-vault-access', { vaultAccess: 'Public' });
    const changes = over.steps.filter(({ changes: what }) => what === 'vault' || what === 'cluster');
    expect(changes.map(({ id }) => id)).toEqual(['set-vault-network', 'off.set-kms', 'on.set-kms']);
    expect(await vault()).toMatchObject({ properties: { publicNetworkAccess: 'Enabled' } });
    expect(await keyVersions(key)).toHaveLength(1);
  });
});
