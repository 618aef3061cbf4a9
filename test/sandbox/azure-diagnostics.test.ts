/** Diagnostic settings of vaults, and what vaults log. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { CryptographyClient } from '@azure/keyvault-keys';
import { SandboxControl, type VaultLogRow } from '../../launch/sandbox-control';
import { GROUP, LOCATION, TestAzure, type RawAnswer } from './azure-support';

const VAULT = 'kv-diagnostics';
const WORKSPACES = `/resourceGroups/${GROUP}/providers/Microsoft.OperationalInsights/workspaces`;
const SETTINGS = `/resourceGroups/${GROUP}/providers/Microsoft.KeyVault/vaults/${VAULT}/providers/Microsoft.Insights/diagnosticSettings`;

describe('diagnostic settings of the sandbox', () => {
  let azure: TestAzure;
  let vaultId: string;
  let principalId: string;
  let identityId: string;
  const idOf = (workspace: string): string =>
    `/subscriptions/${azure.sandbox.subscriptionId}${WORKSPACES}/${workspace}`;
  const put = (name: string, workspace: string, logs: unknown = [{ category: 'AuditEvent', enabled: true }]) =>
    azure.arm('PUT', `${SETTINGS}/${name}`, { body: { properties: { workspaceId: idOf(workspace), logs } } });
  const errorOf = ({ status, body }: RawAnswer): unknown[] => {
    const { code, message } = body['error'] as { code: string; message: string };
    return [status, code, message];
  };
  const rows = (): Promise<VaultLogRow[]> => new SandboxControl(azure.sandbox.control).vaultLogs(vaultId);

  beforeAll(async () => {
    azure = await TestAzure.start();
    ({ vaultId, principalId, identityId } = await azure.provision(VAULT));
    for (const name of ['logs', 'logs-2']) {
      const made = await azure.arm('PUT', `${WORKSPACES}/${name}`, { body: { location: LOCATION } });
      expect(made).toMatchObject({ status: 201, body: { properties: { provisioningState: 'Succeeded' } } });
    }
  });
  afterAll(() => azure.stop());

  it('need a vault, a workspace and a category that exist', async () => {
    const elsewhere = SETTINGS.replace(VAULT, 'kv-that-is-not-there');
    const body = { properties: { workspaceId: idOf('logs'), logs: [] } };
    expect(errorOf(await azure.arm('PUT', `${elsewhere}/one`, { body }))).toContain('ResourceNotFound');
    const missing = errorOf(await put('one', 'not-there'));
    expect(missing).toEqual([
      404,
      'ResourceNotFound',
      expect.stringContaining(`not-there' under resource group '${GROUP}'`),
    ]);
    const unknown = await put('one', 'logs', [{ category: 'Audits', enabled: true }]);
    expect(errorOf(unknown)).toContain('BadRequest');
    expect(await azure.arm('GET', SETTINGS)).toMatchObject({ status: 200, body: { value: [] } });
  });

  it('log each call of the vault from then on: those of clients, and those of the KMS plugins as the identity', async () => {
    const key = String((await azure.keys(VAULT).createRsaKey('etcd')).id);
    const parameters = azure.clusterParameters(identityId, key);
    await azure.containers.managedClusters.createOrUpdate(GROUP, 'c1', parameters, { updateIntervalInMs: 5 });
    expect(await rows()).toEqual([]);
    expect(await put('audit', 'logs')).toMatchObject({
      status: 200,
      body: { name: 'audit', id: expect.stringMatching(/diagnosticSettings\/audit$/) },
    });
    await azure.keys(VAULT).getKey('etcd');
    const signing = await azure.keys(VAULT).createEcKey('signing');
    await new CryptographyClient(signing, azure.credential).sign('ES256', Buffer.alloc(32)).catch(() => undefined);
    const rotated = String((await azure.keys(VAULT).createRsaKey('etcd')).id);
    await azure.containers.managedClusters.createOrUpdate(GROUP, 'c1', azure.clusterParameters(identityId, rotated), {
      updateIntervalInMs: 5,
    });
    const logged = await rows();
    expect(logged.map(({ operationName }) => operationName)).toEqual(
      expect.arrayContaining(['KeyGet', 'KeyCreate', 'KeyEncrypt', 'KeyDecrypt']),
    );
    // Nobody has the right here: what is refused is logged too.
    const signed = logged.filter(({ operationName }) => operationName === 'KeySign');
    expect(signed.map(({ properties }) => properties.httpStatusCode)).toEqual([403]);
    const crypto = logged.filter(({ operationName }) => operationName === 'KeyEncrypt');
    expect(new Set(crypto.map(({ identity }) => identity.oid))).toEqual(new Set([principalId]));
    expect(crypto[0]?.properties).toMatchObject({ id: expect.stringContaining('/keys/etcd/'), httpStatusCode: 200 });
  });

  it('do not share a sink for one category, whatever the category is called there', async () => {
    const taken = [
      409,
      'Conflict',
      expect.stringMatching(/^Data sink '.*logs' is already used in diagnostic setting 'audit'/),
    ];
    expect(errorOf(await put('another', 'logs'))).toEqual(taken);
    expect(errorOf(await put('another', 'logs', [{ categoryGroup: 'allLogs', enabled: true }]))).toEqual(taken);
    const other = [{ category: 'AzurePolicyEvaluationDetails', enabled: true }];
    expect((await put('another', 'logs', other)).status).toBe(200);
    expect((await put('third', 'logs-2')).status).toBe(200);
    expect((await put('AUDIT', 'logs')).status).toBe(200);
    const { body } = await azure.arm('GET', SETTINGS);
    expect((body['value'] as { name: string }[]).map(({ name }) => name)).toEqual(['audit', 'another', 'third']);
  });

  it('that are deleted log nothing more', async () => {
    for (const name of ['audit', 'third']) expect((await azure.arm('DELETE', `${SETTINGS}/${name}`)).status).toBe(200);
    expect((await azure.arm('DELETE', `${SETTINGS}/audit`)).status).toBe(204);
    expect((await azure.arm('GET', `${SETTINGS}/audit`)).status).toBe(404);
    const before = (await rows()).length;
    await azure.keys(VAULT).getKey('etcd');
    expect(await rows()).toHaveLength(before);
  });
});
