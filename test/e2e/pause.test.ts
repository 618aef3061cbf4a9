/** A person pauses a running operation: it stands still at a safe point, keeps the cluster, says what is needed, and goes on. */
import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { OperationAnswer } from '../../cli/api-client';
import type { SandboxClusterFacts } from '../../launch/sandbox-cluster';
import { countByKey, readSecretRecords } from '../../sandbox/cluster/raw-records';
import { askForRotation, control, ended, makeCluster, people, until } from '../support/stack';
import { withTemporal } from '../support/temporal';

const SECRETS = 60;
const NAME = 'paused';

const runs = (step: string) => (operation: OperationAnswer) =>
  operation.steps.some(({ id, status }) => id === step && status === 'running');

/** What a worker still does for an operation. */
async function pendingActivities(id: string): Promise<number> {
  return await withTemporal(async (client) => {
    const { raw } = await client.workflow.getHandle(id).describe();
    return raw.pendingActivities?.length ?? 0;
  });
}

describe('a pause', () => {
  const { requester, approver1, approver2 } = people();
  let cluster: SandboxClusterFacts;
  beforeAll(async () => {
    cluster = await makeCluster(NAME, { count: SECRETS }, { tags: { 'keyturn-rewrites-per-second': '4' } });
  });
  afterEach(() => control().clearFault('hold-operation'));

  async function started(): Promise<OperationAnswer> {
    const asked = await askForRotation(requester, cluster.resourceId);
    return await approver1.approve(asked.id, asked.plan?.digest ?? '');
  }

  it('stops a rewrite in the middle, leaves nothing that writes, and the rewrite goes on where it was', async () => {
    const { id } = await started();
    await until(requester, id, ({ progress }) => progress?.step === 'rotate.rewrite' && progress.done > 0);
    await approver1.pause(id, 'The shop is open.');
    const paused = await until(requester, id, ({ status }) => status === 'Paused');
    expect(paused).toMatchObject({
      paused: { by: { name: expect.any(String) }, reason: 'The shop is open.' },
      waitingFor: expect.stringContaining('The shop is open. Nothing is written until then'),
      offers: ['resume', 'cancel'],
    });
    expect(paused.keysNeeded).toHaveLength(2);
    expect(runs('rotate.rewrite')(paused)).toBe(true);
    expect(await pendingActivities(id)).toBe(0);
    // It keeps the cluster.
    await expect(askForRotation(requester, cluster.resourceId)).rejects.toMatchObject({ code: 'ClusterBusy' });

    // Sent again it is the same pause; another person's is refused.
    expect((await approver1.pause(id)).paused).toEqual(paused.paused);
    await expect(approver2.pause(id)).rejects.toMatchObject({ status: 409, code: 'NotPausable' });

    expect((await requester.resume(id)).paused).toBeNull();
    const over = await ended(requester, id);
    expect(over).toMatchObject({
      status: 'Succeeded',
      paused: null,
      resumed: { by: { type: 'user' } },
      result: { proof: { secrets: SECRETS, unproven: 0 } },
    });
    expect(over.steps.every(({ attempt }) => attempt === undefined)).toBe(true);
    expect(
      await countByKey(readSecretRecords(cluster.etcd), { newKeyId: over.result?.currentKeyId ?? '' }),
    ).toMatchObject({ newKey: SECRETS });
    await expect(requester.resume(id)).rejects.toMatchObject({ status: 409, code: 'OperationEnded' });
  });

  it('waits for the end of a change that Azure was asked for, can be taken back, and can end in a cancellation', async () => {
    const { id } = await started();
    await control().setFault('hold-operation', { path: `/managedclusters/${NAME}` });
    await until(requester, id, runs('rotate.set-kms'));
    await requester.pause(id);
    const pausesSoon = await requester.get(id);
    expect(pausesSoon).toMatchObject({ status: 'Running', offers: ['resume', 'cancel'] });
    expect(pausesSoon.paused).not.toBeNull();
    expect(await requester.resume(id)).toMatchObject({ status: 'Running', paused: null, offers: ['pause', 'cancel'] });

    await requester.pause(id);
    await control().clearFault('hold-operation');
    const paused = await until(requester, id, ({ status }) => status === 'Paused');
    expect(paused.steps.find(({ id: step }) => step === 'rotate.set-kms')?.status).toBe('done');
    expect(await pendingActivities(id)).toBe(0);

    await requester.cancel(id);
    const over = await ended(requester, id);
    expect(over).toMatchObject({
      status: 'Canceled',
      paused: null,
      reason: { code: 'CanceledOnRequest', detail: expect.stringContaining('not every Secret is proven') },
    });
    expect(over.keysNeeded).toEqual(expect.arrayContaining(paused.keysNeeded));
  });
});
