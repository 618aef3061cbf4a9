/** A repeated request never runs twice (O2). */
import { beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { clientOf, makeCluster, people, rotateBody, openTemporal } from '../support/stack';

describe('an Idempotency-Key', () => {
  let cluster: string;
  beforeAll(async () => {
    cluster = (await makeCluster('idempotency', { count: 0 })).resourceId;
  });

  it('makes a repeated POST give the same operation', async () => {
    const { requester } = people();
    const key = randomUUID();
    const first = await requester.create(rotateBody(cluster), key);
    const second = await requester.create(rotateBody(cluster), key);
    expect([first.status, second.status]).toEqual([202, 202]);
    expect(second.operation.id).toBe(first.operation.id);
    await requester.cancel(first.operation.id);
  });

  it('makes two POSTs at once give one operation', async () => {
    const { requester } = people();
    const key = randomUUID();
    const answers = await Promise.all(Array.from({ length: 8 }, () => requester.create(rotateBody(cluster), key)));
    const ids = new Set(answers.map(({ operation }) => operation.id));
    expect(ids.size).toBe(1);
    const [id = ''] = ids;
    const client = await openTemporal();
    const runs = [];
    for await (const run of client.workflow.list({ query: `WorkflowId = "${id}"` })) runs.push(run.runId);
    await client.connection.close();
    expect(runs.length).toBeLessThanOrEqual(1); // Lists lag behind; more than one run would be a second operation.
    await requester.cancel(id);
  });

  it('with another body is refused with 422, whatever the order of members', async () => {
    const { requester } = people();
    const key = randomUUID();
    const { operation } = await requester.create(rotateBody(cluster), key);
    const reordered = Object.fromEntries(Object.entries(rotateBody(cluster)).reverse());
    expect((await requester.create(reordered, key)).operation.id).toBe(operation.id);
    await expect(requester.create(rotateBody(cluster, { change: { number: 'CHG-OTHER' } }), key)).rejects.toMatchObject(
      {
        status: 422,
        code: 'IdempotencyKeyReused',
      },
    );
    await requester.cancel(operation.id);
  });

  it('belongs to its caller: another caller with the same key gets an operation of their own', async () => {
    const { requester } = people();
    const other = await clientOf({ name: 'second-operator', roles: ['Kms.Operator'] });
    const key = randomUUID();
    const [a, b] = [await requester.create(rotateBody(cluster), key), await other.create(rotateBody(cluster), key)];
    expect(a.operation.id).not.toBe(b.operation.id);
    await Promise.all([requester.cancel(a.operation.id), requester.cancel(b.operation.id)]);
  });
});
