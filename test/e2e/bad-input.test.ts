/** Bad input gets one problem document with a stable code and a pointer, and touches nothing. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { clusterWrites } from '../../launch/sandbox-control';
import type { SandboxClusterFacts } from '../../launch/sandbox-cluster';

import { mustParseKeyId } from '../../domain/resource-ids';
import { powerByHand, setKeyByHand } from '../support/by-hand';
import { control, makeCluster, openTemporal, rotateBody, testStack } from '../support/stack';
import { keyClient } from '../support/vault';

interface Answer {
  readonly status: number;
  readonly type: string | null;
  readonly body: {
    code: string;
    detail: string;
    pointer?: string;
    requestId?: string;
    errors?: { code: string; pointer?: string }[];
  };
}

async function post(body: string, change: Record<string, string | undefined> = {}): Promise<Answer> {
  const { apiUrl, sandbox } = testStack();
  const headers = {
    authorization: `Bearer ${sandbox.people.requester.token}`,
    'content-type': 'application/json',
    'idempotency-key': randomUUID(),
    ...change,
  };
  const given = Object.entries(headers).flatMap(([name, value]): [string, string][] =>
    value === undefined ? [] : [[name, value]],
  );
  const response = await fetch(`${apiUrl}/v1/operations`, { method: 'POST', headers: given, body });
  return {
    status: response.status,
    type: response.headers.get('content-type'),
    body: (await response.json()) as Answer['body'],
  };
}

const postJson = (body: unknown, change?: Record<string, string | undefined>): Promise<Answer> =>
  post(JSON.stringify(body), change);

async function operationsOn(cluster: string): Promise<string[]> {
  const client = await openTemporal();
  const ids: string[] = [];
  const value = cluster
    .split('/')
    .filter((_part, index) => [2, 4, 8].includes(index))
    .join('/')
    .toLowerCase();
  for await (const { workflowId } of client.workflow.list({ query: `KeyturnCluster = "${value}"` }))
    ids.push(workflowId);
  await client.connection.close();
  return ids;
}

describe('bad input', () => {
  let cluster: SandboxClusterFacts;
  let good: Record<string, unknown>;
  let writesBefore: number;

  beforeAll(async () => {
    cluster = await makeCluster('bad-input', { count: 0 });
    good = rotateBody(cluster.resourceId);
    writesBefore = clusterWrites(await control().journal(), cluster.resourceId);
  });

  afterAll(async () => {
    expect(clusterWrites(await control().journal(), cluster.resourceId)).toBe(writesBefore);
    expect(await operationsOn(cluster.resourceId)).toEqual([]);
  });

  const expectProblem = (answer: Answer, status: number, code: string, pointer?: string): void => {
    expect(answer).toMatchObject({
      status,
      type: expect.stringContaining('application/problem+json'),
      body: {
        code,
        detail: expect.any(String),
        requestId: expect.any(String),
        ...(pointer === undefined ? {} : { pointer }),
      },
    });
    expect(answer.body.detail).not.toMatch(/zod|express|node_modules|undefined/i);
  };

  it.each([
    ['a cluster that is not a resource id', { cluster: 'aks1' }, 400, 'InvalidClusterId', '/cluster'],
    [
      'a key id without a version',
      { parameters: { keyId: 'https://kv.vault.azure.net/keys/k' } },
      400,
      'InvalidKeyId',
      '/parameters/keyId',
    ],
    [
      'a key id of no vault',
      { parameters: { keyId: 'https://example.com/keys/k/1' } },
      400,
      'InvalidKeyId',
      '/parameters/keyId',
    ],
    ['an unknown field', { paramters: {} }, 400, 'InvalidRequest', '/paramters'],
    ['an unknown field further in', { parameters: { key: 'x' } }, 400, 'InvalidRequest', '/parameters/key'],
    ['an unknown kind', { kind: 'rotate' }, 400, 'InvalidRequest', '/kind'],
    ['no change number', { change: {} }, 400, 'InvalidRequest', '/change/number'],
  ])('%s', async (_what, change, status, code, pointer) => {
    expectProblem(await postJson({ ...good, ...change }), status, code, pointer);
  });

  it('that is not JSON, too large, of another type, or without a key', async () => {
    expectProblem(await post('{"kind":'), 400, 'NotJson');
    expectProblem(await postJson({ ...good, padding: 'x'.repeat(200_000) }), 413, 'BodyTooLarge');
    expectProblem(await post('kind=rotate-key', { 'content-type': 'text/plain' }), 415, 'UnsupportedMediaType');
    expectProblem(await postJson(good, { 'idempotency-key': undefined }), 400, 'IdempotencyKeyMissing');
    expectProblem(await postJson(good, { 'idempotency-key': 'x'.repeat(300) }), 400, 'IdempotencyKeyInvalid');
  });

  it('an unknown cluster, and a key of another vault', async () => {
    expectProblem(await postJson(rotateBody(`${cluster.resourceId}-x`)), 422, 'ClusterNotFound', '/cluster');
    const keyId = 'https://kv-elsewhere.vault.azure.net/keys/k/11111111111111111111111111111111';
    expectProblem(await postJson({ ...good, parameters: { keyId } }), 422, 'KeyForeign', '/parameters/keyId');
  });

  it('a key that does not exist, is disabled or has expired', async () => {
    const { name, kid } = mustParseKeyId(cluster.keyId);
    const missing = kid.replace(/[^/]+$/, '0'.repeat(32));
    expectProblem(await postJson({ ...good, parameters: { keyId: missing } }), 422, 'KeyNotFound', '/parameters/keyId');

    const keys = keyClient(cluster.keyId);
    const disabled = await keys.createKey(name, 'RSA', { enabled: false });
    expectProblem(
      await postJson({ ...good, parameters: { keyId: disabled.id } }),
      422,
      'KeyDisabled',
      '/parameters/keyId',
    );
    const expired = await keys.createKey(name, 'RSA', { expiresOn: new Date(Date.now() - 60_000) });
    expectProblem(
      await postJson({ ...good, parameters: { keyId: expired.id } }),
      422,
      'KeyExpired',
      '/parameters/keyId',
    );
  });

  it('a token that is missing, expired, for somebody else, of another tenant, or nonsense', async () => {
    const { apiUrl } = testStack();
    expect((await fetch(`${apiUrl}/v1/operations`, { method: 'POST' })).status).toBe(401);
    expectProblem(await postJson(good, { authorization: 'Bearer nonsense' }), 401, 'Unauthenticated');
    expectProblem(
      await postJson(good, { authorization: `Bearer ${await control().mintToken({ expiresInSeconds: -3600 })}` }),
      401,
      'TokenExpired',
    );
    expectProblem(
      await postJson(good, { authorization: `Bearer ${await control().mintToken({ audience: 'api://else' })}` }),
      401,
      'Unauthenticated',
    );
    const foreign = await control().mintToken({ tenantId: randomUUID() });
    expectProblem(await postJson(good, { authorization: `Bearer ${foreign}` }), 401, 'Unauthenticated');
    const reader = testStack().sandbox.people.reader.token;
    expectProblem(await postJson(good, { authorization: `Bearer ${reader}` }), 403, 'RoleMissing');
  });
});

describe('a cluster that cannot be rotated', () => {
  it('is refused while KMS is off, and while it is stopped', async () => {
    const cluster = await makeCluster('not-ready', { count: 0 });
    const { resourceId } = cluster;
    await powerByHand(cluster, 'stop');
    expect(await postJson(rotateBody(resourceId))).toMatchObject({
      status: 422,
      body: { code: 'ClusterNotRunning', pointer: '/cluster' },
    });
    await powerByHand(cluster, 'start');
    await setKeyByHand(cluster, null);
    expect(await postJson(rotateBody(resourceId))).toMatchObject({
      status: 422,
      body: { code: 'KmsNotEnabled', pointer: '/cluster' },
    });
  });
});
