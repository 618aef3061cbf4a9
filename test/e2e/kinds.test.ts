/** The kinds beside rotate-key, on the real parts: each judged by raw etcd, on one cluster that goes through all of them. */
import { beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import type { OperationAnswer } from '../../cli/api-client';
import { isFinal } from '../../domain/operation';
import type { SandboxClusterFacts } from '../../launch/sandbox-cluster';
import { countByKey, readSecretRecords, type KeyCount } from '../../sandbox/cluster/raw-records';
import { setKeyByHand } from '../support/by-hand';
import { ended, makeCluster, people, until } from '../support/stack';

const SECRETS = 60;

describe('a cluster without KMS', () => {
  let cluster: SandboxClusterFacts;
  const { requester, approver1, approver2 } = people();

  beforeAll(async () => {
    cluster = await makeCluster('kinds', { count: SECRETS, immutableEvery: 7 }, { kms: false });
  });

  const stored = (): Promise<KeyCount> => countByKey(readSecretRecords(cluster.etcd), { newKeyId: cluster.keyId });
  const ask = async (kind: string, parameters: Record<string, string> = {}): Promise<OperationAnswer> => {
    const body = { kind, cluster: cluster.resourceId, parameters, change: { number: 'CHG-KINDS' } };
    const { operation } = await requester.create(body, randomUUID());
    return await until(requester, operation.id, ({ offers, status }) => offers.includes('approve') || isFinal(status));
  };
  const run = async (kind: string, parameters: Record<string, string> = {}): Promise<OperationAnswer> => {
    const asked = await ask(kind, parameters);
    await approver1.approve(asked.id, asked.plan?.digest ?? '');
    return await ended(requester, asked.id);
  };

  it('refuses what needs KMS, and takes no key that does not exist', async () => {
    await expect(ask('rotate-key')).rejects.toMatchObject({ status: 422, code: 'KmsNotEnabled' });
    await expect(ask('disable-kms')).rejects.toMatchObject({ status: 422, code: 'KmsNotEnabled' });
    const missing = cluster.keyId.replace(/[0-9a-f]{32}$/, '0'.repeat(32));
    await expect(ask('enable-kms', { keyId: missing })).rejects.toMatchObject({ status: 422, code: 'KeyNotFound' });
    await expect(ask('enable-kms')).rejects.toMatchObject({ status: 400, code: 'InvalidRequest' });
  });

  it('is encrypted by enable-kms, with no Secret left in plaintext', async () => {
    const over = await run('enable-kms', { keyId: cluster.keyId });
    expect(over).toMatchObject({
      status: 'Succeeded',
      result: { previousKeyId: null, currentKeyId: cluster.keyId, proof: { secrets: SECRETS, unproven: 0 } },
      keysNeeded: [cluster.keyId],
    });
    expect(await stored()).toEqual({ newKey: SECRETS, oldKey: 0, plaintext: 0, other: 0 });
    await expect(ask('enable-kms', { keyId: cluster.keyId })).rejects.toMatchObject({ code: 'KmsAlreadyEnabled' });
  });

  it('is proven again by rewrite-secrets, which changes nothing where all is well', async () => {
    const over = await run('rewrite-secrets');
    expect(over).toMatchObject({ status: 'Succeeded', result: { rewrite: null, proof: { unproven: 0 } } });
    expect(await stored()).toMatchObject({ newKey: SECRETS });
  });

  it('is moved to plaintext by disable-kms, behind a gate of its own, and its key is needed all the same (K3)', async () => {
    const asked = await ask('disable-kms');
    const digest = asked.plan?.digest ?? '';
    await approver1.approve(asked.id, digest);
    const second = await until(
      requester,
      asked.id,
      ({ waitingFor }) => waitingFor?.includes('approve-plaintext') ?? false,
    );
    expect(second.status).toBe('AwaitingApproval');
    // A message that is sent again does not open the next gate.
    await approver1.approve(asked.id, digest);
    await expect(approver2.approve(asked.id, digest)).rejects.toMatchObject({ code: 'NotAwaitingApproval' });
    expect((await requester.get(asked.id)).status).toBe('AwaitingApproval');
    expect(await stored()).toMatchObject({ newKey: SECRETS });

    await approver2.approve(asked.id, digest, 'approve-plaintext');
    const over = await ended(requester, asked.id);
    expect(over).toMatchObject({
      status: 'Succeeded',
      result: { previousKeyId: cluster.keyId, currentKeyId: null, proof: { unproven: 0 } },
      keysNeeded: [cluster.keyId],
    });
    expect(await stored()).toEqual({ newKey: 0, oldKey: 0, plaintext: SECRETS, other: 0 });
  });

  it('that a person has switched and never rewritten is repaired by rewrite-secrets', async () => {
    await setKeyByHand(cluster, cluster.keyId);
    expect(await stored()).toMatchObject({ plaintext: SECRETS });
    const on = await run('rewrite-secrets');
    expect(on).toMatchObject({ status: 'Succeeded', result: { currentKeyId: cluster.keyId, proof: { unproven: 0 } } });
    expect(await stored()).toEqual({ newKey: SECRETS, oldKey: 0, plaintext: 0, other: 0 });

    await setKeyByHand(cluster, null);
    const off = await run('rewrite-secrets');
    expect(off).toMatchObject({ status: 'Succeeded', result: { currentKeyId: null }, keysNeeded: [cluster.keyId] });
    expect(await stored()).toEqual({ newKey: 0, oldKey: 0, plaintext: SECRETS, other: 0 });
  });
});
