/**
 * What a cluster needs of vaults, on the real parts: the audit log of a vault that has a cluster's key. The journal of the sandbox, the
 * vaults' own logs and raw etcd are the judges.
 */
import { beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import type { OperationAnswer } from '../../cli/api-client';
import { isFinal } from '../../domain/operation';
import type { SandboxClusterFacts } from '../../launch/sandbox-cluster';
import {
  makeWorkspaceByHand,
  removeDiagnosticsByHand,
  setDiagnosticsByHand,
  vaultIdOf,
  workspaceIdOf,
} from '../support/by-hand';
import { writesTo } from '../support/kinds';
import { control, ended, makeCluster, people, until, vaultNameOf } from '../support/stack';

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
    const made = makeCluster(name, { count: 5 });
    for (const one of [workspace, other]) await makeWorkspaceByHand(one);
    cluster = await made;
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
