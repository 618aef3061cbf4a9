/** GET /v1/operations/{id}/events: server-sent events, over real HTTP. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createParser, type EventSourceMessage } from 'eventsource-parser';
import { z } from 'zod';
import { eventStream } from '../../api/event-stream';
import { createOperationPoller } from '../../api/operation-poller';
import { ApiError } from '../../api/problem';
import { OperationEvent } from '../../domain/events';
import type { Milestone } from '../../domain/milestone';
import type { Operation } from '../../domain/operation';
import { REQUEST, startTestApi, type TestApi } from './support';

const AT = '2026-01-01T00:00:00.000Z';
const PLANNED: Milestone = { type: 'planned', at: AT, revision: 1 };
const STARTED: Milestone = { type: 'step.started', at: AT, step: 'rotate.rewrite' };
const DONE: Milestone = { type: 'step.done', at: AT, step: 'rotate.rewrite' };
const END: readonly Milestone[] = [
  { type: 'succeeded', at: AT },
  { type: 'evidence_sealed', at: AT },
];

describe('the events of an operation', () => {
  let api: TestApi;
  beforeAll(async () => {
    api = await startTestApi();
  });
  afterAll(() => api.close());

  let asked = 0;
  async function operationWith(milestones: readonly Milestone[]): Promise<string> {
    const { id } = (await api.ask(`events-${(asked += 1)}`, REQUEST)).json(z.object({ id: z.string() }));
    api.gateway.change(id, { milestones: [...milestones] });
    return id;
  }
  const end = (id: string, milestones: readonly Milestone[]): void =>
    api.gateway.change(id, {
      milestones: [...milestones],
      status: 'Succeeded',
      evidence: { file: 'f', digest: 'd', signingKeyId: 's' },
    });
  const open = async (id: string, headers: Record<string, string> = {}, query = ''): Promise<Response> =>
    await fetch(`${api.url}/v1/operations/${id}/events${query}`, {
      headers: { authorization: `Bearer ${api.as.rita}`, ...headers },
    });
  /** Reads until the stream ends, or something holds of what came. */
  async function read(response: Response, until: (all: EventSourceMessage[]) => boolean = () => false) {
    const all: EventSourceMessage[] = [];
    const parser = createParser({ onEvent: (event) => all.push(event) });
    const text = new TextDecoder();
    const reader = response.body?.getReader();
    for (;;) {
      const piece = await reader?.read();
      if (!piece || piece.done) return all;
      parser.feed(text.decode(piece.value as Uint8Array, { stream: true }));
      if (!until(all)) continue;
      await reader?.cancel();
      return all;
    }
  }
  const typesOf = (all: readonly EventSourceMessage[]): (string | undefined)[] => all.map(({ event }) => event);

  it('come once each, in order, with ids and small data, as they happen; then the stream ends', async () => {
    const id = await operationWith([PLANNED]);
    const response = await open(id);
    expect(response.headers.get('content-type')).toBe('text/event-stream');
    let step = 0;
    const all = await read(response, (seen) => {
      if (seen.length === 2 && step === 0) {
        step = 1;
        const progress: Operation['progress'] = { step: 'rotate.rewrite', done: 3, total: 9 };
        api.gateway.change(id, { milestones: [PLANNED, STARTED], progress });
      } else if (seen.length === 4 && step === 1) {
        step = 2;
        end(id, [PLANNED, STARTED, DONE, ...END]);
      }
      return false;
    });
    expect(typesOf(all)).toEqual([
      'operation.requested',
      'operation.planned',
      'operation.step.started',
      'progress',
      'operation.step.done',
      'operation.succeeded',
      'operation.evidence_sealed',
    ]);
    expect(all.map(({ id: of }) => of)).toEqual([1, 2, 3, undefined, 4, 5, 6].map((n) => n && `${id}.${n}`));
    expect(JSON.parse(all[3]?.data ?? '')).toEqual({ step: 'rotate.rewrite', done: 3, total: 9 });
    const planned = OperationEvent.parse(JSON.parse(all[1]?.data ?? ''));
    expect(planned.data).toMatchObject({ operation: id, sequence: 2, revision: 1, change: REQUEST.change.number });
    expect(planned.data.links.self).toBe(`${api.url}/v1/operations/${id}`);
  });

  it('go on exactly after the last one that the client has, by header or query; after the very last with 204', async () => {
    const id = await operationWith([]);
    end(id, [PLANNED, STARTED, DONE, ...END]);
    const rest = ['operation.step.done', 'operation.succeeded', 'operation.evidence_sealed'];
    expect(typesOf(await read(await open(id, { 'last-event-id': `${id}.3` })))).toEqual(rest);
    expect(typesOf(await read(await open(id, {}, `?lastEventId=${id}.3`)))).toEqual(rest);
    expect((await open(id, { 'last-event-id': `${id}.6` })).status).toBe(204);
  });

  it('are those of this operation: another id is refused, and so is a stranger', async () => {
    const id = await operationWith([]);
    expect((await open(id, { 'last-event-id': `op-${'0'.repeat(26)}.1` })).status).toBe(400);
    expect((await open(`op-${'0'.repeat(26)}`)).status).toBe(404);
    expect((await fetch(`${api.url}/v1/operations/${id}/events`)).status).toBe(401);
  });

  it('may be followed twenty times by one caller, and again when a stream has ended', async () => {
    const id = await operationWith([]);
    const streams = await Promise.all(Array.from({ length: 20 }, () => open(id)));
    expect(streams.map(({ status }) => status)).toEqual(streams.map(() => 200));
    const refused = await open(id);
    expect([refused.status, await refused.text()]).toEqual([429, expect.stringContaining('TooManyStreams')]);
    end(id, [...END]);
    await Promise.all(streams.map((stream) => read(stream)));
    expect((await open(id, { 'last-event-id': `${id}.1` })).status).toBe(200);
  });
});

