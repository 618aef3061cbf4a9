/** GET /v1/operations/{id}/refused-secrets. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stepStates, type StepStatus } from '../../domain/operation';
import { folderStore } from '../../evidence/folder-store';
import { planned } from '../domain/fixtures';
import { idOf, startTestApi, type Reply, type TestApi } from './support';

describe('the refused Secrets of an operation', () => {
  let directory: string;
  let api: TestApi;
  let id: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'kt-refused-'));
    api = await startTestApi({ store: folderStore(directory) });
    id = idOf(await api.ask('key-1'));
  });
  afterEach(async () => {
    await api.close();
    await rm(directory, { recursive: true, force: true });
  });

  const stands = (...begun: [string, StepStatus['status']][]): void => {
    const plan = planned('rotate-key');
    const steps = begun.map(([step, status]) => ({ id: step, status, startedAt: '2026-01-01T00:00:00.000Z' }));
    api.gateway.change(id, { plan, steps: stepStates(plan, steps) });
  };
  const report = (step: string, text: string): Promise<void> =>
    writeFile(join(directory, `${id}.${step}.refused.jsonl`), text);
  const read = (token: string | undefined = api.as.rita): Promise<Reply> =>
    api.call('GET', `/v1/operations/${id}/refused-secrets`, { token });

  it('are answered to a reader, whole, however many', async () => {
    const text = '{"name":"s"}\n'.repeat(200_000);
    stands(['rotate.rewrite', 'blocked']);
    await report('rotate.rewrite', text);
    const reply = await read();
    expect(reply.status).toBe(200);
    expect(reply.headers.get('content-type')).toBe('application/x-ndjson');
    expect(reply.text === text).toBe(true);
  });

  it('are those of the last step that has ended a pass', async () => {
    await report('rotate.rewrite', 'rewrite\n');
    stands(['rotate.rewrite', 'done'], ['rotate.prove', 'running']);
    expect((await read()).text).toBe('rewrite\n');
    await report('rotate.prove', 'prove\n');
    expect((await read()).text).toBe('prove\n');
  });

  it('are none when the last step refused none, or nothing was rewritten yet', async () => {
    expect((await read()).problem()).toMatchObject({ status: 404, code: 'NoRefusedSecrets' });
    await report('rotate.rewrite', 'rewrite\n');
    stands(['rotate.rewrite', 'done'], ['rotate.prove', 'done']);
    expect((await read()).problem()).toMatchObject({ status: 404, code: 'NoRefusedSecrets' });
  });

  it('need a token', async () => {
    const reply = await api.call('GET', `/v1/operations/${id}/refused-secrets`);
    expect(reply.problem()).toMatchObject({ status: 401 });
  });
});
