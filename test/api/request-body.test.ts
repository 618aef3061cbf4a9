import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { CLUSTER, REQUEST, startTestApi, type Reply, type TestApi } from './support';

let api: TestApi;
beforeAll(async () => void (api = await startTestApi()));
afterAll(() => api.close());

describe('a body', () => {
  it.each<[string, unknown, [string, RegExp][]]>([
    [
      'that lacks everything',
      {},
      [
        ['/kind', /required/],
        ['/cluster', /required/],
        ['/change', /required/],
      ],
    ],
    ['with a member of the wrong type', { ...REQUEST, change: { number: 5 } }, [['/change/number', /Expected a text/]]],
    ['of an unknown kind', { ...REQUEST, kind: 'rotate' }, [['/kind', /"rotate-key"/]]],
    [
      'with an empty change number',
      { ...REQUEST, change: { number: '  ' } },
      [['/change/number', /at least 1 characters/]],
    ],
    [
      'with a long reason',
      { ...REQUEST, change: { number: 'C', reason: 'x'.repeat(501) } },
      [['/change/reason', /at most 500/]],
    ],
    [
      'with an approval time of 0',
      { ...REQUEST, approvalTimeoutInSeconds: 0 },
      [['/approvalTimeoutInSeconds', /at least 1/]],
    ],
    [
      'with an approval time of half a second',
      { ...REQUEST, approvalTimeoutInSeconds: 1.5 },
      [['/approvalTimeoutInSeconds', /whole number/]],
    ],
    ['with an unknown member', { ...REQUEST, whenBussy: 'wait' }, [['/whenBussy', /no such member/]]],
    ['with an unknown member that has to be escaped', { ...REQUEST, 'a/b~c': 1 }, [['/a~1b~0c', /no such member/]]],
    ['with an unknown inner member', { ...REQUEST, parameters: { key: 'k' } }, [['/parameters/key', /no such member/]]],
    ['that is a list', [], [['', /Expected an object/]]],
    ['that is a text', '"x"', [['', /Expected an object/]]],
    ['that is null', 'null', [['', /Expected an object/]]],
    ['with __proto__', `{"__proto__":{"a":1},${JSON.stringify(REQUEST).slice(1)}`, [['/__proto__', /no such member/]]],
  ])('%s is refused with a sentence for each member', async (_what, body, faults) => {
    const problem = (await api.ask('k', body)).problem();
    expect(problem).toMatchObject({
      status: 400,
      code: 'InvalidRequest',
      pointer: faults[0]?.[0],
      title: expect.any(String),
    });
    expect(problem.errors).toEqual(
      faults.map(([pointer, detail]) => ({ code: 'InvalidRequest', pointer, detail: expect.stringMatching(detail) })),
    );
  });

  it.each([
    ['InvalidClusterId', '/cluster', { ...REQUEST, cluster: 'aks1' }],
    ['InvalidClusterId', '/cluster', { ...REQUEST, cluster: `${CLUSTER}/agentPools/a` }],
    ['InvalidKeyId', '/parameters/keyId', { ...REQUEST, parameters: { keyId: 'https://kv1.vault.azure.net/keys/k1' } }],
  ])('with a bad id has the code %s', async (code, pointer, body) => {
    expect((await api.ask('k', body)).problem()).toMatchObject({ status: 400, code, pointer });
  });

  it('with thousands of unknown members is answered with twenty faults', async () => {
    const body = { ...REQUEST, ...Object.fromEntries(Array.from({ length: 3000 }, (_, index) => [`m${index}`, 0])) };
    expect((await api.ask('k', body)).problem().errors).toHaveLength(20);
  });

  it('that is not JSON is refused', async () => {
    for (const body of ['{', 'kind=rotate-key', '{"a":1}{'])
      expect((await api.ask('k', body)).problem()).toMatchObject({ status: 400, code: 'NotJson' });
  });

  it('that is empty is told what it lacks', async () => {
    const reply = await api.call('POST', '/v1/operations', { token: api.as.olga, headers: { 'idempotency-key': 'k' } });
    expect(reply.problem().errors.map(({ pointer }) => pointer)).toEqual(['/kind', '/cluster', '/change']);
  });

  it('larger than 64 kB is refused, also when it says so by its bytes only', async () => {
    const large = JSON.stringify({ ...REQUEST, x: 'x'.repeat(64 * 1024) });
    expect((await api.ask('k', large)).problem()).toMatchObject({ status: 413, code: 'BodyTooLarge' });
    const zipped = await send(gzipSync(large), { 'content-type': 'application/json', 'content-encoding': 'gzip' });
    expect(zipped.code).toBe('BodyTooLarge');
  });

  it.each([
    ['of another type', { 'content-type': 'application/x-www-form-urlencoded' }, 'UnsupportedMediaType', 415],
    ['of text', { 'content-type': 'text/plain' }, 'UnsupportedMediaType', 415],
    ['in another charset', { 'content-type': 'application/json; charset=latin1' }, 'UnsupportedMediaType', 415],
    [
      'in an unknown encoding',
      { 'content-type': 'application/json', 'content-encoding': 'zip' },
      'UnsupportedMediaType',
      415,
    ],
    ['that is damaged', { 'content-type': 'application/json', 'content-encoding': 'gzip' }, 'NotJson', 400],
  ])('%s is refused', async (_what, headers, code, status) => {
    expect(await send(Buffer.from(JSON.stringify(REQUEST)), headers)).toMatchObject({ code, status });
  });

  it('of a +json type is read', async () => {
    const reply = await api.call('POST', '/v1/operations', {
      token: api.as.olga,
      body: REQUEST,
      headers: { 'idempotency-key': 'j', 'content-type': 'application/merge-patch+json' },
    });
    expect(reply.status).toBe(202);
  });

  async function send(body: Buffer, headers: Record<string, string>): Promise<ReturnType<Reply['problem']>> {
    const response = await fetch(`${api.url}/v1/operations`, {
      method: 'POST',
      headers: { authorization: `Bearer ${api.as.olga}`, 'idempotency-key': 'k', ...headers },
      body: new Uint8Array(body),
    });
    return (await response.json()) as ReturnType<Reply['problem']>;
  }
});

