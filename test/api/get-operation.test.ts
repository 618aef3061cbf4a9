import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { OperationView } from '../../api/operation-view';
import { idOf, startTestApi, type TestApi } from './support';

let api: TestApi;
let id: string;
let directory: string;
const stopping = new AbortController();
beforeAll(async () => void (directory = await mkdtemp(join(tmpdir(), 'evidence-'))));
afterAll(() => rm(directory, { recursive: true }));
beforeEach(async () => {
  api = await startTestApi({
    evidenceDirectory: directory,
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
    setTimeout(() => api.gateway.plan(id), 200);
    const started = Date.now();
    expect((await reply).json(OperationView).status).toBe('AwaitingApproval');
    expect(Date.now() - started).toBeLessThan(10_000);
    expect((await reply).headers.get('preference-applied')).toBe('wait=15');
  });

  it('is waited for until its plan changes', async () => {
    api.gateway.plan(id);
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

describe('evidence', () => {
  it('is not there before it is sealed', async () => {
    const reply = await get('/evidence');
    expect(reply.problem()).toMatchObject({ status: 409, code: 'EvidenceNotReady', retryAfter: 2 });
  });

  it('is given byte for byte', async () => {
    const bytes = '{ "record": {  "odd":"white  space" } }\n\n';
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
