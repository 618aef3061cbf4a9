/** What needs a person makes an operation blocked, never half-failed: it says why, what must not be touched, and what it offers. */
import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { OperationAnswer } from '../../cli/api-client';
import { evidenceOf } from '../support/evidence';
import { armPut, connectAzure } from '../../launch/azure-client';
import type { SandboxClusterFacts } from '../../launch/sandbox-cluster';
import { countByKey, readSecretRecords } from '../../sandbox/cluster/raw-records';
import { recordHistory } from '../support/histories';
import { askForRotation, control, ended, makeCluster, people, testStack, until } from '../support/stack';

const SECRETS = 20;

/** What `az aks update` without options does: the repair of a cluster in a failed state. */
async function putAsItIs(resourceId: string): Promise<void> {
  const { request, close } = await connectAzure(testStack().sandbox);
  const { body } = await request('GET', `https://management.azure.com${resourceId}?api-version=2026-04-01`);
  await armPut(request, resourceId, body);
  await close();
}

describe('an operation whose change Azure fails', () => {
  let cluster: SandboxClusterFacts;

  beforeAll(async () => {
    cluster = await makeCluster('blocked', { count: SECRETS });
  });
  afterEach(() => control().clearFault('fail-operation'));

  async function untilBlocked(): Promise<OperationAnswer> {
    const { requester, approver1 } = people();
    const asked = await askForRotation(requester, cluster.resourceId);
    await control().setFault('fail-operation', {
      path: '/managedclusters/blocked',
      code: 'InternalOperationError',
      message: 'Backend trouble.',
    });
    await approver1.approve(asked.id, asked.plan?.digest ?? '');
    return await until(requester, asked.id, ({ status }) => status === 'Blocked');
  }

  it('says why, which keys are needed, and goes on when a person asks for another try', async () => {
    const { requester } = people();
    const blocked = await untilBlocked();
    expect(blocked).toMatchObject({
      reason: { code: 'ArmOperationFailed', detail: expect.stringContaining('Backend trouble.') },
      offers: ['retry', 'cancel'],
      waitingFor: expect.stringContaining('a person'),
    });
    expect(blocked.keysNeeded).toContain(cluster.keyId);
    expect(blocked.keysNeeded).toHaveLength(2);

    await requester.retry(blocked.id);
    const over = await ended(requester, blocked.id);
    expect(over).toMatchObject({ status: 'Succeeded', result: { proof: { secrets: SECRETS, unproven: 0 } } });
    expect(
      await countByKey(readSecretRecords(cluster.etcd), { newKeyId: over.result?.currentKeyId ?? '' }),
    ).toMatchObject({ newKey: SECRETS });
    await recordHistory('blocked', blocked.id);
  });

  it('can be canceled, and says which state it left; the next operation proves the current key first (K2)', async () => {
    const { requester, approver1 } = people();
    const blocked = await untilBlocked();
    await requester.cancel(blocked.id);
    const over = await ended(requester, blocked.id);
    expect(over).toMatchObject({
      status: 'Canceled',
      reason: { code: 'CanceledOnRequest', detail: expect.stringContaining('Keep every key listed under keysNeeded') },
    });
    expect([...over.keysNeeded].sort()).toEqual([...blocked.keysNeeded].sort());
    expect(evidenceOf(over)).toMatchObject({
      ok: true,
      record: { operation: { status: 'Canceled' } },
    });
    // No canary is left behind.
    for await (const { name } of readSecretRecords(cluster.etcd)) expect(name).not.toContain('canary');

    // The failed change left the cluster Failed; a rotation is refused until it is repaired.
    await expect(askForRotation(requester, cluster.resourceId)).rejects.toMatchObject({
      status: 422,
      code: 'ClusterNotSucceeded',
    });
    await putAsItIs(cluster.resourceId);
    const asked = await askForRotation(requester, cluster.resourceId);
    expect(asked.plan?.steps.map(({ id }) => id)).toContain('current.prove');
    await approver1.approve(asked.id, asked.plan?.digest ?? '');
    expect(await ended(requester, asked.id)).toMatchObject({ status: 'Succeeded', result: { proof: { unproven: 0 } } });
  });
});
