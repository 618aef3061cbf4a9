import { createHash } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { createOperationPoller } from '../../api/operation-poller';
import type { EvidenceFile } from '../../domain/evidence';
import type { Operation } from '../../domain/operation';
import { OperationView } from '../../api/operation-view';
import { folderStore } from '../../evidence/folder-store';
import { ApiError } from '../../api/problem';
import { idOf, startTestApi, type TestApi } from './support';

let api: TestApi;
let id: string;
let directory: string;
const stopping = new AbortController();
beforeAll(async () => void (directory = await mkdtemp(join(tmpdir(), 'evidence-'))));
afterAll(() => rm(directory, { recursive: true }));
beforeEach(async () => {
  api = await startTestApi({
    store: folderStore(directory),
    publicUrl: 'https://keyturn.example',
    stopping: stopping.signal,
  });
  id = idOf(await api.ask('k1'));
});
afterEach(() => api.close());

const get = (path = '', headers: Record<string, string> = {}) =>
  api.call('GET', `/v1/operations/${id}${path}`, { token: api.as.rita, headers });

describe('an operation', () => {
  it('is shown with links by the public address, and asks to be polled while it goes on', async () => {
    const reply = await get();
    expect(reply.headers.get('retry-after')).toBe('2');
    const { links } = reply.json(OperationView);
    expect(links.self).toBe(`https://keyturn.example/v1/operations/${id}`);
    expect(links).not.toHaveProperty('temporalUi');
  });

  it('that has ended is shown with 200 whatever its end, and does not ask to be polled', async () => {
    api.gateway.change(id, { status: 'Failed', reason: { code: 'KmsNotEnabled', detail: 'KMS is off.' } });
    const reply = await get();
    expect(reply.status).toBe(200);
    expect(reply.headers.get('retry-after')).toBeNull();
    expect(reply.json(OperationView).progressText).toContain('KMS is off.');
  });

  it('is waited for until its status changes', async () => {
    const reply = get('', { prefer: 'respond-async, wait=15' });
    setTimeout(() => api.gateway.planFor(id), 200);
    const started = Date.now();
    expect((await reply).json(OperationView).status).toBe('AwaitingApproval');
    expect(Date.now() - started).toBeLessThan(10_000);
    expect((await reply).headers.get('preference-applied')).toBe('wait=15');
  });

  it('is waited for until its plan changes', async () => {
    api.gateway.planFor(id);
    const started = Date.now();
    const reply = get('', { prefer: 'wait=15' });
    setTimeout(() => api.gateway.change(id, { planRevision: 2 }), 200);
    expect((await reply).json(OperationView).planRevision).toBe(2);
    expect(Date.now() - started).toBeLessThan(10_000);
  });

  it('is answered as it stands when the time is up, or at once when it has ended', async () => {
    const started = Date.now();
    expect((await get('', { prefer: 'wait=1' })).json(OperationView).status).toBe('Planning');
    expect(Date.now() - started).toBeGreaterThanOrEqual(950);
    api.gateway.change(id, { status: 'Succeeded' });
    const ended = await get('', { prefer: 'wait=20' });
    expect(ended.headers.get('preference-applied')).toBe('wait=20');
    expect(Date.now() - started).toBeLessThan(10_000);
  });

  it('is answered with at most 20 s of wait granted, and unusable preferences are ignored', async () => {
    api.gateway.change(id, { status: 'Succeeded' });
    expect((await get('', { prefer: 'wait=3600' })).headers.get('preference-applied')).toBe('wait=20');
    for (const prefer of ['wait=0', 'wait=-1', 'wait=soon', 'return=minimal', 'await=5']) {
      expect((await get('', { prefer })).headers.get('preference-applied')).toBeNull();
    }
  });

  it('is answered at once when the process stops', async () => {
    const reply = get('', { prefer: 'wait=20' });
    const started = Date.now();
    setTimeout(() => stopping.abort(), 100);
    expect((await reply).status).toBe(200);
    expect(Date.now() - started).toBeLessThan(10_000);
  });
});

