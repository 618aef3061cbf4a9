/** GET /v1/doctor, /v1/keys/users and the ledger of a cluster. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { DoctorReport } from '../../api/routes/doctor';
import { KeyUsersReport } from '../../domain/key-users';
import { ledgerReport } from '../../domain/ledger-report';
import { CLUSTER, KEY, startTestApi, type TestApi } from './support';

let api: TestApi;
beforeAll(async () => {
  api = await startTestApi();
});
afterAll(() => api.close());

describe('the doctor', () => {
  const checks = async () => {
    const { checks: all } = (await api.call('GET', '/v1/doctor', { token: api.as.olga })).json(DoctorReport);
    return Object.fromEntries(all.map(({ name, status, remedy }) => [name, [status, remedy]]));
  };

  it('finds nothing wrong where nothing is', async () => {
    const found = await checks();
    expect(Object.keys(found)).toEqual(['temporal', 'worker', 'search-attributes', 'clock', 'signing-key', 'azure']);
    for (const one of Object.values(found)) expect(one).toEqual(['ok', null]);
  });

  it('says the remedy of each thing that is missing', async () => {
    const { report } = api.gateway;
    api.gateway.missingAttributes = [{ name: 'KeyturnKind', command: 'temporal operator …' }];
    api.gateway.report = {
      ...report,
      at: new Date(Date.now() - 60_000).toISOString(),
      azure: { objectId: 'oid', clusters: 2, refusedSubscriptions: ['s1'] },
    };
    expect(await checks()).toMatchObject({
      'search-attributes': ['failed', 'temporal operator …'],
      clock: ['warning', expect.stringContaining('NTP')],
      azure: ['warning', expect.stringContaining('Reader')],
    });
    api.gateway.lacks = [{ code: 'WorkerUnavailable', detail: 'No worker polls.' }];
    expect(await checks()).toMatchObject({ worker: ['failed', expect.stringContaining('KEYTURN_TASK_QUEUE')] });
    api.gateway.lacks = [];
  });

  it('answers operators only', async () => {
    expect((await api.call('GET', '/v1/doctor', { token: api.as.rita })).problem()).toMatchObject({
      code: 'RoleMissing',
    });
  });
});

describe('the users of a key', () => {
  it('come with what Keyturn could not see', async () => {
    api.gateway.users = {
      users: [{ cluster: CLUSTER, by: 'ledger' }],
      clusters: 2,
      unread: [],
      refusedSubscriptions: ['s1'],
    };
    const reply = await api.call('GET', `/v1/keys/users?keyId=${encodeURIComponent(KEY)}`, { token: api.as.rita });
    expect(reply.json(KeyUsersReport)).toMatchObject({
      keyId: KEY,
      users: [{ cluster: CLUSTER, by: 'ledger' }],
      warnings: expect.arrayContaining([expect.objectContaining({ code: 'KeyUsersUnseen' })]),
    });
  });

  it('need a key with its version', async () => {
    const reply = await api.call('GET', '/v1/keys/users?keyId=https://kv1.vault.azure.net/keys/k1', {
      token: api.as.rita,
    });
    expect(reply.problem()).toMatchObject({
      status: 400,
      code: 'InvalidKeyId',
      detail: expect.stringContaining('no version'),
    });
  });
});

describe('the ledger of a cluster', () => {
  it('is answered as it is, with the keys that must stay', async () => {
    const since = '2026-01-01T00:00:00Z';
    const ledger = {
      version: 1 as const,
      generations: [{ keyId: KEY, state: 'activated' as const, origin: 'adopted' as const, since }],
    };
    const inspection = ledgerReport(ledger, { cluster: CLUSTER, at: since, confirmed: true, changedSinceProof: false });
    api.gateway.inspectedLedgers.set(CLUSTER, { found: true, inspection });
    const reply = await api.call('GET', `/v1/clusters${CLUSTER}/ledger`, { token: api.as.rita });
    expect(JSON.parse(reply.text)).toMatchObject({
      generations: ledger.generations,
      keysNeeded: [KEY],
      slots: { current: KEY, previous: null, previousKnown: false },
    });
  });
});
