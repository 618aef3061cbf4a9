/**
 * Azure China and Azure Government, on the real parts: several kinds on one cluster of each, by a service that is set up for the cloud. The
 * sandbox takes no token of one cloud in another; its journal tells that nothing went elsewhere.
 */
import { beforeAll, describe, expect, it } from '@jest/globals';
import { ApiClient, type OperationAnswer } from '../../cli/api-client';
import { CLOUDS, type Cloud } from '../../domain/clouds';
import { armPut } from '../../launch/azure-client';
import { makeKey, makeVault } from '../../launch/sandbox-cluster';
import { groupOf, LOCATION, setApproval } from '../../launch/sandbox-vault';
import { countByKey, readSecretRecords } from '../../sandbox/cluster/raw-records';
import { asAdministrator, clusterIdOf, identityIdOf, vaultIdOf, workspaceIdOf } from '../support/by-hand';
import { atEndOfFile } from '../support/ends';
import { ask, pass, setEnabled } from '../support/retirement';
import { control, deleteCluster, ended, makeCluster, startOwnService, testStack } from '../support/stack';

const SECRETS = 5;

/** A service for a cloud, and people of it. */
class InCloud {
  private constructor(
    readonly cloud: Cloud,
    private readonly by: Record<'requester' | 'approver1' | 'approver2' | 'reader', ApiClient>,
  ) {}

  static async start(name: Cloud['name']): Promise<InCloud> {
    const cloud = CLOUDS.find((one) => one.name === name);
    if (cloud === undefined) throw new Error(`There is no cloud ${name}.`);
    const service = await startOwnService(`in-${name.toLowerCase()}`, { KEYTURN_CLOUD: name });
    atEndOfFile(() => service.stop());
    const { people } = testStack().sandbox;
    const client = async ({ name: person, roles }: { name: string; roles: string[] }): Promise<ApiClient> =>
      new ApiClient(service.apiUrl, await control().mintToken({ name: person, roles, cloud: name }));
    const [requester, approver1, approver2, reader] = await Promise.all(
      [people.requester, people.approver1, people.approver2, people.reader].map(client),
    );
    if (!requester || !approver1 || !approver2 || !reader) throw new Error('The sandbox has four people.');
    return new InCloud(cloud, { requester, approver1, approver2, reader });
  }

  /** Asks, has every gate approved, and waits for the end. */
  async run(resourceId: string, kind: string, parameters: Record<string, unknown> = {}): Promise<OperationAnswer> {
    const asked = await ask(this.by.requester, { resourceId }, kind, parameters);
    if (asked.plan === null) throw new Error(JSON.stringify(asked.reason));
    const [first] = asked.plan.steps.flatMap(({ id, type }, at) => (type === 'gate' && at === 0 ? [id] : []));
    for (const { id, type } of asked.plan.steps) {
      if (type === 'gate' && (id === first || id === 'approve-plaintext')) await pass(this.by, asked, id);
    }
    const over = await ended(this.by.requester, asked.id);
    expect(over).toMatchObject({ status: 'Succeeded' });
    return over;
  }

  async findings(resourceId: string): Promise<string[]> {
    return (await this.by.reader.encryption(resourceId)).findings.map(({ code }) => code);
  }

  /** Expects that every accepted write that names something of the cluster went to hosts of the cloud. */
  async expectNothingElsewhere(name: string): Promise<void> {
    const { resourceManager, vaultSuffix } = this.cloud;
    const hosts = (await control().journal())
      .filter(({ host, path }) => `${host}${path}`.toLowerCase().includes(name))
      .map(({ host }) => host);
    const arm = new URL(resourceManager).host;
    expect(hosts).toContain(arm);
    expect(hosts.filter((host) => host !== arm && !host.endsWith(`.${vaultSuffix}`))).toEqual([]);
  }
}

async function expectUnder(name: string, keyId: string): Promise<void> {
  const etcd = (await control().state()).clusters.find((one) => one.name === name)?.etcdUrl ?? '';
  const under = await countByKey(readSecretRecords(etcd), { newKeyId: keyId });
  expect(under).toEqual({ newKey: SECRETS, oldKey: 0, plaintext: 0, other: 0 });
}

