/** A list of operations, from a real Temporal: also without a worker, and what it says of operations that ended in Temporal. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import path from 'node:path';
import { z } from 'zod';
import { clusterLockId } from '../../domain/resource-ids';
import { startNodeProcess, type ReadyProcess } from '../../launch/node-process';
import type { SandboxClusterFacts } from '../../launch/sandbox-cluster';
import { clusterWrites } from '../../launch/sandbox-control';
import { freePort } from '../../tools/ports';
import { eventually } from '../sandbox/cluster-support';
import {
  askForRotation,
  control,
  makeCluster,
  people,
  rotateBody,
  serviceEnvironment,
  testStack,
} from '../support/stack';
import { withTemporal } from '../support/temporal';

describe('a list of operations', () => {
  const NAME = 'listed-cluster';
  let cluster: SandboxClusterFacts;
  let api: ReadyProcess;
  /** Of an API whose task queue has no worker. */
  let alone: ReturnType<typeof people>;
  beforeAll(async () => {
    const env = { ...serviceEnvironment(NAME), KEYTURN_API_PORT: String(await freePort()) };
    const logFile = path.join(testStack().directory, 'logs', `${NAME}.log`);
    [cluster, api] = await Promise.all([
      makeCluster(NAME, { count: 2 }),
      startNodeProcess({ name: 'api', script: path.join('api', 'main.js'), env, logFile }),
    ]);
    alone = people(z.object({ url: z.string() }).parse(api.said).url);
  });
  afterAll(() => api.child.stop());

  const idsOf = async (query: Record<string, string>): Promise<string[]> =>
    (await alone.reader.list({ cluster: cluster.resourceId, ...query })).operations.map(({ id }) => id);
  const ask = async (number: string): Promise<string> =>
    (await alone.requester.create(rotateBody(cluster.resourceId, { change: { number } }), randomUUID())).operation.id;

  it('has operations of every worker and of none, by filters and pages, the newest first', async () => {
    const planned = await askForRotation(people().requester, cluster.resourceId);
    const ids = [planned.id];
    // A quotation mark is no filter, and must not keep its operation out of lists.
    for (const number of ['CHG-LIST-1', 'CHG-LIST-1', "it's", 'CHG 2; ünï']) ids.unshift(await ask(number));
    await eventually(
      async () => (await idsOf({ waitingForPeople: 'true' })).length === 1 && (await idsOf({})).length === 5,
    );

    expect(await idsOf({})).toEqual(ids);
    expect(await idsOf({ waitingForPeople: 'true' })).toEqual([planned.id]);
    expect(await idsOf({ status: 'Planning' })).toEqual(ids.slice(0, 4));
    expect(await idsOf({ changeNumber: 'CHG-LIST-1' })).toEqual(ids.slice(2, 4));
    expect(await idsOf({ changeNumber: 'CHG 2; ünï' })).toEqual(ids.slice(0, 1));
    expect(await idsOf({ since: planned.requestedAt })).toEqual(ids);
    expect(await idsOf({ since: new Date(Date.parse(planned.requestedAt) + 1).toISOString() })).toEqual(
      ids.slice(0, 4),
    );
    expect(await idsOf({ requester: planned.requestedBy.objectId })).toEqual(ids);
    expect(await idsOf({ requester: 'me' })).toEqual([]);
    expect(await idsOf({ kind: 'retire-key' })).toEqual([]);

    const pages: string[][] = [];
    for (let pageToken: string | undefined; ;) {
      const page = { pageSize: '2', ...(pageToken === undefined ? {} : { pageToken }) };
      const answer = await alone.reader.list({ cluster: cluster.resourceId, ...page });
      pages.push(answer.operations.map(({ id }) => id));
      pageToken = answer.nextPageToken;
      if (pageToken === undefined) break;
    }
    expect(pages).toEqual([ids.slice(0, 2), ids.slice(2, 4), ids.slice(4)]);

    // Terminated in Temporal, it could not write that it ended.
    const [ended = ''] = ids;
    await withTemporal((client) => client.workflow.getHandle(ended).terminate());
    await eventually(async () => (await idsOf({ status: 'Failed' })).length === 1);
    expect(await idsOf({ status: 'Planning' })).toEqual(ids.slice(1, 4));
    const { operations } = await alone.reader.list({ cluster: cluster.resourceId, status: 'Failed' });
    expect(operations).toMatchObject([{ id: ended, status: 'Failed', reason: { code: 'InternalError' }, offers: [] }]);
    await people().requester.cancel(planned.id);
    await withTemporal((client) =>
      Promise.all(ids.slice(1, 4).map((id) => client.workflow.getHandle(id).terminate('The test is over.'))),
    );
  });

  it('has nothing of a request that was only validated, which gets the plan that its operation gets', async () => {
    const { requester, reader } = people();
    const before = (await idsOf({})).length;
    const writes = clusterWrites(await control().journal(), cluster.resourceId);
    const preview = await requester.validate(rotateBody(cluster.resourceId));
    expect(preview).toMatchObject({ plan: { kind: 'rotate-key' }, censusTaken: true, waitingFor: null });
    await withTemporal(async ({ workflow }) => {
      const lock = workflow.getHandle(clusterLockId(cluster.resourceId));
      await expect(lock.describe()).rejects.toThrow();
    });
    expect(clusterWrites(await control().journal(), cluster.resourceId)).toBe(writes);

    const planned = await askForRotation(requester, cluster.resourceId);
    expect(planned.plan?.digest).toBe(preview.plan?.digest);
    await eventually(async () => (await idsOf({})).includes(planned.id));
    expect(await idsOf({})).toHaveLength(before + 1);
    await requester.cancel(planned.id);

    await expect(reader.validate(rotateBody(cluster.resourceId))).rejects.toMatchObject({ code: 'RoleMissing' });
    const absent = rotateBody(`${cluster.resourceId}x`);
    await expect(requester.validate(absent)).rejects.toMatchObject({ status: 422, code: 'ClusterNotFound' });
  });
});
