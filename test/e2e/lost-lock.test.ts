/** An operation whose lock is ended in Temporal writes nothing until it holds the lock again, and never beside another one (O1). */
import { afterEach, describe, expect, it } from '@jest/globals';
import { clusterLockId } from '../../domain/resource-ids';
import { evidenceOf } from '../support/evidence';
import { countByKey, readSecretRecords } from '../../sandbox/cluster/raw-records';
import { kubeApi } from '../support/kube';
import { askForRotation, control, ended, makeCluster, people, until } from '../support/stack';
import { takeLockOver, withTemporal } from '../support/temporal';

const SECRETS = 40;
const SLOW = { tags: { 'keyturn-rewrites-per-second': '5' } };

/** What an operation asked for while it did not hold its lock: the names of activities. */
async function askedWithoutLock(operationId: string): Promise<string[]> {
  const { events } = await withTemporal((client) => client.workflow.getHandle(operationId).fetchHistory());
  const asked: string[] = [];
  let lost = false;
  for (const event of events ?? []) {
    if (event.childWorkflowExecutionTerminatedEventAttributes) lost = true;
    if (event.childWorkflowExecutionStartedEventAttributes) lost = false;
    const name = event.activityTaskScheduledEventAttributes?.activityType?.name;
    if (lost && name) asked.push(name);
  }
  return asked;
}

async function provenKeys(cluster: { kubeconfig: string }): Promise<string[]> {
  const { ledger } = await kubeApi(cluster).configMap('kube-system', 'keyturn-ledger');
  const { generations } = JSON.parse(ledger ?? '{}') as { generations: { keyId: string; state: string }[] };
  return generations.filter(({ state }) => state === 'proven').map(({ keyId }) => keyId);
}

describe('an operation whose lock is ended in Temporal', () => {
  afterEach(() => control().clearFault('hold-operation'));

  it('stops in the middle of the rewrite, takes the lock again, and ends with its evidence', async () => {
    const { requester, approver1 } = people();
    const cluster = await makeCluster('lost-lock', { count: SECRETS }, SLOW);
    const asked = await askForRotation(requester, cluster.resourceId);
    await approver1.approve(asked.id, asked.plan?.digest ?? '');
    await until(requester, asked.id, ({ steps }) =>
      steps.some(({ id, status }) => id === 'rotate.rewrite' && status === 'running'),
    );
    await withTemporal((client) =>
      client.workflow.getHandle(clusterLockId(cluster.resourceId)).terminate('Tidied up.'),
    );

    const over = await ended(requester, asked.id);
    expect(over).toMatchObject({ status: 'Succeeded', result: { proof: { secrets: SECRETS, unproven: 0 } } });
    expect(await askedWithoutLock(asked.id)).toEqual([]);
    expect(evidenceOf(over)).toMatchObject({ ok: true });
    const newKeyId = over.result?.currentKeyId ?? '';
    expect(await countByKey(readSecretRecords(cluster.etcd), { newKeyId })).toMatchObject({ newKey: SECRETS });
    expect(await provenKeys(cluster)).toContain(newKeyId);
  });

  it('waits, visibly and without a slot of the worker, while another operation has the lock', async () => {
    const { requester, approver1 } = people();
    const cluster = await makeCluster('lock-of-another', { count: 5 });
    const asked = await askForRotation(requester, cluster.resourceId);
    await control().setFault('hold-operation', { path: '/managedclusters/lock-of-another' });
    await approver1.approve(asked.id, asked.plan?.digest ?? '');
    await until(requester, asked.id, ({ steps }) =>
      steps.some(({ id, status }) => id === 'rotate.set-kms' && status === 'running'),
    );

    await withTemporal(async (client) => {
      const lock = await takeLockOver(client, cluster.resourceId, 'op-another');
      await control().clearFault('hold-operation');
      const waits = await until(requester, asked.id, ({ status }) => status === 'AwaitingCluster');
      expect(waits.waitingFor).toContain('op-another');
      const pending = async (): Promise<number> =>
        (await client.workflow.getHandle(asked.id).describe()).raw.pendingActivities?.length ?? 0;
      while ((await pending()) > 0) await requester.get(asked.id, 1);
      await lock.signal('release');
    });

    expect(await ended(requester, asked.id)).toMatchObject({ status: 'Succeeded' });
    const reads = new Set(await askedWithoutLock(asked.id));
    reads.delete('readClusterHolder');
    expect([...reads]).toEqual([]);
  });
});
