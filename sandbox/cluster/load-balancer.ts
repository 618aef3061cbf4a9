/**
 * The fixed address of a cluster: a TCP front that spreads connections over its API servers.
 *
 * Does: gives each new connection to the next live server, in turn; takes a server out without cutting open requests;
 *       delays traffic when a test asks for it.
 * Never does: look into TLS behind its first, plain message (answer-loser.ts does, when a test asks for it), or give up its port before it is closed. A front without
 *       servers accepts and resets every connection, because a port that was given up may be somebody else's when the
 *       cluster starts again.
 */
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Traffic } from './contract';
import { startRelay } from './relay';

/**
 * An HTTP/1.1 connection on which the server spoke last, and then nobody for so long, carries no open request. A client
 * that keeps it busier than that is caught in a shorter pause: while a server is drained, the next time is taken after
 * each step. The times are far apart so that a client with a steady beat is not met just when it sends.
 */
const IDLE_AFTER_IN_MS = [250, 60, 15, 5];
const IDLE_STEP_IN_MS = 400;
/**
 * A new connection is not idle because nobody speaks for a moment: in TLS 1.3 the server speaks last before the first
 * request. It is not ended before it is so old.
 */
const NEW_FOR_IN_MS = 1_000;
const DRAIN_INTERVAL_IN_MS = 20;
/** How a TLS client offers HTTP/2 (ALPN, RFC 7301), in its first message, which is not encrypted. */
const OFFERS_HTTP2 = Buffer.from('\x02h2');

/** A listening front. */
export interface LoadBalancer {
  /** The port on 127.0.0.1 that clients connect to; the same until `close`. */
  readonly port: number;
  /** From now on new connections go to these ports of 127.0.0.1 and to no others; connections that are open stay. */
  setBackends(ports: readonly number[]): void;
  /**
   * Closes the connections to a server that is no backend any more, each as soon as it is idle. Resolves when none is
   * left, or after the grace: what is still open then is busy, and the server has to end it properly. HTTP/2 connections
   * are left to the server from the start: it can say GOAWAY, and nobody else can tell whether a stream is open.
   */
  drain(port: number, options: { readonly graceInMs: number }): Promise<void>;
  /** From now on new connections go to this port of 127.0.0.1 instead, which passes requests on to the servers; undefined ends that. */
  setFront(port: number | undefined): void;
  /** The servers that new connections go to. */
  backends(): readonly number[];
  /** Delays every chunk by this long, both ways; new and open connections. 0 is off. */
  setLatency(latencyInMs: number): void;
  /** What all connections so far have carried, TLS and all; counted when the bytes arrive here. */
  traffic(): Traffic;
  /** Gives up the port and cuts every connection. */
  close(): Promise<void>;
}

type Speaker = 'client' | 'server';

/** What a connection asks and tells the front that it belongs to. */
interface Hooks {
  readonly latencyInMs: () => number;
  readonly count: (speaker: Speaker, bytes: number) => void;
}

/** A connection whose client has come and whose server has not been reached yet. */
interface Arrival {
  /** Of the backend that is being tried. */
  port?: number;
}

/** Two sockets, and who spoke last. */
interface Connection {
  readonly backendPort: number;
  /** Whether the client may speak HTTP/2, with many requests at a time. */
  multiplexed(): boolean;
  /** Ends itself when the server spoke last and then nobody for so long. Called again: counts from the next answer on. */
  endWhenIdle(idleAfterInMs: number): void;
  destroy(): void;
}

