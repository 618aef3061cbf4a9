/**
 * The events of a real rotation: to a client that follows it while the API is killed, and to a receiver of webhooks that is down at
 * first and then answers in every wrong way.
 */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createParser } from 'eventsource-parser';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import path from 'node:path';
import { Webhook } from 'standardwebhooks';
import { z } from 'zod';
import { DeliveryRecord } from '../../domain/delivery';
import { OperationEvent } from '../../domain/events';
import type { SandboxClusterFacts } from '../../launch/sandbox-cluster';
import type { Service } from '../../launch/service';
import { freePort } from '../../tools/ports';
import { eventually } from '../sandbox/cluster-support';
import { askForRotation, ended, makeCluster, people, startOwnService, testStack } from '../support/stack';

const NAME = 'told-cluster';
/** For machines that do much else. */
const PATIENCE_IN_MS = 120_000;
const SECRET = `whsec_${Buffer.from('s'.repeat(32)).toString('base64')}`;

/** A receiver that answers as it is told, and keeps what it took. */
class Receiver {
  /** In the order in which it took them. */
  readonly taken: OperationEvent[] = [];
  readonly refused: number[] = [];
  /** Of the next requests; 200 when there are no more. */
  answers: (number | 'never')[] = [];
  #server: Server | undefined;

  constructor(readonly port: number) {}

  start(): void {
    this.#server = createServer((request, response) => void this.#answer(request, response)).listen(
      this.port,
      '127.0.0.1',
    );
  }

  stop(): void {
    this.#server?.closeAllConnections();
    this.#server?.close();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = '';
    for await (const piece of request) body += String(piece);
    const answer = this.answers.shift() ?? 200;
    if (answer === 'never') return;
    if (answer === 200) {
      const event = new Webhook(SECRET).verify(body, request.headers as Record<string, string>);
      this.taken.push(OperationEvent.parse(event));
    } else this.refused.push(answer);
    response.writeHead(answer, { location: 'http://127.0.0.1:9/', 'retry-after': '1' }).end('not kept');
  }
}

