/**
 * What a cluster needs of vaults, on the real parts: the vault, the key and the grant before KMS is enabled, and the audit log of a vault
 * that has a cluster's key. The journal of the sandbox, the vaults' own logs and raw etcd are the judges.
 */
import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import type { OperationAnswer } from '../../cli/api-client';
import { isFinal } from '../../domain/operation';
import { makeVault, type SandboxClusterFacts } from '../../launch/sandbox-cluster';
import {
  asAdministrator,
  makeWorkspaceByHand,
  removeDiagnosticsByHand,
  setDiagnosticsByHand,
  vaultIdOf,
  workspaceIdOf,
} from '../support/by-hand';
import { underKey } from '../support/cluster-state';
import { writesTo } from '../support/written';
import { control, ended, makeCluster, people, testStack, until, vaultNameOf } from '../support/stack';

const { requester, approver1 } = people();

async function ask(
  { resourceId }: SandboxClusterFacts,
  kind: string,
  parameters: Record<string, unknown>,
): Promise<OperationAnswer> {
  const body = { kind, cluster: resourceId, parameters, change: { number: 'CHG-PROVISION' } };
  const { operation } = await requester.create(body, randomUUID());
  return await until(requester, operation.id, ({ offers, status }) => offers.includes('approve') || isFinal(status));
}

async function approved(asked: OperationAnswer): Promise<OperationAnswer> {
  await approver1.approve(asked.id, asked.plan?.digest ?? '');
  return asked;
}

