/** The change systems that Keyturn asks, over HTTPS: the sandbox's ServiceNow, and a URL of the operator's. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { Webhook } from 'standardwebhooks';
import { createChangeDesk } from '../../activities/change/check-change';
import type { ChangeSystemSettings } from '../../activities/change/port';
import type { ChangeAnswer } from '../../domain/change/window';
import type { Change } from '../../domain/change/change';
import { control, testStack } from '../support/stack';

const WINDOW = { start: '2026-11-22T22:00:00.000Z', end: '2026-11-23T02:00:00.000Z' };
const GOOD = {
  state: '-1',
  approval: 'approved',
  on_hold: 'false',
  start_date: '2026-11-22 22:00:00',
  end_date: '2026-11-23 02:00:00',
};
const folder = mkdtempSync(path.join(testStack().directory, 'change-systems-'));
const fileWith = (name: string, text: string): string => {
  const file = path.join(folder, name);
  writeFileSync(file, text);
  return file;
};

/** What a system with these settings says of a change. */
async function answerOf(settings: ChangeSystemSettings, change: Change): Promise<ChangeAnswer> {
  const question = { operation: 'op-1', kind: 'rotate-key', cluster: 'c', change, plan: null, step: null };
  return (await createChangeDesk(settings).check(question, new AbortController().signal)).answer;
}

// Read with the first request: as for a worker behind a proxy.
process.env.HTTPS_PROXY = testStack().sandbox.proxyUrl;
process.env.NO_PROXY = '127.0.0.1,localhost';

describe('ServiceNow', () => {
  const { url, clientId, clientSecret, user, password } = testStack().sandbox.serviceNow;
  const secretFile = fileWith('client-secret', `${clientSecret}\n`);
  const settings = { name: 'servicenow', url, login: { clientId }, secretFile, askEveryInSeconds: 60 } as const;
  const ask = (number: string, more: Partial<Change> = {}): Promise<ChangeAnswer> =>
    answerOf(settings, { number, ...more });
  const ID = 'abcdef0123456789abcdef0123456789';

  beforeAll(async () => {
    await control().setChange('CHG7000001', { ...GOOD, sys_id: ID });
    await control().setChange('CHG7000002', { ...GOOD, state: '-2', on_hold: 'true', approval: 'requested' });
  });
  afterEach(() => control().setServiceNow('up'));

  it('allows a change that is in Implement, approved and not on hold, and tells its window in UTC', async () => {
    expect(await ask('CHG7000001')).toEqual({ state: 'allowed', window: WINDOW });
    expect(await ask('chg7000001')).toMatchObject({ state: 'allowed' });
    const basic = { ...settings, login: { user }, secretFile: fileWith('password', password) };
    expect(await answerOf(basic, { number: 'CHG7000001' })).toMatchObject({ state: 'allowed' });
  });

  it('refuses any other, with all that is against it', async () => {
    expect(await ask('CHG7000002')).toEqual({
      state: 'refused',
      says: 'its state is Scheduled, not Implement, its approval is requested, not approved, it is on hold.',
      window: WINDOW,
    });
    await control().setChange('CHG7000003', { ...GOOD, end_date: '' });
    expect(await ask('CHG7000003')).toEqual({ state: 'refused', says: 'it shows no planned start and end.' });
  });

  it('does not know a number that there is not, nor one that is more than a number', async () => {
    expect(await ask('CHG7999999')).toMatchObject({ state: 'unknown' });
    // Each would find a record: by a condition of the requester's own, or as all rows, since what is no condition is ignored.
    for (const number of ['CHG7999999^ORnumber=CHG7000001', 'state=-1', 'CHG 7000001', '^'])
      expect(await ask(number)).toMatchObject({ state: 'unknown' });
  });

  it('is read by the sys_id of the link, and the number is compared', async () => {
    const link = (id: string): Partial<Change> => ({ url: `${url}/change_request.do?sys_id=${id}` });
    expect(await ask('CHG7000001', link(ID))).toMatchObject({ state: 'allowed' });
    expect(await ask('CHG7000002', link(ID))).toMatchObject({
      state: 'unknown',
      says: expect.stringContaining('another number'),
    });
    expect(await ask('CHG7000001', link('0'.repeat(32)))).toMatchObject({ state: 'unknown' });
  });

  it('that shows a page, is throttled or refuses the credentials is away, which is no answer', async () => {
    await control().setServiceNow('maintenance');
    expect(await ask('CHG7000001')).toMatchObject({
      state: 'away',
      says: expect.stringContaining('under maintenance'),
    });
    await control().setServiceNow('throttled');
    expect(await ask('CHG7000001')).toMatchObject({ state: 'away', says: expect.stringContaining('asks to wait 7 s') });
    await control().setServiceNow('up');
    const wrong = { ...settings, secretFile: fileWith('wrong', 'not the secret') };
    expect(await answerOf(wrong, { number: 'CHG7000001' })).toMatchObject({
      state: 'away',
      says: expect.stringContaining('credentials'),
    });
    const nowhere = { ...settings, url: 'http://127.0.0.1:9' };
    expect(await answerOf(nowhere, { number: 'CHG7000001' })).toMatchObject({
      state: 'away',
      says: expect.stringContaining('does not answer'),
    });
  });
});

