/** Operations that wait for one cluster: each gets its turn, none of them keeps the worker from others, and waiting costs little. */
import { afterEach, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import type { Client } from '@temporalio/client';
import type { OperationAnswer } from '../../cli/api-client';
import { isFinal } from '../../domain/operation';
import { clusterLockId } from '../../domain/resource-ids';
import { countByKey, readSecretRecords } from '../../sandbox/cluster/raw-records';
import { askForRotation, control, ended, makeCluster, openTemporal, people, rotateBody, until } from '../support/stack';

const { requester, approver1 } = people();
/** More than a worker has slots for activities (100). */
const WAITING = 120;
/** From its start to the wait, and a look at the lock now and then: each is a timer and an activity, some ten events. */
const MOST_EVENTS = 300;

async function withTemporal<T>(work: (client: Client) => Promise<T>): Promise<T> {
  const client = await openTemporal();
  try {
    return await work(client);
  } finally {
    await client.connection.close();
  }
}

const historyLength = (id: string): Promise<number> =>
  withTemporal(async (client) => (await client.workflow.getHandle(id).describe()).historyLength);
const runs = (step: string) => (operation: OperationAnswer) =>
  operation.steps.some(({ id, status }) => id === step && status === 'running');

/** When an operation held the lock of its cluster, by its history. */
async function holdsOf(id: string): Promise<{ readonly from: number; readonly to: number }[]> {
  const { events } = await withTemporal((client) => client.workflow.getHandle(id).fetchHistory());
  const holds: { readonly from: number; to: number }[] = [];
  for (const event of events ?? []) {
    const at = Number(event.eventTime?.seconds) * 1000 + Number(event.eventTime?.nanos) / 1e6;
    if (event.childWorkflowExecutionStartedEventAttributes) holds.push({ from: at, to: Infinity });
    const hold = holds.at(-1);
    const hasEnded =
      event.childWorkflowExecutionCompletedEventAttributes ?? event.childWorkflowExecutionTerminatedEventAttributes;
    if (hasEnded && hold) hold.to = at;
  }
  return holds;
}

/** Approves whatever plan an operation comes to, until it has ended: another operation may have changed what it planned from. */
async function approveUntilEnded(id: string): Promise<OperationAnswer> {
  for (;;) {
    const now = await until(
      requester,
      id,
      ({ offers, status, evidence }) => offers.includes('approve') || (isFinal(status) && evidence !== null),
    );
    if (isFinal(now.status)) return now;
    // Refused when the plan was replaced in this very moment.
    await approver1.approve(id, now.plan?.digest ?? '').catch(() => undefined);
    await until(requester, id, ({ status }) => status !== 'AwaitingApproval');
  }
}

describe('operations that wait for one cluster', () => {
  afterEach(() => control().clearFault('hold-operation'));

  it('both end, one after the other, when the lock of the executing one is lost (O1)', async () => {
    const tags = { 'keyturn-rewrites-per-second': '10' };
    const cluster = await makeCluster('lost-and-waiting', { count: 40 }, { tags });
    const waiting = await askForRotation(requester, cluster.resourceId, { whenBusy: 'wait' });
    const executing = await askForRotation(requester, cluster.resourceId);
    await approver1.approve(executing.id, executing.plan?.digest ?? '');
    await until(requester, executing.id, runs('rotate.rewrite'));
    await approver1.approve(waiting.id, waiting.plan?.digest ?? '');
    await until(requester, waiting.id, ({ status }) => status === 'AwaitingCluster');

    // A third takes the lock in the same moment as the first loses it, so that both have to wait for it.
    await withTemporal(async (client) => {
      const lock = client.workflow.getHandle(clusterLockId(cluster.resourceId));
      const { taskQueue } = await lock.describe();
      await client.workflow.start('clusterLock', {
        workflowIdConflictPolicy: 'TERMINATE_EXISTING',
        workflowId: clusterLockId(cluster.resourceId),
        taskQueue,
        memo: { holder: 'op-third' },
      });
      await until(requester, executing.id, ({ status }) => status === 'AwaitingCluster');
      await until(requester, waiting.id, ({ waitingFor }) => waitingFor?.includes('op-third') ?? false);
      await lock.signal('release');
    });

    const [first, second] = await Promise.all([ended(requester, executing.id), approveUntilEnded(waiting.id)]);
    expect(first).toMatchObject({ status: 'Succeeded', result: { proof: { unproven: 0 } } });
    expect(second).toMatchObject({ status: 'Succeeded', result: { proof: { unproven: 0 } } });
    expect(second.result?.previousKeyId).toBe(first.result?.currentKeyId);
    const newKeyId = second.result?.currentKeyId ?? '';
    expect(await countByKey(readSecretRecords(cluster.etcd), { newKeyId })).toMatchObject({ newKey: 40 });
    const holds = [...(await holdsOf(first.id)), ...(await holdsOf(second.id))].sort((a, b) => a.from - b.from);
    for (const [index, { from }] of holds.slice(1).entries()) {
      expect(from).toBeGreaterThanOrEqual(holds[index]?.to ?? Infinity);
    }
  });

  it(`are ${WAITING} and leave the worker to others, keep short histories, and all end`, async () => {
    const [busy, free] = [
      await makeCluster('many-waiting', { count: 5 }),
      await makeCluster('beside-many', { count: 5 }),
    ];
    const executing = await askForRotation(requester, busy.resourceId);
    await control().setFault('hold-operation', { path: '/managedclusters/many-waiting' });
    await approver1.approve(executing.id, executing.plan?.digest ?? '');
    await until(requester, executing.id, runs('rotate.set-kms'));

    const body = rotateBody(busy.resourceId, { whenBusy: 'wait' });
    const ids: string[] = [];
    for (let count = 0; count < WAITING; count++) {
      ids.push((await requester.create(body, randomUUID())).operation.id);
    }
    for (const id of ids) await until(requester, id, ({ status }) => status === 'AwaitingCluster');

    // They do not keep the worker from another cluster.
    const beside = await askForRotation(requester, free.resourceId);
    await approver1.approve(beside.id, beside.plan?.digest ?? '');
    expect(await ended(requester, beside.id)).toMatchObject({ status: 'Succeeded' });

    // All but the last are canceled while they wait: executing so many rotations would take an hour.
    const last = ids.at(-1) ?? '';
    for (const id of ids.slice(0, -1)) await requester.cancel(id);
    for (const id of ids.slice(0, -1)) {
      expect(await ended(requester, id)).toMatchObject({ status: 'Canceled', plan: null });
      expect(await historyLength(id)).toBeLessThan(MOST_EVENTS);
    }
    expect((await requester.get(last)).status).toBe('AwaitingCluster');

    await control().clearFault('hold-operation');
    const done = await ended(requester, executing.id);
    expect(done).toMatchObject({ status: 'Succeeded' });
    const over = await approveUntilEnded(last);
    expect(over).toMatchObject({ status: 'Succeeded', result: { previousKeyId: done.result?.currentKeyId } });
  });
});