describe('the entity tag of an operation', () => {
  const tagOf = (reply: Awaited<ReturnType<typeof get>>) => reply.headers.get('etag') ?? '';

  it('saves an answer while nothing but live counts changes', async () => {
    const tag = tagOf(await get());
    api.gateway.change(id, { progress: { step: 'census', done: 1, total: 2 } });
    const same = await get('', { 'if-none-match': `"other", W/${tag}` });
    expect([same.status, same.text, tagOf(same), same.headers.get('retry-after')]).toEqual([304, '', tag, '2']);
    expect((await get('', { 'if-none-match': '"other"' })).status).toBe(200);
    api.gateway.change(id, { waitingFor: 'the census.' });
    const other = await get('', { 'if-none-match': tag });
    expect(other.status).toBe(200);
    expect(tagOf(other)).not.toBe(tag);
  });

  it('is waited for until it is another one, or the time is up', async () => {
    const tag = tagOf(await get());
    const none = await get('', { 'if-none-match': tag, prefer: 'wait=1' });
    expect([none.status, none.headers.get('preference-applied')]).toEqual([304, 'wait=1']);
    const reply = get('', { 'if-none-match': tag, prefer: 'wait=20' });
    api.gateway.change(id, { waitingFor: 'something else.' });
    expect((await reply).json(OperationView).waitingFor).toBe('something else.');
    // What the client has is old already.
    expect((await get('', { 'if-none-match': tag, prefer: 'wait=20' })).status).toBe(200);
  });

  it('of 200 clients that wait costs one read in each interval, also through an outage of Temporal', async () => {
    let reads = 0;
    let [failing, most] = [false, 0];
    const find = async (one: string) => {
      reads += 1;
      await Promise.resolve();
      if (failing) throw new ApiError({ code: 'TemporalUnavailable', detail: 'Temporal does not answer.' });
      return api.gateway.find(one);
    };
    const poller = createOperationPoller({ find }, 20);
    const gone = new AbortController();
    setMaxListeners(0, gone.signal);
    const waits = Array.from({ length: 200 }, async () => {
      const seen = [];
      for await (const operation of poller.watch(id, gone.signal)) {
        seen.push(operation.waitingFor);
        most = Math.max(most, seen.length);
      }
      return seen;
    });
    while (reads < 3) await new Promise((resolve) => setTimeout(resolve, 10));
    expect(most).toBe(1);
    api.gateway.change(id, { waitingFor: 'something else.' });
    while (most < 2) await new Promise((resolve) => setTimeout(resolve, 10));
    failing = true;
    const before = reads;
    while (reads < before + 3) await new Promise((resolve) => setTimeout(resolve, 10));
    // It works again by itself.
    failing = false;
    api.gateway.change(id, { waitingFor: 'a third.' });
    while (most < 3) await new Promise((resolve) => setTimeout(resolve, 10));
    gone.abort();
    for (const seen of await Promise.all(waits)) expect(seen.at(-1)).toBe('a third.');
    const after = reads;
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(reads).toBeLessThanOrEqual(after + 1);
  });
});

describe('evidence', () => {
  it('is not there before it is sealed', async () => {
    const reply = await get('/evidence');
    expect(reply.problem()).toMatchObject({ status: 409, code: 'EvidenceNotReady', retryAfter: 2 });
  });

  it('is given byte for byte', async () => {
    const bytes = `${JSON.stringify(sealed(api.gateway.operation(id))).replaceAll(',', '  ,')}\n\n`;
    await writeFile(join(directory, `${id}.json`), bytes);
    const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
    api.gateway.change(id, { evidence: { file: `/elsewhere/${id}.json`, digest, signingKeyId: 'k' } });
    const reply = await get('/evidence');
    expect(reply.text).toBe(bytes);
    expect(reply.headers.get('content-type')).toBe('application/json');
    expect(reply.headers.get('etag')).toBe(`"${digest}"`);
  });

  it('that is not what was sealed is not given', async () => {
    await writeFile(join(directory, `${id}.json`), '{}');
    api.gateway.change(id, { evidence: { file: `${id}.json`, digest: 'sha256:1', signingKeyId: 'k' } });
    expect((await get('/evidence')).problem()).toMatchObject({
      status: 500,
      detail: expect.stringContaining('sha256:1'),
    });
  });

  it('that was sealed and is not in the folder says what to check', async () => {
    api.gateway.change(id, { evidence: { file: '../../etc/passwd', digest: 'sha256:1', signingKeyId: 'k' } });
    const reply = await get('/evidence');
    expect(reply.problem()).toMatchObject({
      status: 500,
      detail: expect.stringContaining('KEYTURN_EVIDENCE_DIRECTORY'),
    });
    expect(reply.text).not.toContain('root:');
  });
});

/** The least that the API document calls evidence. */
function sealed(operation: Operation): EvidenceFile {
  return {
    record: {
      format: 'keyturn-evidence/3',
      sealedAt: '2026-01-01T00:00:00.000Z',
      operation,
      outputs: {},
      seal: {
        policy: { approvalsRequired: 1 },
        approvalTimeoutInMs: 1_000,
        signature: { keyId: 'sha256:k', value: '' },
      },
    },
    signature: { algorithm: 'Ed25519', keyId: 'sha256:k', publicKey: '', value: '' },
  };
}