describe('a URL of the operator', () => {
  const secret = `whsec_${Buffer.from('0123456789abcdef0123456789abcdef').toString('base64')}`;
  const other = `whsec_${Buffer.from('another-secret-of-32-characters!').toString('base64')}`;
  let server: Server;
  let settings: ChangeSystemSettings;
  let says: { body?: unknown; status?: number; sign?: string; id?: string; at?: Date } = {};
  const asked: unknown[] = [];

  beforeAll(async () => {
    server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const question = Buffer.concat(chunks).toString();
        asked.push(new Webhook(secret).verify(question, request.headers as Record<string, string>));
        const text = JSON.stringify(says.body);
        const id = says.id ?? String(request.headers['webhook-id']);
        const at = says.at ?? new Date();
        response.writeHead(says.status ?? 200, {
          'webhook-id': id,
          'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
          'webhook-signature': new Webhook(says.sign ?? secret).sign(id, at, text),
        });
        response.end(text);
      });
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    settings = {
      name: 'webhook',
      url: `http://127.0.0.1:${port}/check`,
      secretFile: fileWith('webhook', `${other}\n${secret}\n`),
      askEveryInSeconds: 60,
    };
  });
  afterAll(() => void server.close());

  const ask = (answer: typeof says): Promise<ChangeAnswer> => {
    says = answer;
    return answerOf(settings, { number: 'CHG1', reason: 'Yearly' });
  };

  it('is asked with a signed question, and its signed answer counts', async () => {
    const window = { start: '2026-11-22T23:00:00+01:00', end: '2026-11-23T02:00:00Z' };
    expect(await ask({ body: { allowed: true, window } })).toEqual({ state: 'allowed', window: WINDOW });
    expect(asked.at(-1)).toMatchObject({
      type: 'change.check',
      data: { change: { number: 'CHG1' }, operation: 'op-1' },
    });
    expect(await ask({ body: { allowed: false, reason: 'Freeze' } })).toEqual({ state: 'refused', says: 'Freeze.' });
    expect(await ask({ body: { allowed: false, known: false } })).toMatchObject({ state: 'unknown' });
    expect(await ask({ body: { allowed: false, reason: 'a\u202eb' } })).toEqual({ state: 'refused', says: 'not now.' });
  });

  it.each([
    ['of another secret', { sign: `whsec_${Buffer.from('forged').toString('base64')}` }],
    ['for another question', { id: 'msg_earlier' }],
    ['that is old', { at: new Date(Date.now() - 600_000) }],
    ['with another status', { status: 302 }],
    ['of another form', { body: { allow: true } }],
  ])('has no say with an answer %s', async (_what, wrong) => {
    expect(await ask({ body: { allowed: true }, ...wrong })).toMatchObject({ state: 'away' });
  });
});
