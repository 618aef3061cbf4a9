/** The certificates of a cluster and its admin credentials are rotated while Keyturn works in it: the work goes on with new ones. */
import { afterEach, describe, expect, it } from '@jest/globals';
import { countByKey, readSecretRecords } from '../../sandbox/cluster/raw-records';
import { askForRotation, control, ended, makeCluster, openTemporal, people, until } from '../support/stack';

const SECRETS = 60;

/** The codes of the failures in an operation's history that needed a person. */
async function failuresOf(operationId: string): Promise<string[]> {
  const client = await openTemporal();
  try {
    const { events } = await client.workflow.getHandle(operationId).fetchHistory();
    return (events ?? []).flatMap(({ activityTaskFailedEventAttributes: failed }) =>
      failed ? [failed.failure?.cause?.applicationFailureInfo?.type ?? failed.failure?.message ?? ''] : [],
    );
  } finally {
    await client.connection.close();
  }
}

describe('new certificates of a cluster', () => {
  afterEach(() => control().clearFault('late-servers'));

  it('in the middle of convergence, of the rewrite and before approval stop nothing', async () => {
    const { requester, approver1 } = people();
    const name = 'new-certificates';
    const cluster = await makeCluster(name, { count: SECRETS }, { tags: { 'keyturn-rewrites-per-second': '10' } });
    const asked = await askForRotation(requester, cluster.resourceId);
    // Keyturn has credentials of before in its memory.
    await control().rotateCertificates(name);
    await control().setFault('late-servers', { path: `/managedClusters/${name}`, servers: 1 });
    await approver1.approve(asked.id, asked.plan?.digest ?? '');

    const converging = await until(
      requester,
      asked.id,
      ({ steps, waitingFor }) =>
        steps.some(({ id, status }) => id === 'rotate.converge' && status === 'running') &&
        (waitingFor?.includes('a change of the canaries') ?? false),
    );
    expect(converging.status).toBe('Running');
    // All API servers are started anew by it, so that the late one is late no more.
    await control().rotateCertificates(name);
    await until(requester, asked.id, ({ steps }) =>
      steps.some(({ id, status }) => id === 'rotate.rewrite' && status === 'running'),
    );
    await control().rotateCertificates(name);

    const over = await ended(requester, asked.id);
    expect(over).toMatchObject({
      status: 'Succeeded',
      result: { rewrite: { rewritten: SECRETS }, proof: { secrets: SECRETS, unproven: 0, convergenceHeld: true } },
    });
    expect(await failuresOf(asked.id)).toEqual([]);
    const newKeyId = over.result?.currentKeyId ?? '';
    expect(await countByKey(readSecretRecords(cluster.etcd), { newKeyId })).toMatchObject({ newKey: SECRETS });
  });
});