describe('a cluster in Azure China', () => {
  const name = 'in-china';
  let here: InCloud;
  let cluster: string;
  let keyId = '';

  beforeAll(async () => {
    const [service, made] = await Promise.all([
      InCloud.start('AzureChinaCloud'),
      makeCluster(name, { count: SECRETS }, { kms: false, cloud: 'AzureChinaCloud' }),
    ]);
    here = service;
    cluster = made.resourceId;
  });

  it('gets vault, key and grant, and KMS with them', async () => {
    const { result } = await here.run(cluster, 'provision-kms', { vaultName: `p-${name}`, keyName: 'etcd' });
    keyId = result?.keyId ?? '';
    expect(keyId).toMatch(/^https:\/\/p-in-china\.vault\.azure\.cn\/keys\/etcd\/[0-9a-f]{32}$/);
    await here.run(cluster, 'enable-kms', { keyId });
    await expectUnder(name, keyId);
  });

  it('gets its key back that was disabled', async () => {
    await setEnabled(keyId, false);
    await control().restartServers(name);
    expect(await here.findings(cluster)).toEqual(expect.arrayContaining(['KmsUnhealthy', 'KeyUnusable']));
    const over = await here.run(cluster, 'recover-key');
    expect(over.steps.map(({ id }) => id)).toContain('recovered.prove');
    expect(await here.findings(cluster)).toEqual([]);
    await expectUnder(name, keyId);
    await here.expectNothingElsewhere(name);
  });
});

describe('a cluster in Azure Government', () => {
  const name = 'in-gov';
  const gov = 'AzureUSGovernment';
  const vault = `kv-${name}`;
  let here: InCloud;
  let keyId: string;
  const cluster = (): string => clusterIdOf(name);

  beforeAll(async () => {
    here = await InCloud.start(gov);
    const { sandbox: facts } = testStack();
    keyId = await asAdministrator(async (request) => {
      await armPut(request, groupOf(facts), { location: LOCATION });
      await armPut(request, workspaceIdOf(`logs-${name}`), { location: LOCATION });
      return await makeKey(request, await makeVault(request, { facts, name: vault, permissions: 'rbac' }), { name });
    }, gov);
    atEndOfFile(() => deleteCluster({ resourceId: cluster() }));
  });

  it('is made with KMS on, and its vault logs', async () => {
    const subnet = (of: string): string =>
      `${cluster().replace(/\/providers\/.*/, '')}/providers/Microsoft.Network/virtualNetworks/net/subnets/${of}`;
    const over = await here.run(cluster(), 'create-cluster', {
      location: LOCATION,
      identityId: identityIdOf(name),
      keyId,
      apiServerSubnetId: subnet('api'),
      nodeSubnetId: subnet('nodes'),
    });
    expect(over).toMatchObject({ result: { currentKeyId: keyId, proof: { unproven: 0 } } });
    expect(keyId).toContain(`https://${vault}.vault.usgovcloudapi.net/`);
    await control().seed(name, { count: SECRETS });
    await expectUnder(name, keyId);

    await here.run(cluster(), 'enable-vault-diagnostics', { workspaceId: workspaceIdOf(`logs-${name}`) });
    await control().restartServers(name);
    const rows = await control().vaultLogs(vaultIdOf(vault));
    expect(new Set(rows.map(({ properties }) => properties.id))).toEqual(new Set([keyId]));
  });

  it('is moved to private access', async () => {
    const { sandbox: facts } = testStack();
    await asAdministrator(async (request) => {
      const Identity = await armPut(request, identityIdOf(name), { location: LOCATION });
      const { principalId } = (Identity as { properties: { principalId: string } }).properties;
      await setApproval(request, { facts, name: vault, principalId, granted: true });
    }, gov);
    const over = await here.run(cluster(), 'change-vault-access', { vaultAccess: 'Private' });
    expect(over.steps.at(-1)).toMatchObject({ id: 'set-vault-network', status: 'done' });
    await expectUnder(name, keyId);
    await here.expectNothingElsewhere(name);
  });
});
