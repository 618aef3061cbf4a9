/** Operations that wait for one cluster: each gets its turn, none of them keeps the worker from others, and waiting costs little. */
import { afterEach, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import type { OperationAnswer } from '../../cli/api-client';
import { isFinal } from '../../domain/operation';
import { countByKey, readSecretRecords } from '../../sandbox/cluster/raw-records';
import { askForRotation, control, ended, makeCluster, people, rotateBody, until } from '../support/stack';
import { takeLockOver, withTemporal } from '../support/temporal';

const { requester, approver1 } = people();
/**
 * Each looks at the lock every two seconds at first, which the two processors of a test machine feel: 120 took longer than a test
 * may. That a wait takes no slot of the worker is seen by the activities that are pending.
 */
const WAITING = 30;
/** From its start to the wait, and looks at the lock: each is a timer and an activity, some ten events, ever more seldom. */
const MOST_EVENTS = 500;

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
    const digest = now.plan?.digest ?? '';
    const isOther = ({ status, plan }: OperationAnswer): boolean =>
      status !== 'AwaitingApproval' || plan?.digest !== digest;
    // Refused when the plan was replaced in this very moment.
    await approver1.approve(id, digest).catch(async (error: unknown) => {
      if (!isOther(await requester.get(id))) throw error;
    });
    // A new plan may be there before anybody sees that the old one was left.
    await until(requester, id, isOther);
  }
}

describe('operations that wait for one cluster', () => {
  afterEach(() => control().clearFault('hold-operation'));

  it('both end, one after the other, when the lock of the executing one is lost (O1)', async () => {
    const cluster = await makeCluster('lost-and-waiting', { count: 40 });
    const executing = await askForRotation(requester, cluster.resourceId);
    await control().setFault('hold-operation', { path: '/managedclusters/lost-and-waiting' });
    await approver1.approve(executing.id, executing.plan?.digest ?? '');
    await until(requester, executing.id, runs('rotate.set-kms'));
    const body = rotateBody(cluster.resourceId, { whenBusy: 'wait' });
    const waiting = (await requester.create(body, randomUUID())).operation;
    await until(requester, waiting.id, ({ status }) => status === 'AwaitingCluster');

    // A third takes the lock in the same moment as the first loses it, so that both have to wait for it.
    await withTemporal(async (client) => {
      const lock = await takeLockOver(client, cluster.resourceId, 'op-third');
      await control().clearFault('hold-operation');
      await until(requester, executing.id, ({ status }) => status === 'AwaitingCluster');
      await until(requester, waiting.id, ({ waitingFor }) => waitingFor?.includes('op-third') ?? false);
      await lock.signal('release');
    });

    // The other one only plans when the lock is free, and executes nothing before people approve: they wait for the first to end.
    const first = await ended(requester, executing.id);
    const second = await approveUntilEnded(waiting.id);
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
    const created = await Promise.all(Array.from({ length: WAITING }, () => requester.create(body, randomUUID())));
    const ids = created.map(({ operation }) => operation.id);
    await Promise.all(ids.map((id) => until(requester, id, ({ status }) => status === 'AwaitingCluster')));

    // They do not keep the worker from another cluster.
    const beside = await askForRotation(requester, free.resourceId);
    await approver1.approve(beside.id, beside.plan?.digest ?? '');
    expect(await ended(requester, beside.id)).toMatchObject({ status: 'Succeeded' });
    await withTemporal(async (client) => {
      const described = await Promise.all(ids.map((id) => client.workflow.getHandle(id).describe()));
      const pending = described.flatMap(({ raw }) => raw.pendingActivities ?? []);
      // A short look at the lock, now and then, and nothing that would keep a slot while it waits.
      expect(pending.filter(({ activityType }) => activityType?.name !== 'readClusterHolder')).toEqual([]);
      for (const { historyLength } of described) expect(historyLength).toBeLessThan(MOST_EVENTS);
    });

    // All but the last are canceled while they wait: executing so many rotations would take half an hour.
    const last = ids.at(-1) ?? '';
    const others = ids.slice(0, -1);
    await Promise.all(others.map((id) => requester.cancel(id)));
    for (const over of await Promise.all(others.map((id) => ended(requester, id)))) {
      expect(over).toMatchObject({ status: 'Canceled', plan: null });
    }
    expect((await requester.get(last)).status).toBe('AwaitingCluster');

    await control().clearFault('hold-operation');
    const done = await ended(requester, executing.id);
    expect(done).toMatchObject({ status: 'Succeeded' });
    const over = await approveUntilEnded(last);
    expect(over).toMatchObject({ status: 'Succeeded', result: { previousKeyId: done.result?.currentKeyId } });
  }, 480_000);
});
