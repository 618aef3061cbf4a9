/** One webhook on its way: signed, to allowed addresses only, whatever the receiver answers. */
import { once } from 'node:events';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Webhook } from 'standardwebhooks';
import { mayReach } from '../../activities/webhooks/addresses';
import { createWebhookSender } from '../../activities/webhooks/send';
import { eventId, eventsOf, type OperationEvent } from '../../domain/events';
import { newOperation } from '../../domain/new-operation';
import type { WebhookEndpoint } from '../../domain/webhooks';
import { NOW, person, request } from '../domain/fixtures';

const [NEW, OLD] = ['n', 'o'].map((letter) => `whsec_${Buffer.from(letter.repeat(32)).toString('base64')}`);
const ID = `op-${'a'.repeat(26)}`;
const [EVENT] = eventsOf(
  newOperation({ id: ID, request: request(), requestedBy: person('olga'), requestedAt: NOW }),
) as [OperationEvent];

describe('a webhook', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'keyturn-webhook-'));
  const received: { headers: IncomingMessage['headers']; body: string; url?: string }[] = [];
  let answer: (response: ServerResponse) => void = (response) => response.end();
  const server = createServer((incoming, response) => {
    let body = '';
    incoming.on('data', (piece: Buffer) => (body += piece.toString()));
    incoming.on('end', () => {
      received.push({ headers: incoming.headers, body, url: incoming.url });
      answer(response);
    });
  });
  let endpoint: WebhookEndpoint;
  beforeAll(async () => {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    writeFileSync(path.join(folder, 'new'), `${NEW}\n`);
    process.env.KEYTURN_TEST_OLD_SECRET = OLD;
    endpoint = {
      id: 'local',
      url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
      secrets: [{ file: path.join(folder, 'new') }, { env: 'KEYTURN_TEST_OLD_SECRET' }],
    };
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });
  const sender = createWebhookSender({ privateAddresses: true, loopback: true, timeoutInMs: 60_000 });
  const signal = new AbortController().signal;

  it('is signed with each secret, so that a receiver may know the old one or the new one', async () => {
    expect(await sender.send(endpoint, EVENT, signal)).toEqual({ status: 200, retryAfterInMs: undefined });
    const [{ headers, body } = { headers: {}, body: '' }] = received;
    for (const secret of [NEW, OLD]) {
      expect(new Webhook(secret ?? '').verify(body, headers as Record<string, string>)).toEqual(EVENT);
    }
    expect(headers['webhook-id']).toBe(eventId(EVENT));
    const other = new Webhook(Buffer.from('x'.repeat(32)).toString('base64'));
    expect(() => other.verify(body, headers as Record<string, string>)).toThrow();
  });

  it('does not follow a redirect, and keeps nothing of an answer but its status and when to try again', async () => {
    const before = received.length;
    answer = (response) =>
      response.writeHead(302, { location: '/elsewhere', 'retry-after': '7' }).end('x'.repeat(100_000));
    expect(await sender.send(endpoint, EVENT, signal)).toEqual({ status: 302, retryAfterInMs: 7_000 });
    expect(received.slice(before).map(({ url }) => url)).toEqual(['/hook']);
  });

  it('is given up when the receiver does not answer in time', async () => {
    answer = () => undefined;
    const hasty = createWebhookSender({ privateAddresses: true, loopback: true, timeoutInMs: 50 });
    await expect(hasty.send(endpoint, EVENT, signal)).rejects.toThrow();
  });

  it('is not sent with a secret that is none, and the sentence names the place only', async () => {
    writeFileSync(path.join(folder, 'bad'), 'hunter2');
    const bad = { ...endpoint, secrets: [{ file: path.join(folder, 'bad') }] };
    const sent = sender.send(bad, EVENT, signal);
    await expect(sent).rejects.toThrow(/the file .*bad must have whsec_/);
    await expect(sent).rejects.not.toThrow(/hunter2/);
  });

  it('is not sent to this machine where that is not allowed: by address, or by a name that leads there', async () => {
    const strict = createWebhookSender({ privateAddresses: true, loopback: false });
    const before = received.length;
    await expect(strict.send(endpoint, EVENT, signal)).rejects.toThrow('does not send webhooks to');
    const byName = { ...endpoint, url: endpoint.url.replace('127.0.0.1', 'localhost') };
    const refused = await strict.send(byName, EVENT, signal).catch((error: unknown) => error);
    expect(String((refused as Error).cause ?? refused)).toContain('does not send webhooks to');
    expect(received).toHaveLength(before);
  });

  it.each([
    ['127.0.0.1', false, false],
    ['::1', false, false],
    ['::ffff:127.0.0.1', false, false],
    ['::ffff:7f00:1', false, false],
    ['10.1.2.3', false, true],
    ['172.31.0.1', false, true],
    ['192.168.1.1', false, true],
    ['100.64.0.1', false, true],
    ['fd00::1', false, true],
    ['169.254.169.254', false, false],
    ['::ffff:169.254.169.254', false, false],
    ['fe80::1', false, false],
    ['168.63.129.16', false, false],
    ['0.0.0.0', false, false],
    ['224.0.0.1', false, false],
    ['64:ff9b::a00:1', false, false],
    ['52.1.2.3', true, true],
    ['2603:1030::1', true, true],
    ['no address', false, false],
  ])('to %s: %s; where private networks are allowed: %s', (address, publicOnly, privateToo) => {
    expect(mayReach(address, { privateAddresses: false, loopback: false })).toBe(publicOnly);
    expect(mayReach(address, { privateAddresses: true, loopback: false })).toBe(privateToo);
  });
});
