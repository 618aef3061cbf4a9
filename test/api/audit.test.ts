/** What the API tells the audit log, and that nothing is told to an operation before that. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { appendFile } from 'node:fs/promises';
import { readLine, type AuditEvent } from '../../domain/audit';
import { verifyAudit } from '../../evidence/verify-audit';
import type { RecordStore } from '../../evidence/store';
import { folderStore } from '../../evidence/folder-store';
import { idOf, REQUEST, startTestApi, TENANT, type TestApi } from './support';

let api: TestApi;
beforeEach(async () => void (api = await startTestApi()));
afterEach(() => api.close());

async function told(store: RecordStore = api.store): Promise<AuditEvent[]> {
  await api.audit.drained();
  const texts = await Promise.all((await store.list('audit/')).map((name) => store.read(name)));
  return texts
    .flatMap((text) => (text?.toString() ?? '').split('\n').slice(0, -1))
    .map((line) => {
      const read = readLine(line);
      if (typeof read === 'string') throw new Error(read);
      return read.event;
    })
    .filter(({ event }) => event !== 'opened');
}

describe('the audit log of the API', () => {
  it('has a request and its operation, and a decision with its plan and comment, before the answer to each', async () => {
    const id = idOf(await api.ask('key-1'));
    const planDigest = api.gateway.planFor(id);
    const body = { planDigest, comment: 'Looks right.' };
    await api.call('POST', `/v1/operations/${id}:approve`, { token: api.as.anna, body });
    expect(await told()).toMatchObject([
      {
        event: 'asked',
        action: 'createOperation',
        by: { objectId: 'oid-olga', tenantId: TENANT },
        operation: id,
        cluster: REQUEST.cluster.toLowerCase(),
        kind: 'rotate-key',
        change: 'CHG0030192',
      },
      { event: 'answered', action: 'createOperation', status: 202, operation: id },
      { event: 'asked', action: 'approveOperation', by: { objectId: 'oid-anna' }, operation: id, ...body },
      { event: 'answered', action: 'approveOperation', status: 200, operation: id },
    ]);
    expect(await verifyAudit(api.store)).toMatchObject({ faults: [] });
  });

  it('has who was refused for want of a right, and for what; reading leaves no line', async () => {
    const id = idOf(await api.ask('key-1'));
    const planDigest = api.gateway.planFor(id);
    await api.call('POST', `/v1/operations/${id}:approve`, { token: api.as.olga, body: { planDigest } });
    await api.call('POST', `/v1/operations/${id}:deny`, { token: api.as.rita, body: { planDigest } });
    await api.call('GET', `/v1/operations/${id}`, { token: api.as.rita });
    expect((await told()).slice(2)).toMatchObject([
      { event: 'answered', action: 'approveOperation', by: { name: 'Olga' }, status: 403, code: 'RoleMissing' },
      { event: 'answered', action: 'denyOperation', by: { name: 'Rita' }, status: 403, code: 'RoleMissing' },
    ]);
  });

  it('has refused logins with what the token claims, and counts those beyond a bound', async () => {
    const expired = await api.tokens.of('Eve', [], { exp: 1 });
    for (let index = 0; index < 65; index++) await api.call('GET', '/v1/operations', { token: expired });
    const lines = await told();
    expect(lines).toHaveLength(60);
    expect(lines[0]).toMatchObject({ event: 'login-refused', code: 'TokenExpired', claimed: { oid: 'oid-eve' } });
    expect(JSON.stringify(lines)).not.toContain(expired.split('.')[2]);
  });
});

describe('an API that cannot write the audit log', () => {
  it('answers AuditUnavailable and tells the operation nothing; when the store is back, the same request counts', async () => {
    const id = idOf(await api.ask('key-1'));
    const planDigest = api.gateway.planFor(id);
    await api.audit.drained();
    const [file = ''] = await api.store.list('audit/');
    await appendFile(api.store.locationOf(file), 'of another process');
    const approve = () =>
      api.call('POST', `/v1/operations/${id}:approve`, { token: api.as.anna, body: { planDigest } });
    expect((await approve()).problem()).toMatchObject({
      status: 503,
      code: 'AuditUnavailable',
      retryAfter: expect.any(Number),
    });
    expect(api.gateway.told).toEqual([]);
    expect((await approve()).status).toBe(200);
    expect(api.gateway.told).toHaveLength(1);
  });

  it('answers those who read', async () => {
    await api.close();
    api = await startTestApi({ store: folderStore('/dev/null/nowhere') });
    expect((await api.ask('key-1')).problem()).toMatchObject({ status: 503, code: 'AuditUnavailable' });
    expect(api.gateway.started).toEqual([]);
    expect((await api.call('GET', '/v1/operations', { token: api.as.rita })).status).toBe(200);
  });
});
