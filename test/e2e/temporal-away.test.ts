/**
 * Temporal goes away and comes back: stopped, killed, or frozen with its connections open. The API and the worker stay as they are.
 * Every route of the API document is asked; a new one is asked by itself.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { Role } from '../../domain/people';
import type { SandboxClusterFacts } from '../../launch/sandbox-cluster';
import { startNodeProcess } from '../../launch/node-process';
import type { Service } from '../../launch/service';
import { freePort } from '../../tools/ports';
import { eventually } from '../sandbox/cluster-support';
import { answersOf, followed, knownBy, sendAll, type Answered } from '../support/every-route';
import { startOwnTemporal, type OwnTemporal } from '../support/own-temporal';
import { sampleRequests, type SampleRequest } from '../support/sample-requests';
import {
  askForRotation,
  control,
  ended,
  makeCluster,
  people,
  rotateBody,
  serviceEnvironment,
  startOwnService,
  testStack,
} from '../support/stack';

const NAME = 'temporal-away';
const ENDPOINT = 'elsewhere';

let temporal: OwnTemporal;
let cluster: SandboxClusterFacts;
let service: Service;
let by: ReturnType<typeof people>;
/** Has every role, so that no route refuses it for that. */
let token: string;
let running: { readonly api: number; readonly worker: number };

beforeAll(async () => {
  [temporal, cluster] = await Promise.all([startOwnTemporal(NAME), makeCluster(NAME, { count: 2 })]);
  const file = path.join(testStack().directory, NAME, 'webhooks.yaml');
  const endpoint = { id: ENDPOINT, url: 'http://127.0.0.1:9/', clusters: ['/subscriptions/0'] };
  writeFileSync(file, JSON.stringify({ endpoints: [{ ...endpoint, secrets: [{ env: 'KEYTURN_TEST_SECRET' }] }] }));
  service = await startOwnService(NAME, {
    ...temporal.env,
    KEYTURN_WEBHOOKS_FILE: file,
    KEYTURN_WEBHOOK_HTTP_LOOPBACK: 'allow',
    KEYTURN_WEBHOOK_HOSTS: '127.0.0.1:9',
    KEYTURN_TEST_SECRET: `whsec_${Buffer.from('s'.repeat(32)).toString('base64')}`,
  });
  by = people(service.apiUrl);
  token = await control().mintToken({ name: 'everyone', roles: Object.values(Role) });
});
afterAll(() => service.stop());
beforeEach(() => void (running = { api: service.api.pid, worker: service.worker.pid }));
// An error that nobody catches ends a process of Node.js: then another one would run by now.
afterEach(() => expect({ api: service.api.pid, worker: service.worker.pid }).toEqual(running));

/** Good requests for every route, about an operation that waits for approval. */
async function requestsFor(operation: string): Promise<SampleRequest[]> {
  const requests = sampleRequests(await (await fetch(`${service.apiUrl}/openapi.json`)).json(), {
    operation,
    cluster: cluster.resourceId,
    parameters: { endpoint: ENDPOINT, keyId: cluster.keyId },
    bodies: { createOperation: rotateBody(cluster.resourceId, { change: { number: 'CHG-EVERY-ROUTE' } }) },
  });
  return requests.flatMap((one) =>
    one.operationId === 'createOperation' ? [one, { ...one, path: `${one.path}?validateOnly=true` }] : [one],
  );
}

const send = (requests: readonly SampleRequest[], key: string): Promise<Answered[]> =>
  sendAll(service.apiUrl, token, requests, key);
/** Nothing was restarted, and nobody tells the API: it finds Temporal by itself. */
const ready = (url = service.apiUrl): Promise<void> =>
  eventually(async () => (await fetch(`${url}/readyz`)).ok, 60_000);
const operationsOf = async (changeNumber: string): Promise<string[]> =>
  (await by.reader.list({ changeNumber })).operations.map(({ id }) => id);

describe.each(['stopped', 'killed', 'frozen'] as const)('while Temporal is %s', (how) => {
  it('each route answers as documented: 503 with Retry-After where it needs Temporal, and its usual answer where it does not', async () => {
    const { id } = await askForRotation(by.requester, cluster.resourceId);
    const requests = await requestsFor(id);
    const away = await temporal.whileAway(() => send(requests, `away-${how}`), how);
    const needing = requests.filter((request) => request.codes(503).includes('TemporalUnavailable'));
    expect(needing.length).toBeGreaterThan(15);
    expect(requests.length - needing.length).toBeGreaterThan(5);
    expect(away).toEqual(
      requests.map((request) =>
        needing.includes(request)
          ? { of: knownBy(request), status: 503, code: 'TemporalUnavailable', retryAfter: '5' }
          : { of: knownBy(request), status: 200 },
      ),
    );

    await ready();
    const back = await send(requests, `away-${how}`);
    expect(back.filter(({ status }) => status >= 500)).toEqual([]);
    expect(back.map(({ of }) => of)).toEqual(away.map(({ of }) => of));
    for (const one of await operationsOf('CHG-EVERY-ROUTE')) await by.requester.cancel(one).catch(() => undefined);
  });
});

