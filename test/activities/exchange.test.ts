/** Requests to a server that keeps them waiting, or has no time. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { connectKubernetes, type KubeConnection } from '../../activities/kubernetes/connection';
import { createAuthority } from '../../sandbox/pki';
import { adminKubeconfig } from '../../sandbox/cluster/kubeconfig';

const PLACES = 8;
const MEBIBYTE = Buffer.alloc(1024 * 1024, ' ');
const endless = (): Readable =>
  new Readable({
    read() {
      this.push(MEBIBYTE);
    },
  });

describe('requests', () => {
  let server: Server;
  let connection: KubeConnection;
  const waiting: string[] = [];

  beforeAll(async () => {
    const authority = await createAuthority('test');
    const { certPem, keyPem } = await authority.issue({
      commonName: 'server',
      ipAddresses: ['127.0.0.1'],
      usage: 'server',
    });
    server = createServer({ cert: certPem, key: keyPem }, (request, response) => {
      const { url = '' } = request;
      if (url.startsWith('/answered')) return void response.end(JSON.stringify({ url }));
      if (url.startsWith('/busy')) return void response.writeHead(429, { 'retry-after': '7' }).end('{}');
      if (url.startsWith('/endless')) return void endless().pipe(response);
      waiting.push(url);
      server.emit('waiting');
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
    connection = connectKubernetes(
      adminKubeconfig('c', address, { caPem: authority.certPem, certPem, keyPem }),
      PLACES,
    );
  });
  afterAll(async () => {
    await connection.close();
    server.closeAllConnections();
    server.close();
  });

  it('under one signal are answered in any number, and all end with it and its reason, also those that are asked afterwards', async () => {
    const controller = new AbortController();
    const { signal } = controller;
    const get = (path: string): Promise<unknown> => connection.request({ method: 'GET', path, signal });
    const answered = Array.from({ length: 5 * PLACES }, (_, index) => `/answered/${index}`);
    expect(await Promise.all(answered.map(get))).toEqual(answered.map((url) => ({ url })));

    const ends = Promise.allSettled(Array.from({ length: PLACES }, (_, index) => get(`/kept/${index}`)));
    while (waiting.length < PLACES) await once(server, 'waiting');
    const reason = new Error('canceled');
    controller.abort(reason);
    expect(await ends).toEqual(Array(PLACES).fill({ status: 'rejected', reason }));
    await expect(get('/answered/later')).rejects.toBe(reason);
  });

  it('whose answer does not end are cut off before it fills the memory', async () => {
    await expect(connection.request({ method: 'GET', path: '/endless' })).rejects.toMatchObject({
      name: 'KubeError',
      message: expect.stringContaining('(ANSWER_TOO_LARGE)'),
    });
    expect(await connection.request({ method: 'GET', path: '/answered/next' })).toEqual({ url: '/answered/next' });
  });

  it('that the server has no time for carry what it asks for in Retry-After', async () => {
    await expect(connection.request({ method: 'GET', path: '/busy' })).rejects.toMatchObject({
      status: 429,
      transient: true,
      retryAfterInMs: 7_000,
    });
  });
});
