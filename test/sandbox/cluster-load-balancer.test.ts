import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { startLoadBalancer, type LoadBalancer } from '../../sandbox/cluster/load-balancer';

/** A server that greets with its name, then answers each message in capitals after a while. */
interface Backend {
  readonly port: number;
  readonly server: Server;
  /** Messages that have come so far. */
  received(): number;
}

let balancer: LoadBalancer;
const toClose: (Server | Socket)[] = [];

beforeEach(async () => {
  balancer = await startLoadBalancer();
});

afterEach(async () => {
  await balancer.close();
  for (const thing of toClose.splice(0)) {
    if ('close' in thing) thing.close();
    else thing.destroy();
  }
});

async function startBackend(name: string, answerAfterInMs = 0): Promise<Backend> {
  let received = 0;
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.write(`${name}\n`);
    socket.setEncoding('utf8').on('data', (text: string) => {
      received++;
      setTimeout(() => socket.write(text.toUpperCase()), answerAfterInMs);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  toClose.push(server);
  return { server, port: (server.address() as AddressInfo).port, received: () => received };
}

/** A connection through the balancer that collects what it hears. */
async function open(): Promise<{ socket: Socket; heard: () => string; until: (text: string) => Promise<number> }> {
  const socket = connect(balancer.port, '127.0.0.1');
  toClose.push(socket);
  let heard = '';
  socket.setEncoding('utf8').on('data', (text: string) => (heard += text));
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return {
    socket,
    heard: () => heard,
    until: async (text) => {
      while (!heard.includes(text)) await once(socket, 'data');
      return performance.now();
    },
  };
}

describe('the load balancer', () => {
  test('spreads new connections over its backends in turn', async () => {
    const backends = await Promise.all(['one', 'two', 'three'].map((name) => startBackend(name)));
    balancer.setBackends(backends.map(({ port }) => port));
    const names: string[] = [];
    for (let count = 0; count < 6; count++) {
      const client = await open();
      await client.until('\n');
      names.push(client.heard().trim());
    }
    expect(names.sort()).toEqual(['one', 'one', 'three', 'three', 'two', 'two']);
  });

  test('gives a connection to the next backend when one has died', async () => {
    const [dead, alive] = [await startBackend('dead'), await startBackend('alive')];
    dead.server.close();
    await once(dead.server, 'close');
    balancer.setBackends([dead.port, alive.port]);
    for (let count = 0; count < 2; count++) await (await open()).until('alive');
  });

  test('resets connections when it has no backend', async () => {
    const socket = connect(balancer.port, '127.0.0.1');
    const [error]: unknown[] = await once(socket, 'error').catch((failure: unknown) => [failure]);
    expect(error).toMatchObject({ code: 'ECONNRESET' });
  });

  test('drains a backend: closes idle connections, lets the open request finish, sends new ones elsewhere', async () => {
    const old = await startBackend('old', 1_500);
    const next = await startBackend('next');
    balancer.setBackends([old.port]);
    const [idle, busy] = [await open(), await open()];
    await Promise.all([idle.until('old'), busy.until('old')]);

    balancer.setBackends([next.port]);
    busy.socket.write('request');
    const closed = once(idle.socket, 'close');
    const drained = balancer.drain(old.port, { graceInMs: 5_000 });
    const fresh = await open();
    await fresh.until('next');
    await closed;
    expect(busy.heard()).not.toContain('REQUEST');
    await busy.until('REQUEST');
    await once(busy.socket, 'close');
    await drained;
    expect(fresh.socket.destroyed).toBe(false);
  });

  test('drains a connection that is hardly ever idle in one of its pauses, after the answer', async () => {
    const old = await startBackend('old');
    balancer.setBackends([old.port]);
    const client = await open();
    await client.until('old');
    balancer.setBackends([]);
    const drained = balancer.drain(old.port, { graceInMs: 5_000 });
    let asked = 0;
    client.socket.on('data', () => {
      setTimeout(() => {
        if (client.socket.writable) client.socket.write(`q${++asked} `);
      }, 40);
    });
    client.socket.write(`q${++asked} `);
    await once(client.socket, 'close');
    await drained;
    expect(asked).toBeGreaterThan(5);
    // What the client says in the moment of the end never comes to the server; what has come is answered.
    expect(old.received()).toBeGreaterThanOrEqual(asked - 1);
    expect(client.heard().trim().split(' ')).toHaveLength(old.received());
  });

  test('drains a connection that is still on its way to the backend', async () => {
    const next = await startBackend('next');
    for (let ticks = 0; ticks < 3; ticks++) {
      const old = await startBackend('old');
      balancer.setBackends([old.port]);
      await open();
      // In one of these moments the balancer has chosen the old backend and is not connected yet.
      for (let tick = 0; tick < ticks; tick++) await new Promise(setImmediate);
      balancer.setBackends([next.port]);
      await balancer.drain(old.port, { graceInMs: 5_000 });
      await sleep(50);
      const left = await promisify(old.server.getConnections.bind(old.server))();
      expect({ ticks, left }).toEqual({ ticks, left: 0 });
    }
  });

  test('leaves connections that may carry HTTP/2 to the server', async () => {
    const old = await startBackend('old');
    balancer.setBackends([old.port]);
    const client = connect(balancer.port, '127.0.0.1');
    toClose.push(client);
    // The extension of a TLS ClientHello that offers h2 and http/1.1. The client speaks first in TLS.
    client.write(Buffer.from('000e000c02683208687474702f312e31', 'hex'));
    await once(client, 'data');
    await sleep(50);
    balancer.setBackends([]);
    await balancer.drain(old.port, { graceInMs: 1_000 });
    await sleep(400);
    expect(client.destroyed).toBe(false);
    expect(client.readableEnded).toBe(false);
  });

  test('stops waiting for a busy connection after the grace, and leaves it open', async () => {
    const old = await startBackend('old', 2_000);
    balancer.setBackends([old.port]);
    const busy = await open();
    await busy.until('old');
    balancer.setBackends([]);
    busy.socket.write('request');
    await sleep(20);
    await balancer.drain(old.port, { graceInMs: 200 });
    await busy.until('REQUEST');
  });

  test('delays both directions, keeps the order, and passes everything on when the delay is taken away', async () => {
    balancer.setBackends([(await startBackend('slow')).port]);
    const client = await open();
    await client.until('slow\n');
    balancer.setLatency(100);
    const sentAt = performance.now();
    client.socket.write('a');
    const gotAt = await client.until('A');
    expect(gotAt - sentAt).toBeGreaterThanOrEqual(195);
    expect(gotAt - sentAt).toBeLessThan(1_000);

    client.socket.write('b');
    await sleep(10);
    balancer.setLatency(0);
    client.socket.write('c');
    await client.until('C');
    expect(client.heard()).toBe('slow\nABC');
  });

  test('counts what all its connections carried, those that are gone included', async () => {
    const backends = await Promise.all([startBackend('one'), startBackend('two')]);
    balancer.setBackends(backends.map(({ port }) => port));
    expect(balancer.traffic()).toEqual({ bytesToClients: 0, bytesFromClients: 0 });
    for (let count = 0; count < 2; count++) {
      const client = await open();
      await client.until('\n');
      client.socket.write('hello');
      await client.until('HELLO');
      client.socket.destroy();
    }
    expect(balancer.traffic()).toEqual({ bytesToClients: 2 * 'one\nHELLO'.length, bytesFromClients: 10 });
  });

  test('carries much data through a delay without making it slow', async () => {
    const size = 8 * 1024 * 1024;
    const server = createServer((socket) => socket.end(Buffer.alloc(size, 'x'))).listen(0, '127.0.0.1');
    await once(server, 'listening');
    toClose.push(server);
    balancer.setBackends([(server.address() as AddressInfo).port]);
    balancer.setLatency(20);
    const startedAt = performance.now();
    const client = await open();
    await once(client.socket, 'end');
    expect(client.heard()).toHaveLength(size);
    expect(performance.now() - startedAt).toBeLessThan(3_000);
  });

  test('gives up its port and cuts its connections when closed', async () => {
    balancer.setBackends([(await startBackend('one')).port]);
    const client = await open();
    await client.until('one');
    await Promise.all([once(client.socket, 'close'), balancer.close()]);
    const late = connect(balancer.port, '127.0.0.1');
    await expect(once(late, 'connect')).rejects.toThrow('ECONNREFUSED');
  });
});