describe('enable-vault-diagnostics', () => {
  const name = 'audited';
  const vault = vaultNameOf(name);
  const [workspace, other] = ['audited-logs', 'audited-other-logs'];
  const parameters = { workspaceId: workspaceIdOf(workspace) };
  let cluster: SandboxClusterFacts;
  const run = async (given: Record<string, unknown> = {}): Promise<OperationAnswer> => {
    const { id } = await approved(await ask(cluster, 'enable-vault-diagnostics', { ...parameters, ...given }));
    return await ended(requester, id);
  };
  const settingsMade = (): Promise<number> => writesTo(vault, 'PUT', /\/diagnosticSettings\//);

  beforeAll(async () => {
    // First: it makes the resource group.
    cluster = await makeCluster(name, { count: 5 });
    for (const one of [workspace, other]) await makeWorkspaceByHand(one);
  });

  it('has the vault log who encrypts and decrypts, from then on', async () => {
    expect(await control().vaultLogs(vaultIdOf(vault))).toEqual([]);
    const over = await run();
    expect(over).toMatchObject({
      status: 'Succeeded',
      result: { previousKeyId: cluster.keyId, currentKeyId: cluster.keyId, rewrite: null, proof: null },
      keysNeeded: [cluster.keyId],
    });
    expect(over.steps.at(-1)?.result).toMatch(
      /Azure shows that the setting keyturn-audit sends AuditEvent .*AzureDiagnostics/,
    );

    // API servers that start ask the vault for their key.
    await control().rotateCertificates(name);
    const rows = (await control().vaultLogs(vaultIdOf(vault))).filter(
      ({ identity }) => identity.oid === cluster.principalId,
    );
    expect(new Set(rows.map(({ operationName }) => operationName))).toEqual(new Set(['KeyEncrypt', 'KeyDecrypt']));
    expect(new Set(rows.map(({ properties }) => properties.id))).toEqual(new Set([cluster.keyId]));
  });

  it('changes nothing where a setting does it already, and says so in the plan', async () => {
    const before = await settingsMade();
    const again = await run({ settingName: 'another-name' });
    expect(again).toMatchObject({
      status: 'Succeeded',
      plan: { summary: expect.stringMatching(/^Nothing is to be changed: the diagnostic setting keyturn-audit/) },
    });
    expect(await settingsMade()).toBe(before);
    const differs = ask(cluster, 'enable-vault-diagnostics', { workspaceId: workspaceIdOf(other) });
    await expect(differs).rejects.toMatchObject({ status: 422, code: 'DiagnosticSettingDiffers' });
  });

  it('is blocked by a setting that has the sink, and goes on when that one is gone', async () => {
    // Off: it logs nothing, and has the workspace for AuditEvent all the same.
    await setDiagnosticsByHand(vault, { name: 'of-others', workspace: other, enabled: false });
    const wanted = { workspaceId: workspaceIdOf(other), settingName: 'second' };
    const { id } = await approved(await ask(cluster, 'enable-vault-diagnostics', wanted));
    const blocked = await until(requester, id, ({ status }) => status === 'Blocked');
    expect(blocked.reason).toMatchObject({
      code: 'DiagnosticSinkTaken',
      detail: expect.stringMatching(
        /already used in diagnostic setting 'of-others'.*Keys and cluster are as they were/,
      ),
    });
    await removeDiagnosticsByHand(vault, 'of-others');
    await requester.retry(id);
    expect(await ended(requester, id)).toMatchObject({ status: 'Succeeded' });
  });
});

describe('provision-kms', () => {
  const SECRETS = 20;
  let cluster: SandboxClusterFacts;
  const names = (vaultName: string): Record<string, string> => ({ vaultName, keyName: 'etcd' });
  const run = async (kind: string, parameters: Record<string, unknown>): Promise<OperationAnswer> => {
    const { id } = await approved(await ask(cluster, kind, parameters));
    return await ended(requester, id);
  };
  /** Accepted writes to a vault, its keys and its grants. */
  const writes = async (vaultName: string): Promise<string[]> =>
    (await control().journal())
      .filter(({ host, path, status }) => `${host}${path}`.includes(vaultName) && status < 300)
      .map(
        ({ method, path }) => `${method} ${path.replace(/^.*\/(?=vaults|roleAssignments|accessPolicies|keys)/, '')}`,
      );
  const vaultOf = async (name: string): Promise<Record<string, unknown>> => {
    const url = `https://management.azure.com${vaultIdOf(name)}?api-version=2024-11-01`;
    const { body } = await asAdministrator((request) => request('GET', url));
    return (body as { properties: Record<string, unknown> }).properties;
  };

  beforeAll(async () => {
    cluster = await makeCluster('provisioned', { count: SECRETS }, { kms: false, vnetIntegration: true });
  });
  afterEach(() => control().clearFault('vault-forbidden'));

  it('makes a vault, waits for its own rights there, makes a key and grants it: enable-kms with that key proves every Secret', async () => {
    const vaultName = 'kv-made-rbac';
    await control().setFault('vault-forbidden', { permission: 'create', path: `/vaults/${vaultName}` });
    const { id } = await approved(await ask(cluster, 'provision-kms', names(vaultName)));
    const blocked = await until(requester, id, ({ status }) => status === 'Blocked');
    expect(blocked.reason).toMatchObject({
      code: 'CreateKeyRefused',
      detail: expect.stringMatching(
        /az role assignment create --role "Key Vault Crypto Officer" --assignee-object-id [0-9a-f-]{36} .*\/vaults\/kv-made-rbac\. .*Then retry/,
      ),
    });
    expect(await vaultOf(vaultName)).toMatchObject({
      enableRbacAuthorization: true,
      enableSoftDelete: true,
      enablePurgeProtection: true,
      softDeleteRetentionInDays: 90,
      publicNetworkAccess: 'Enabled',
      accessPolicies: [],
    });
    await control().clearFault('vault-forbidden');
    await requester.retry(id);
    const over = await ended(requester, id);
    expect(over).toMatchObject({
      status: 'Succeeded',
      result: { previousKeyId: null, currentKeyId: null, keyId: expect.any(String), rewrite: null, proof: null },
    });
    const keyId = over.result?.keyId ?? '';
    expect(await writes(vaultName)).toEqual([
      `PUT vaults/${vaultName}`,
      'POST keys/etcd/create',
      expect.stringMatching(/^PUT roleAssignments\//),
    ]);

    const on = await run('enable-kms', { keyId });
    expect(on).toMatchObject({
      status: 'Succeeded',
      result: { currentKeyId: keyId, proof: { secrets: SECRETS, unproven: 0 } },
    });
    expect(on.plan?.warnings.map(({ code }) => code)).not.toContain('IdentityRightsUnknown');
    expect(await underKey(cluster, keyId)).toBe(SECRETS);
  });

  it('uses vault, key and grant that are there, and writes nothing', async () => {
    const before = await writes('kv-made-rbac');
    const again = await run('provision-kms', names('kv-made-rbac'));
    expect(again).toMatchObject({
      status: 'Succeeded',
      plan: { summary: expect.stringMatching(/use the vault kv-made-rbac and the key version .* as found/) },
      result: { keyId: again.result?.currentKeyId },
    });
    expect(await writes('kv-made-rbac')).toEqual(before);
  });

  it('gives rights by access policies where that is asked for: Keyturn and the identity get theirs, and nobody else', async () => {
    const vaultName = 'kv-made-policy';
    const over = await run('provision-kms', {
      ...names(vaultName),
      permissionModel: 'access-policy',
      retentionDays: 7,
    });
    expect(over).toMatchObject({ status: 'Succeeded' });
    const { accessPolicies, ...rest } = await vaultOf(vaultName);
    expect(rest).toMatchObject({ enableRbacAuthorization: false, softDeleteRetentionInDays: 7 });
    const policies = accessPolicies as { objectId: string; permissions: { keys: string[] } }[];
    expect(policies.map(({ permissions }) => permissions.keys)).toEqual([
      ['get', 'list', 'create', 'update', 'delete', 'recover'],
      ['encrypt', 'decrypt'],
    ]);
    expect(policies[1]?.objectId).toBe(cluster.principalId);
  });

  it('makes a private vault, and its key through ARM: change-vault with that key proves every Secret', async () => {
    const vaultName = 'kv-made-private';
    const over = await run('provision-kms', { ...names(vaultName), vaultAccess: 'Private' });
    expect(over).toMatchObject({ status: 'Succeeded' });
    expect(await vaultOf(vaultName)).toMatchObject({
      publicNetworkAccess: 'Disabled',
      enableRbacAuthorization: true,
      enablePurgeProtection: true,
    });
    const [made, key, ...grants] = await writes(vaultName);
    expect([made, key]).toEqual([`PUT vaults/${vaultName}`, 'PUT keys/etcd']);
    expect(grants).toEqual([1, 2].map(() => expect.stringMatching(/^PUT roleAssignments\//)));

    const keyId = over.result?.keyId ?? '';
    const moved = await run('change-vault', { keyId, vaultAccess: 'Private' });
    expect(moved).toMatchObject({
      status: 'Succeeded',
      result: { currentKeyId: keyId, proof: { secrets: SECRETS, unproven: 0 } },
    });
    expect(await underKey(cluster, keyId)).toBe(SECRETS);
    // ARM gives back the key that is there, and makes no second version of it.
    const again = await run('provision-kms', { ...names(vaultName), vaultAccess: 'Private' });
    expect(again).toMatchObject({ status: 'Succeeded', result: { keyId } });
    expect(again.plan?.warnings.map(({ code }) => code)).toEqual([
      'KeyExists',
      'KeyMadeThroughArm',
      'KeySeenThroughArm',
    ]);
    expect((await writes(vaultName)).filter((write) => write.startsWith('PUT keys'))).toHaveLength(1);
  });

  it('stops at a vault that another client made after the approval, and leaves it as it is', async () => {
    const vaultName = 'kv-made-by-others';
    const asked = await ask(cluster, 'provision-kms', names(vaultName));
    // The plan is made again after the approval, and finds it.
    await asAdministrator((request) =>
      makeVault(request, { facts: testStack().sandbox, name: vaultName, permissions: 'access-policy' }),
    );
    await approved(asked);
    const over = await ended(requester, asked.id);
    expect(over).toMatchObject({ status: 'Failed', reason: { code: 'VaultUnsuited' } });
    expect(await writes(vaultName)).toEqual([`PUT vaults/${vaultName}`]);
  });
});
