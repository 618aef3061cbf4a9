/**
 * No worker runs. Every route of the API document is asked, in the two states that an operation waits in for people: what Temporal keeps
 * can be read, what an operation must hear is kept, and what needs a worker at once says so.
 */
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import path from 'node:path';
import { z } from 'zod';
import type { OperationAnswer } from '../../cli/api-client';
import { Role } from '../../domain/people';
import { startNodeProcess, type ReadyProcess } from '../../launch/node-process';
import type { SandboxClusterFacts } from '../../launch/sandbox-cluster';
import { freePort } from '../../tools/ports';
import { eventually } from '../sandbox/cluster-support';
import { knownBy, sendAll } from '../support/every-route';
import { sampleRequests } from '../support/sample-requests';
import {
  askForRotation,
  control,
  ended,
  makeCluster,
  people,
  rotateBody,
  serviceEnvironment,
  testStack,
} from '../support/stack';

const NAME = 'no-worker';
/** What needs a worker at once: it looks at a cluster, makes a plan, or says what it has. */
const NEEDS_A_WORKER = [
  'createOperation validateOnly',
  'getClusterEncryption',
  'getClusterCsi',
  'getClusterLedger',
  'getKeyUsers',
];

const env = { ...serviceEnvironment(NAME) };
let cluster: SandboxClusterFacts;
let api: ReadyProcess;
let url: string;
let by: ReturnType<typeof people>;

const start = (role: 'api' | 'worker'): Promise<ReadyProcess> =>
  startNodeProcess({
    name: role,
    script: path.join(role, 'main.js'),
    env,
    logFile: path.join(testStack().directory, 'logs', `${NAME}-${role}.log`),
  });
/** Runs a worker while the work is done. */
async function withWorker<T>(work: () => Promise<T>): Promise<T> {
  const worker = await start('worker');
  try {
    return await work();
  } finally {
    await worker.child.stop();
  }
}
const planned = (): Promise<OperationAnswer> => withWorker(() => askForRotation(by.requester, cluster.resourceId));

beforeAll(async () => {
  env.KEYTURN_API_PORT = String(await freePort());
  [cluster, api] = await Promise.all([makeCluster(NAME, { count: 2 }), start('api')]);
  ({ url } = z.object({ url: z.string() }).parse(api.said));
  by = people(url);
});
afterAll(() => api.child.stop());

it('each route answers: from what Temporal keeps, or with 503 and Retry-After where it needs a worker at once', async () => {
  const token = await control().mintToken({ name: 'everyone', roles: Object.values(Role) });
  const asked = await planned();
  const digest = asked.plan?.digest ?? '';
  const requests = sampleRequests(await (await fetch(`${url}/openapi.json`)).json(), {
    operation: asked.id,
    cluster: cluster.resourceId,
    parameters: { keyId: cluster.keyId },
    bodies: {
      createOperation: rotateBody(cluster.resourceId, { change: { number: 'CHG-NO-WORKER' } }),
      approveOperation: { planDigest: digest },
      denyOperation: { planDigest: digest },
    },
  }).flatMap((one) =>
    one.operationId === 'createOperation' ? [one, { ...one, path: `${one.path}?validateOnly=true` }] : [one],
  );
  const answers = new Map((await sendAll(url, token, requests, randomUUID())).map((one) => [one.of, one]));
  expect([...answers.keys()]).toEqual(requests.map(knownBy));

  for (const of of NEEDS_A_WORKER)
    expect(answers.get(of)).toEqual({ of, status: 503, code: 'WorkerUnavailable', retryAfter: '5' });
  for (const request of requests) {
    const of = knownBy(request);
    if (NEEDS_A_WORKER.includes(of)) continue;
    const answer = answers.get(of);
    // A decision is kept by Temporal for the next worker, and says that nobody has taken it yet.
    if (answer?.status === 503) expect(answer).toMatchObject({ code: 'WorkerUnavailable', retryAfter: '5' });
    if (answer?.status === 503) expect(request.codes(503)).toContain('WorkerUnavailable');
    // Temporal counts a worker as polling for up to 90 s after it has gone (docs/api.md).
    const isReady = of === 'getReadiness';
    if (request.method === 'GET' && !isReady) expect([of, answer?.status]).not.toEqual([of, 503]);
    // 0: no answer came.
    expect([of, answer?.status]).not.toEqual([of, 0]);
    expect([of, answer?.status]).not.toEqual([of, 500]);
  }
  const ofReads = ['getOperation', 'listOperations', 'getOperationEvents', 'getDoctor', 'getHealth', 'createOperation'];
  expect(ofReads.map((of) => answers.get(of)?.status)).toEqual([200, 200, 200, 200, 200, 202]);
  // Not sealed yet; nothing was refused yet.
  expect(answers.get('getEvidence')).toMatchObject({ status: 409, code: 'EvidenceNotReady', retryAfter: '2' });
  expect(answers.get('getRefusedSecrets')).toMatchObject({ status: 404, code: 'NoRefusedSecrets' });
});

it('an operation that has ended is read with its evidence', async () => {
  const asked = await planned();
  const end = await withWorker(async () => {
    await by.approver1.deny(asked.id, asked.plan?.digest ?? '');
    return await ended(by.requester, asked.id);
  });
  expect(await by.reader.get(asked.id)).toEqual(end);
  const { token } = testStack().sandbox.people.reader;
  const evidence = await fetch(`${url}/v1/operations/${asked.id}/evidence`, {
    headers: { authorization: `Bearer ${token}` },
  });
  expect([evidence.status, evidence.headers.get('etag')]).toEqual([200, `"${end.evidence?.digest}"`]);
});

it('what is asked for is kept, and what is decided counts once when a worker comes', async () => {
  const asked = await planned();
  const digest = asked.plan?.digest ?? '';
  const key = randomUUID();
  const body = rotateBody(cluster.resourceId, { change: { number: 'CHG-KEPT' }, whenBusy: 'wait' });
  const created = await by.requester.create(body, key);
  expect(created).toMatchObject({ status: 202, operation: { status: 'Planning' } });
  const unheard = { status: 503, code: 'WorkerUnavailable' };
  await expect(by.approver1.approve(asked.id, digest)).rejects.toMatchObject(unheard);
  await expect(by.approver1.approve(asked.id, digest)).rejects.toMatchObject(unheard);
  // What the operation would refuse is refused at once, also without a worker.
  await expect(by.approver1.approve(asked.id, 'sha256:other')).rejects.toMatchObject({ code: 'PlanDigestMismatch' });
  await expect(by.requester.approve(asked.id, digest)).rejects.toMatchObject({ status: 403 });

  await withWorker(async () => {
    await by.approver1.approve(asked.id, digest);
    const end = await ended(by.requester, asked.id);
    expect(end).toMatchObject({ status: 'Succeeded', approvals: [{ planDigest: digest }] });
    expect(end.approvals).toHaveLength(1);
    expect((await by.requester.create(body, key)).operation.id).toBe(created.operation.id);
    await eventually(async () => (await by.requester.get(created.operation.id)).status !== 'Planning');
    await by.requester.cancel(created.operation.id);
    await ended(by.requester, created.operation.id);
  });
});
