/**
 * Clusters that Keyturn makes, on the real parts. Raw etcd, the journal of the sandbox and its ARM are the judges. The rows of the kinds
 * start from a cluster that is there, so that the faults of this kind are here: a creation that fails, lost answers, and a worker that dies.
 */
import { beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import type { ApiClient, OperationAnswer } from '../../cli/api-client';
import { isFinal } from '../../domain/operation';
import { armPut } from '../../launch/azure-client';
import { clusterWrites } from '../../launch/sandbox-control';
import { groupOf, LOCATION } from '../../launch/sandbox-vault';
import { countByKey, readSecretRecords } from '../../sandbox/cluster/raw-records';
import { asAdministrator, clusterIdOf, identityIdOf, makeVaultByHand } from '../support/by-hand';
import { startDirectedService } from '../support/directed-service';
import { atEndOfFile } from '../support/ends';
import { writesTo } from '../support/written';
import { request } from '../support/refusals';
import { control, deleteCluster, ended, people, testStack, until } from '../support/stack';

const SECRETS = 5;
const { requester, approver1, reader } = people();
const Body = z.looseObject({ tags: z.record(z.string(), z.string()), properties: z.looseObject({}) });

async function ask(client: ApiClient, name: string, parameters: Record<string, unknown>): Promise<OperationAnswer> {
  const cluster = clusterIdOf(name);
  atEndOfFile(() => deleteCluster({ resourceId: cluster }));
  const body = {
    kind: 'create-cluster',
    cluster,
    parameters: { location: 'westeurope', identityId: identityIdOf(name), ...parameters },
    change: { number: 'CHG-CREATE' },
  };
  const { operation } = await client.create(body, randomUUID());
  return await until(client, operation.id, ({ offers, status }) => offers.includes('approve') || isFinal(status));
}

const blocked = (client: ApiClient, id: string): Promise<OperationAnswer> =>
  until(client, id, ({ status }) => status === 'Blocked');

/** Expects that the cluster is proven under its key, and that its API servers write with nothing else. */
async function expectEncrypted(name: string, keyId: string, { id }: OperationAnswer): Promise<void> {
  await control().seed(name, { count: SECRETS });
  const etcd = (await control().state()).clusters.find((one) => one.name === name)?.etcdUrl ?? '';
  const under = await countByKey(readSecretRecords(etcd), { newKeyId: keyId });
  expect(under).toEqual({ newKey: SECRETS, oldKey: 0, plaintext: 0, other: 0 });
  const look = await reader.encryption(clusterIdOf(name));
  expect(look).toMatchObject({ slots: { current: { keyId }, previous: null, previousKnown: true } });
  expect(JSON.stringify(look)).toContain(id);
}

beforeAll(async () => {
  const { sandbox } = testStack();
  await asAdministrator((send) => armPut(send, groupOf(sandbox), { location: LOCATION }));
});

describe('a cluster that Keyturn makes', () => {
  const name = 'create-new';
  let keyId: string;

  beforeAll(async () => {
    keyId = await makeVaultByHand(`kv-${name}`, 'rbac');
  });

  it('is not there, and is needed by nothing, when Azure refuses it and a person cancels', async () => {
    const asked = await ask(requester, 'create-refused', { keyId });
    await control().setFault('refuse-put', { path: '/managedClusters/create-refused' });
    await approver1.approve(asked.id, asked.plan?.digest ?? '');
    expect(await blocked(requester, asked.id)).toMatchObject({ reason: { code: 'ArmRequestRefused' } });
    await requester.cancel(asked.id);
    const over = await ended(requester, asked.id);
    expect(over.status).toBe('Canceled');
    expect(over.reason?.detail).toMatch(
      /Azure refused to make the cluster.*identity create-refused was made and stays/,
    );
    expect(clusterWrites(await control().journal(), clusterIdOf('create-refused'))).toBe(0);
  });

  it('has KMS on from the start, is proven, and is made again after a creation that failed', async () => {
    const asked = await ask(requester, name, { keyId });
    const late = await ask(requester, name, { keyId });
    expect(asked.plan?.steps.map(({ type }) => type)).toContain('create-identity');
    await control().setFault('fail-operation', { path: `/managedClusters/${name}` });
    await approver1.approve(asked.id, asked.plan?.digest ?? '');
    expect(await blocked(requester, asked.id)).toMatchObject({
      reason: { code: 'ArmOperationFailed' },
      keysNeeded: [keyId],
    });
    await requester.retry(asked.id);
    const over = await ended(requester, asked.id);
    expect(over).toMatchObject({
      status: 'Succeeded',
      result: { previousKeyId: null, currentKeyId: keyId, proof: { unproven: 0 } },
      keysNeeded: [keyId],
    });
    expect(clusterWrites(await control().journal(), clusterIdOf(name))).toBe(2);
    await expectEncrypted(name, keyId, over);

    // The other request was planned while there was none.
    await approver1.approve(late.id, late.plan?.digest ?? '');
    expect(await ended(requester, late.id)).toMatchObject({ status: 'Failed', reason: { code: 'ClusterExists' } });
    expect(clusterWrites(await control().journal(), clusterIdOf(name))).toBe(2);
  });
});

describe('a cluster with a private vault that is made with it', () => {
  const name = 'create-private';
  const subnet = (of: string): string =>
    `${clusterIdOf(name).replace(/\/providers\/.*/, '')}/providers/Microsoft.Network/virtualNetworks/net/subnets/${of}`;

  it('is made once, though every answer of Azure is lost and the worker dies at every boundary', async () => {
    const service = await startDirectedService(name);
    try {
      const own = people(service.apiUrl);
      const asked = await ask(own.requester, name, {
        provision: { vaultName: `kv-${name}`, keyName: 'etcd', permissionModel: 'access-policy', retentionDays: 7 },
        vaultAccess: 'Private',
        apiServerSubnetId: subnet('api'),
        nodeSubnetId: subnet('nodes'),
      });
      await control().setFault('lost-response', { method: 'any', path: name, requests: 1_000 });
      service.crashEverywhere({ before: /^create-cluster$/, after: /^create-|^grant-/ });
      await own.approver1.approve(asked.id, asked.plan?.digest ?? '');
      const over = await ended(own.requester, asked.id);
      await control().clearFault('lost-response');
      const keyId = over.result?.keyId ?? '';
      expect(over).toMatchObject({ status: 'Succeeded', result: { currentKeyId: keyId, proof: { unproven: 0 } } });

      expect(service.crashes().map(({ when, step, activity }) => [when, activity ?? step])).toEqual([
        ['after', 'createVault'],
        ['after', 'createKey'],
        ['after', 'createIdentity'],
        ['after', 'grantKeyAccess'],
        ['after', 'grantEndpointApproval'],
        ['before', 'create-cluster'],
        ['after', 'submitNewCluster'],
        ['after', 'noteCreation'],
      ]);

      expect(await writesTo(name, 'PUT', /\/managedClusters\/[^/]+$/)).toBe(1);
      expect(await writesTo(name, 'PUT', /\/vaults\/[^/]+$/)).toBe(1);
      // Through ARM: the vault answers to nobody.
      expect(await writesTo(name, 'PUT', /\/vaults\/[^/]+\/keys\/etcd$/)).toBe(1);
      expect(await writesTo(name, 'PUT', /\/userAssignedIdentities\/[^/]+$/)).toBe(1);
      expect(await writesTo(name, 'PUT', /\/roleAssignments\/[^/]+$/)).toBe(1);
      const { tags, properties } = Body.parse(await request('GET', clusterIdOf(name)));
      expect(tags).toMatchObject({ 'keyturn-operation': over.id });
      expect(properties).toMatchObject({
        apiServerAccessProfile: { enableVnetIntegration: true, subnetId: subnet('api') },
        securityProfile: { azureKeyVaultKms: { enabled: true, keyId, keyVaultNetworkAccess: 'Private' } },
      });
      await expectEncrypted(name, keyId, over);
    } finally {
      await service.stop();
    }
  }, 300_000);
});