describe('an answer', () => {
  it.each([
    ['GET', '/'],
    ['GET', '/v2/operations'],
    ['GET', '/v1/operations/%E0%A4%A'],
  ])('to %s %s is a problem document with the code RouteNotFound', async (method, path) => {
    expect((await api.call(method, path, { token: api.as.rita })).problem()).toMatchObject({
      status: 404,
      code: 'RouteNotFound',
    });
  });

  it.each([
    ['DELETE', '/v1/operations/op-1', 'GET, HEAD'],
    ['PUT', '/v1/operations', 'GET, HEAD, POST'],
    ['OPTIONS', '/v1/operations', 'GET, HEAD, POST'],
    ['GET', '/v1/operations/op-1:approve', 'POST'],
    ['POST', '/healthz', 'GET, HEAD'],
  ])('to %s %s says which methods there are, with and without a token', async (method, path, allow) => {
    for (const token of [api.as.rita, undefined]) {
      const reply = await api.call(method, path, { token });
      expect(reply.problem()).toMatchObject({ status: 405, code: 'MethodNotAllowed' });
      expect(reply.headers.get('allow')).toBe(allow);
    }
  });

  it('repeats a usable X-Request-Id, and makes one otherwise', async () => {
    const given = await api.call('GET', '/healthz', { headers: { 'x-request-id': 'SNOW-42' } });
    expect(given.headers.get('x-request-id')).toBe('SNOW-42');
    const made = await api.call('GET', '/healthz', { headers: { 'x-request-id': 'a b<script>' } });
    expect(made.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('says nothing of what it is made with, and is not stored', async () => {
    const { headers } = await api.call('GET', '/healthz');
    expect(headers.get('x-powered-by')).toBeNull();
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('cache-control')).toBe('no-store');
    const policy = headers.get('content-security-policy')?.split(';') ?? [];
    for (const directive of ['default-src', 'base-uri', 'form-action', 'frame-ancestors'])
      expect(policy).toContain(`${directive} 'none'`);
  });

  it('to a fault inside says nothing of it, and the log says all under the same request id', async () => {
    const broken = await startTestApi({
      clock: () => {
        throw new Error('the clock fell down');
      },
    });
    const reply = await broken.ask('k');
    const { requestId, ...problem } = reply.problem();
    expect(problem).toMatchObject({ status: 500, code: 'InternalError' });
    expect(reply.text).not.toContain('clock fell');
    expect(broken.log.find((line) => line.includes(requestId) && line.includes('clock fell down'))).toBeDefined();
    await broken.close();
  });
});