describe('the poller of operations', () => {
  it('reads once for all who watch, waits while Temporal is away, and stops when nobody watches', async () => {
    const api = await startTestApi();
    const { id } = (await api.ask('poller', REQUEST)).json(z.object({ id: z.string() }));
    let reads = 0;
    const poller = createOperationPoller({
      find: (of) => {
        reads += 1;
        if (reads === 2) throw new ApiError({ code: 'TemporalUnavailable', detail: 'Away.' });
        return api.gateway.find(of);
      },
    });
    const stop = new AbortController();
    const views = Array.from({ length: 3 }, () => poller.watch(id, stop.signal)[Symbol.asyncIterator]());
    const first = await Promise.all(views.map((view) => view.next()));
    expect(first.map(({ value }) => (value as Operation).id)).toEqual([id, id, id]);
    expect(reads).toBe(1);
    const second = Promise.all(views.map((view) => view.next()));
    api.gateway.change(id, { waitingFor: 'something else' });
    expect((await second).map(({ value }) => (value as Operation).waitingFor)).toEqual(Array(3).fill('something else'));
    expect(reads).toBe(3);
    stop.abort();
    expect((await Promise.all(views.map((view) => view.next()))).map(({ done }) => done)).toEqual([true, true, true]);
    await api.close();
  });

  it('gives a stream nothing new for a while: then a comment keeps the connection', async () => {
    const stop = new AbortController();
    async function* never(): AsyncGenerator<Operation> {
      await new Promise((resolve) => stop.signal.addEventListener('abort', resolve));
      yield* [];
    }
    const stream = eventStream({ views: never(), after: 0, publicUrl: '', signal: stop.signal, heartbeatInMs: 5 });
    expect((await stream.next()).value).toMatch(/^retry: \d+\n\n$/);
    expect((await stream.next()).value).toMatch(/^: .*\n\n$/);
    stop.abort();
  });
});