/** Starts listening on a free port of 127.0.0.1, without any backend. */
export async function startLoadBalancer(): Promise<LoadBalancer> {
  const open = new Set<Connection>();
  const arriving = new Set<Arrival>();
  let backends: readonly number[] = [];
  let front: number | undefined;
  let turn = 0;
  let latencyInMs = 0;
  const carried = { bytesToClients: 0, bytesFromClients: 0 };
  const count = (speaker: Speaker, bytes: number): void => {
    if (speaker === 'server') carried.bytesToClients += bytes;
    else carried.bytesFromClients += bytes;
  };

  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    void serve(client);
  });
  const serve = async (client: Socket): Promise<void> => {
    client.on('error', () => client.destroy());
    const inTurn =
      front !== undefined ? [front] : backends.map((_, index) => backends[(turn + index) % backends.length] ?? 0);
    turn++;
    const arrival: Arrival = {};
    arriving.add(arrival);
    const found = await firstThatConnects(inTurn, arrival);
    arriving.delete(arrival);
    if (found === undefined || client.destroyed) {
      found?.destroy();
      client.resetAndDestroy();
      return;
    }
    const connection = join(client, found, arrival.port ?? 0, { latencyInMs: () => latencyInMs, count });
    open.add(connection);
    client.once('close', () => open.delete(connection));
  };
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');

  return {
    port: (server.address() as AddressInfo).port,
    setBackends(ports) {
      backends = [...ports];
    },
    setFront(port) {
      front = port;
    },
    backends: () => backends,
    async drain(port, { graceInMs }) {
      const startedAt = performance.now();
      for (;;) {
        const elapsed = performance.now() - startedAt;
        const left = [...open].filter((connection) => connection.backendPort === port && !connection.multiplexed());
        // A server that stops listening resets whom it has not accepted yet.
        const onTheWay = [...arriving].some((arrival) => arrival.port === port);
        if ((left.length === 0 && !onTheWay) || elapsed > graceInMs) return;
        const idleAfter = IDLE_AFTER_IN_MS[Math.floor(elapsed / IDLE_STEP_IN_MS)] ?? IDLE_AFTER_IN_MS.at(-1) ?? 0;
        for (const connection of left) connection.endWhenIdle(idleAfter);
        await sleep(DRAIN_INTERVAL_IN_MS);
      }
    },
    setLatency(latency) {
      latencyInMs = latency;
    },
    traffic: () => ({ ...carried }),
    async close() {
      backends = [];
      const closed = server.listening ? once(server, 'close') : undefined;
      server.close();
      for (const connection of open) connection.destroy();
      await closed;
    },
  };
}

/** A server that died a moment ago is still a backend: the next one gets the connection then. Notes which one is tried. */
async function firstThatConnects(ports: readonly number[], arrival: Arrival): Promise<Socket | undefined> {
  for (const port of ports) {
    arrival.port = port;
    const backend = connect({ host: '127.0.0.1', port, allowHalfOpen: true, noDelay: true });
    try {
      await once(backend, 'connect');
      return backend;
    } catch {
      backend.destroy();
    }
  }
  return undefined;
}

function join(client: Socket, backend: Socket, backendPort: number, { latencyInMs, count }: Hooks): Connection {
  const openedAt = performance.now();
  let lastChunkAt = openedAt;
  let lastSpeaker: Speaker | undefined;
  let multiplexed: boolean | undefined;
  let idleAfter: number | undefined;
  let timer: NodeJS.Timeout | undefined;

  const heard = (speaker: Speaker, chunk: Buffer): void => {
    count(speaker, chunk.length);
    if (speaker === 'client') {
      multiplexed ??= chunk.includes(OFFERS_HTTP2);
    }
    lastChunkAt = performance.now();
    lastSpeaker = speaker;
    watchIdle();
  };
  const toServer = startRelay({
    source: client,
    sink: backend,
    latencyInMs,
    onChunk: (chunk) => heard('client', chunk),
  });
  const toClient = startRelay({
    source: backend,
    sink: client,
    latencyInMs,
    onChunk: (chunk) => heard('server', chunk),
  });
  const watchIdle = (): void => {
    clearTimeout(timer);
    if (idleAfter === undefined || lastSpeaker !== 'server') return;
    const now = performance.now();
    const left = Math.max(openedAt + NEW_FOR_IN_MS, lastChunkAt + idleAfter) - now;
    const onItsWay = toServer.pending() || toClient.pending() || client.writableLength > 0;
    if (left > 0 || onItsWay) {
      timer = setTimeout(watchIdle, Math.max(Math.ceil(left), 1));
      return;
    }
    client.end();
    backend.end();
  };
  const destroy = (): void => {
    client.destroy();
    backend.destroy();
  };
  for (const socket of [client, backend]) socket.on('error', destroy);
  client.once('close', () => {
    clearTimeout(timer);
    idleAfter = undefined;
    backend.destroy();
  });
  backend.once('close', () => {
    // What the server said before it closed may still be on its way; the relay ends the client after it.
    if (!toClient.pending()) client.destroySoon();
  });
  return {
    backendPort,
    multiplexed: () => multiplexed ?? false,
    endWhenIdle(idleAfterInMs) {
      const first = idleAfter === undefined;
      idleAfter = idleAfterInMs;
      if (first) watchIdle();
    },
    destroy,
  };
}