describe('what happens to an operation', () => {
  let cluster: SandboxClusterFacts;
  let service: Service;
  let flaky: Receiver;
  let gone: Receiver;

  beforeAll(async () => {
    [flaky, gone] = [new Receiver(await freePort()), new Receiver(await freePort())];
    gone.answers = [200, 410];
    gone.start();
    const folder = path.join(testStack().directory, NAME);
    mkdirSync(folder, { recursive: true });
    const file = path.join(folder, 'webhooks.yaml');
    const secrets = [{ env: 'KEYTURN_TEST_WEBHOOK_SECRET' }];
    const endpoints = [
      { id: 'flaky', url: `http://127.0.0.1:${flaky.port}/hook`, secrets },
      { id: 'gone', url: `http://127.0.0.1:${gone.port}/`, secrets },
      { id: 'elsewhere', url: `http://127.0.0.1:${gone.port}/`, secrets, clusters: ['/subscriptions/0'] },
    ];
    writeFileSync(file, JSON.stringify({ endpoints }));
    [cluster, service] = await Promise.all([
      makeCluster(NAME, { count: 3 }),
      startOwnService(NAME, {
        KEYTURN_WEBHOOKS_FILE: file,
        KEYTURN_WEBHOOK_HOSTS: `127.0.0.1:${flaky.port},127.0.0.1:${gone.port}`,
        KEYTURN_WEBHOOK_HTTP_LOOPBACK: 'allow',
        KEYTURN_WEBHOOK_FIRST_RETRY_SECONDS: '1',
        KEYTURN_WEBHOOK_LONGEST_RETRY_SECONDS: '1',
        KEYTURN_WEBHOOK_TIMEOUT_SECONDS: '5',
        KEYTURN_TEST_WEBHOOK_SECRET: SECRET,
      }),
    ]);
  });
  afterAll(async () => {
    for (const receiver of [flaky, gone]) receiver.stop();
    await service.stop();
  });

  const {
    requester: { token },
  } = testStack().sandbox.people;
  const call = async (method: string, at: string): Promise<Response> =>
    await fetch(`${service.apiUrl}${at}`, { method, headers: { authorization: `Bearer ${token}` } });
  const deliveryOf = async (endpoint: string, id: string): Promise<DeliveryRecord | undefined> => {
    const answer = await call('GET', `/v1/webhooks/${endpoint}/deliveries?operation=${id}`);
    return z.object({ deliveries: z.array(DeliveryRecord) }).parse(await answer.json()).deliveries[0];
  };

  /** Follows as an EventSource does: when the stream breaks, it connects again and says what it has. Ends at 204. */
  async function follow(id: string, seen: OperationEvent[]): Promise<number> {
    for (let connections = 1; ; connections += 1) {
      const last = seen.at(-1)?.data.sequence;
      const headers = {
        authorization: `Bearer ${token}`,
        ...(last === undefined ? {} : { 'last-event-id': `${id}.${last}` }),
      };
      try {
        const response = await fetch(`${service.apiUrl}/v1/operations/${id}/events`, { headers });
        if (response.status === 204) return connections;
        const parser = createParser({
          onEvent: ({ id: of, data }) => of !== undefined && seen.push(OperationEvent.parse(JSON.parse(data))),
        });
        const text = new TextDecoder();
        for await (const piece of response.body ?? []) parser.feed(text.decode(piece as Uint8Array, { stream: true }));
      } catch {
        // The API was killed.
      }
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }

  it('is told in order and once: by SSE though the API is killed, by webhooks though the receiver was down and answered wrongly', async () => {
    const { requester, approver1 } = people(service.apiUrl);
    const asked = await askForRotation(requester, cluster.resourceId);
    const seen: OperationEvent[] = [];
    const followed = follow(asked.id, seen);
    await eventually(() => seen.some(({ type }) => type === 'operation.approval_requested'));
    process.kill(service.api.pid, 'SIGKILL');
    const approve = (): Promise<boolean> =>
      approver1.approve(asked.id, asked.plan?.digest ?? '').then(
        () => true,
        () => false,
      );
    await eventually(approve, PATIENCE_IN_MS);

    // No receiver answers, and the operation does not wait for one.
    expect(await ended(requester, asked.id)).toMatchObject({ status: 'Succeeded' });
    expect(flaky.taken).toEqual([]);
    expect(await followed).toBeGreaterThan(2);

    flaky.answers = [500, 302, 429, 'never', 200, 503];
    flaky.start();
    await eventually(async () => (await deliveryOf('flaky', asked.id))?.state === 'done', PATIENCE_IN_MS);

    const types = seen.map(({ type }) => type);
    expect(seen.map(({ data }) => data.sequence)).toEqual(seen.map((_, index) => index + 1));
    expect(types.slice(0, 5)).toEqual([
      'operation.requested',
      'operation.planned',
      'operation.approval_requested',
      'operation.approved',
      'operation.step.done',
    ]);
    expect(types.slice(-2)).toEqual(['operation.succeeded', 'operation.evidence_sealed']);
    const steps = asked.plan?.steps.length ?? 0;
    expect(types.filter((type) => type === 'operation.step.done')).toHaveLength(steps);

    // The same events, but for the address that each client has of the API.
    const bare = (events: readonly OperationEvent[]): unknown[] =>
      events.map(({ data: { links: _links, ...data }, ...event }) => ({ ...event, data }));
    expect(bare(flaky.taken)).toEqual(bare(seen));
    expect(flaky.refused).toEqual([500, 302, 429, 503]);
    const delivery = await deliveryOf('flaky', asked.id);
    expect(delivery?.delivered.map(({ id }) => id)).toEqual(seen.map(({ data }) => `${asked.id}.${data.sequence}`));
    expect(delivery?.delivered[0]?.attempt).toBeGreaterThan(4);

    // One receiver wanted no more after its first event, and one hears of other clusters.
    expect(await deliveryOf('gone', asked.id)).toMatchObject({
      state: 'gone',
      sequence: 1,
      problem: expect.stringContaining('410'),
    });
    expect(gone.taken).toHaveLength(1);
    expect(await deliveryOf('elsewhere', asked.id)).toBeUndefined();

    // It is back, and a person has the rest delivered.
    const replayed = await call('POST', `/v1/webhooks/gone/deliveries/${asked.id}.2:replay`);
    expect([replayed.status, await replayed.json()]).toEqual([202, { endpoint: 'gone', from: `${asked.id}.2` }]);
    await eventually(async () => (await deliveryOf('gone', asked.id))?.state === 'done', PATIENCE_IN_MS);
    expect(bare(gone.taken)).toEqual(bare(seen));

    expect((await call('GET', '/v1/webhooks/nobody/deliveries')).status).toBe(404);
    expect((await call('POST', `/v1/webhooks/gone/deliveries/${asked.id}.999:replay`)).status).toBe(404);
    const listed = z
      .object({ deliveries: z.array(DeliveryRecord) })
      .parse(await (await call('GET', '/v1/webhooks/gone/deliveries')).json());
    expect(listed.deliveries.map(({ operation }) => operation)).toEqual([asked.id]);
  });
});
