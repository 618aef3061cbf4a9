/** Four eyes on exactly one plan, through the API, on a real Temporal and a real cluster. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { clusterWrites } from '../../launch/sandbox-control';
import type { SandboxClusterFacts } from '../../launch/sandbox-cluster';
import type { Service } from '../../launch/service';
import { recordHistory } from '../support/histories';
import {
  askForRotation,
  control,
  ended,
  makeCluster,
  openTemporal,
  people,
  rotateBody,
  startOwnService,
  until,
} from '../support/stack';

describe('approval', () => {
  let cluster: SandboxClusterFacts;
  let writesBefore: number;

  beforeAll(async () => {
    cluster = await makeCluster('approval', { count: 5 });
    writesBefore = clusterWrites(await control().journal(), cluster.resourceId);
  });

  const writes = async (): Promise<number> =>
    clusterWrites(await control().journal(), cluster.resourceId) - writesBefore;

  it('by the requester is refused with 403, although they hold the role', async () => {
    const { requester } = people();
    const asked = await askForRotation(requester, cluster.resourceId);
    await expect(requester.approve(asked.id, asked.plan?.digest ?? '')).rejects.toMatchObject({
      status: 403,
      code: 'RequesterCannotApprove',
    });
    expect(await requester.get(asked.id)).toMatchObject({ status: 'AwaitingApproval', approvals: [] });
  });

  it('by somebody without the role is refused with 403', async () => {
    const { requester, reader } = people();
    const asked = await askForRotation(requester, cluster.resourceId);
    await expect(reader.approve(asked.id, asked.plan?.digest ?? '')).rejects.toMatchObject({
      status: 403,
      code: 'RoleMissing',
    });
  });

  it('of another digest is refused with 412', async () => {
    const { requester, approver1 } = people();
    const asked = await askForRotation(requester, cluster.resourceId);
    await expect(approver1.approve(asked.id, `sha256:${'0'.repeat(64)}`)).rejects.toMatchObject({
      status: 412,
      code: 'PlanDigestMismatch',
    });
    expect(await requester.get(asked.id)).toMatchObject({ status: 'AwaitingApproval', approvals: [] });
  });

  it('after the deadline is refused with 409, and the operation is Canceled with that reason', async () => {
    const { requester, approver1 } = people();
    const asked = await askForRotation(requester, cluster.resourceId, { approvalTimeoutInSeconds: 2 });
    const over = await ended(requester, asked.id);
    expect(over).toMatchObject({ status: 'Canceled', reason: { code: 'ApprovalExpired' } });
    expect(over.keysNeeded).toEqual([cluster.keyId]);
    await expect(approver1.approve(asked.id, asked.plan?.digest ?? '')).rejects.toMatchObject({
      status: 409,
      code: 'ApprovalExpired',
    });
    await recordHistory('expired', asked.id);
    expect(await writes()).toBe(0);
  });

  it('can be denied, which cancels the operation with the reason of the person who denied it', async () => {
    const { requester, approver1 } = people();
    const asked = await askForRotation(requester, cluster.resourceId);
    await approver1.deny(asked.id, asked.plan?.digest ?? '', 'Not during the freeze.');
    expect(await ended(requester, asked.id)).toMatchObject({
      status: 'Canceled',
      reason: { code: 'Denied', detail: expect.stringContaining('Not during the freeze.') },
    });
    await expect(approver1.approve(asked.id, asked.plan?.digest ?? '')).rejects.toMatchObject({ status: 409 });
    await recordHistory('denied', asked.id);
    expect(await writes()).toBe(0);
  });

  it('is not needed any more once somebody cancels the workflow in Temporal itself', async () => {
    const { requester } = people();
    const asked = await askForRotation(requester, cluster.resourceId);
    const client = await openTemporal();
    const handle = client.workflow.getHandle(asked.id);
    await handle.cancel();
    expect(await ended(requester, asked.id)).toMatchObject({
      status: 'Canceled',
      reason: {
        code: 'CanceledOnRequest',
        detail:
          'The workflow was canceled through Temporal. The cluster was not changed. Keep every key listed under keysNeeded.',
      },
    });
    await expect(handle.result()).rejects.toThrow();
    expect((await handle.describe()).status.name).toBe('CANCELLED');
    await client.connection.close();
  });

  it('is not needed any more once the requester cancels', async () => {
    const { requester } = people();
    const asked = await askForRotation(requester, cluster.resourceId);
    await requester.cancel(asked.id);
    expect(await ended(requester, asked.id)).toMatchObject({
      status: 'Canceled',
      reason: { code: 'CanceledOnRequest' },
    });
    await recordHistory('canceled', asked.id);
    expect(await writes()).toBe(0);
  });
});

describe('approval by two', () => {
  let service: Service;
  let cluster: SandboxClusterFacts;

  beforeAll(async () => {
    [cluster, service] = await Promise.all([
      makeCluster('approval-by-two', { count: 5 }),
      startOwnService('approval-by-two', { KEYTURN_APPROVALS_REQUIRED: '2' }),
    ]);
  });
  afterAll(() => service.stop());

  it('needs two people: a second approval of the same person has no effect', async () => {
    const { requester, approver1, approver2 } = people(service.apiUrl);
    const asked = await askForRotation(requester, cluster.resourceId);
    const digest = asked.plan?.digest ?? '';
    await approver1.approve(asked.id, digest);
    const again = await approver1.approve(asked.id, digest);
    expect(again.approvals.map(({ by }) => by.name)).toEqual(['approver1']);
    expect(again.status).toBe('AwaitingApproval');
    await approver2.approve(asked.id, digest);
    const over = await ended(requester, asked.id);
    expect(over).toMatchObject({ status: 'Succeeded' });
    expect(over.approvals.map(({ by }) => by.name)).toEqual(['approver1', 'approver2']);
  });
});

describe('two operations on one cluster', () => {
  let cluster: SandboxClusterFacts;
  const held = { path: '/managedclusters/two-operations' };

  beforeAll(async () => {
    cluster = await makeCluster('two-operations', { count: 5 });
  });
  afterEach(() => control().clearFault('hold-operation'));

  it('may wait for approval side by side; when the first has run, the second is asked for anew', async () => {
    const { requester, approver1 } = people();
    const [first, second] = [
      await askForRotation(requester, cluster.resourceId),
      await askForRotation(requester, cluster.resourceId),
    ];
    await approver1.approve(first.id, first.plan?.digest ?? '');
    expect(await ended(requester, first.id)).toMatchObject({ status: 'Succeeded' });

    await approver1.approve(second.id, second.plan?.digest ?? '');
    const anew = await until(
      requester,
      second.id,
      ({ planRevision, offers }) => planRevision === 2 && offers.includes('approve'),
    );
    expect(anew).toMatchObject({ status: 'AwaitingApproval', approvals: [] });
    expect(anew.plan?.digest).not.toBe(second.plan?.digest);
    expect(anew.plan?.from).toMatchObject({ key: (await requester.get(first.id)).result?.currentKeyId });

    await approver1.approve(anew.id, anew.plan?.digest ?? '');
    expect(await ended(requester, anew.id)).toMatchObject({ status: 'Succeeded' });
    await recordHistory('plan-changed', anew.id);
  });

  it('do not run at the same time: the second is refused with 409 naming the first, or waits if it asked to (O1)', async () => {
    const { requester, approver1, approver2 } = people();
    const waiting = await askForRotation(requester, cluster.resourceId, { whenBusy: 'wait' });
    const bystander = await askForRotation(requester, cluster.resourceId);
    const first = await askForRotation(requester, cluster.resourceId);
    await control().setFault('hold-operation', held);
    await approver1.approve(first.id, first.plan?.digest ?? '');
    await until(requester, first.id, ({ steps }) =>
      steps.some(({ id, status }) => id === 'rotate.set-kms' && status === 'running'),
    );

    const refused = requester.create(rotateBody(cluster.resourceId), randomUUID());
    await expect(refused).rejects.toMatchObject({
      status: 409,
      code: 'ClusterBusy',
      detail: expect.stringContaining(first.id),
    });
    await expect(approver2.approve(bystander.id, bystander.plan?.digest ?? '')).rejects.toMatchObject({
      status: 409,
      code: 'ClusterBusy',
    });
    await approver2.approve(waiting.id, waiting.plan?.digest ?? '');
    const waits = await until(requester, waiting.id, ({ status }) => status === 'AwaitingCluster');
    expect(waits.waitingFor).toContain(first.id);

    // Azure says Updating now; one that asked to wait is taken all the same, and plans when the first has ended.
    const { operation: late } = await requester.create(
      rotateBody(cluster.resourceId, { whenBusy: 'wait' }),
      randomUUID(),
    );
    expect(await until(requester, late.id, ({ status }) => status === 'AwaitingCluster')).toMatchObject({ plan: null });

    await control().clearFault('hold-operation');
    const done = await ended(requester, first.id);
    expect(done).toMatchObject({ status: 'Succeeded' });
    const planned = await until(requester, late.id, ({ offers }) => offers.includes('approve'));
    expect(planned).toMatchObject({ planRevision: 1, plan: { from: { key: done.result?.currentKeyId } } });
    await requester.cancel(late.id);
    const anew = await until(
      requester,
      waiting.id,
      ({ planRevision, offers }) => planRevision === 2 && offers.includes('approve'),
    );
    await requester.cancel(anew.id);
    expect(await ended(requester, anew.id)).toMatchObject({ status: 'Canceled' });
  });
});