it('what got 503 is sent again with its key, and happens once; the operation then goes to its end', async () => {
  const planned = await askForRotation(by.requester, cluster.resourceId);
  const digest = planned.plan?.digest ?? '';
  const body = rotateBody(cluster.resourceId, { change: { number: 'CHG-AGAIN' }, whenBusy: 'wait' });
  const key = randomUUID();
  const unavailable = { status: 503, code: 'TemporalUnavailable' };
  await temporal.whileAway(async () => {
    await expect(by.approver1.approve(planned.id, digest)).rejects.toMatchObject(unavailable);
    await expect(by.requester.create(body, key)).rejects.toMatchObject(unavailable);
  }, 'killed');

  await ready();
  await by.approver1.approve(planned.id, digest);
  await by.approver1.approve(planned.id, digest);
  const created = await by.requester.create(body, key);
  expect(await by.requester.create(body, key)).toMatchObject({ operation: { id: created.operation.id } });
  await eventually(async () => (await operationsOf('CHG-AGAIN')).length > 0);
  expect(await operationsOf('CHG-AGAIN')).toEqual([created.operation.id]);
  const end = await ended(by.requester, planned.id);
  expect(end).toMatchObject({ status: 'Succeeded', approvals: [{ by: { name: expect.any(String) } }] });
  await by.requester.cancel(created.operation.id);
});

it('a rotation that runs when Temporal is killed goes on by itself', async () => {
  const planned = await askForRotation(by.requester, cluster.resourceId);
  await by.approver1.approve(planned.id, planned.plan?.digest ?? '');
  await temporal.whileAway(() => fetch(`${service.apiUrl}/readyz`), 'killed');
  await ready();
  expect(await ended(by.requester, planned.id)).toMatchObject({ status: 'Succeeded' });
});

it('a stream stays open without a gap, and a long poll answers with what it knew', async () => {
  const planned = await askForRotation(by.requester, cluster.resourceId);
  const stream = await followed(`${service.apiUrl}/v1/operations/${planned.id}/events`, token);
  await eventually(() => stream.ids().length > 0);
  const before = stream.ids();
  const poll = fetch(`${service.apiUrl}/v1/operations/${planned.id}`, {
    headers: { authorization: `Bearer ${token}`, prefer: 'wait=20' },
  });
  const answer = await temporal.whileAway(async () => {
    const { status } = await poll;
    return { status, body: z.looseObject({}).parse(await (await poll).json()) };
  }, 'killed');
  // 503 when Temporal was gone before the API had read the operation once.
  expect([200, 503]).toContain(answer.status);
  expect(answer.body).toMatchObject(
    answer.status === 200 ? { id: planned.id, status: 'AwaitingApproval' } : { code: 'TemporalUnavailable' },
  );

  await ready();
  await by.approver1.deny(planned.id, planned.plan?.digest ?? '');
  await stream.ended;
  const all = stream.ids();
  expect(all.slice(0, before.length)).toEqual(before);
  expect(all).toEqual(all.map((_, at) => `${planned.id}.${at + 1}`));
  expect(all.length).toBeGreaterThan(before.length);
});

it('no request gets anything but its answer or 503 while Temporal goes and comes', async () => {
  const { id } = await askForRotation(by.requester, cluster.resourceId);
  const reads = [`/v1/operations/${id}`, '/v1/operations?pageSize=5', '/readyz', `/v1/webhooks/${ENDPOINT}/deliveries`];
  const over = new AbortController();
  const seen = reads.map((at) => answersOf(service.apiUrl + at, token, over.signal));
  for (const how of ['stopped', 'killed'] as const) {
    await temporal.whileAway(() => fetch(`${service.apiUrl}/readyz`), how);
    await ready();
  }
  over.abort();
  const answers = (await Promise.all(seen)).flat();
  const kinds = new Set(answers.map(({ status, code }) => `${status} ${code ?? ''}`.trim()));
  expect([...kinds].filter((kind) => !/^(?:200|503 (?:Temporal|Worker)Unavailable)$/.test(kind))).toEqual([]);
  expect(kinds).toContain('200');
  expect(kinds).toContain('503 TemporalUnavailable');
  await by.requester.cancel(id);
});

it('an API that starts while Temporal is away answers, and is ready by itself when Temporal is there', async () => {
  const env = { ...serviceEnvironment(NAME), ...temporal.env, KEYTURN_API_PORT: String(await freePort()) };
  const logFile = path.join(testStack().directory, 'logs', NAME, 'late-api.log');
  const late = await temporal.whileAway(async () => {
    const api = await startNodeProcess({ name: 'api', script: path.join('api', 'main.js'), env, logFile });
    const { url } = z.object({ url: z.string() }).parse(api.said);
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
    expect((await fetch(`${url}/readyz`)).status).toBe(503);
    return { url, stop: () => api.child.stop() };
  });
  await ready(late.url);
  await late.stop();
});
