/**
 * The kubelet's own server, for the API server and nobody else: `kubectl exec`.
 *
 * Needs: credentials of the cluster, read again for each connection: `az aks rotate-certs` changes them.
 * Does: takes connections with a client certificate of the cluster's authority, and WebSocket requests to
 *       `/exec/{namespace}/{pod}/{container}`.
 * Never does: SPDY, with which kubectl before 1.31 asks; terminals; logs, attach or port forwarding.
 */
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import type { ApiCredentials } from '../api-client';
import type { RunningContainer } from './container';
import { PROTOCOLS, runExec, type ExecRequest } from './exec';

/** What the server is made from. */
export interface KubeletServerOptions {
  /** Nobody can connect while there are none. */
  readonly credentials: () => ApiCredentials | undefined;
  /** A container of the node that runs. */
  readonly find: (namespace: string, pod: string, container: string) => RunningContainer | undefined;
}

/** A listening kubelet. */
export interface KubeletServer {
  readonly port: number;
  close(): Promise<void>;
}

/** Starts it on a free port of 127.0.0.1. */
export async function startKubeletServer({ credentials, find }: KubeletServerOptions): Promise<KubeletServer> {
  const server = createServer({ requestCert: true, rejectUnauthorized: true });
  const sockets = new WebSocketServer({
    noServer: true,
    handleProtocols: (offered) => PROTOCOLS.find((protocol) => offered.has(protocol)) ?? false,
  });
  // Before the server's own listener, which begins TLS with what it knows then.
  server.prependListener('connection', () => {
    const current = credentials();
    if (current !== undefined) {
      server.setSecureContext({ ca: current.caPem, cert: current.certPem, key: current.keyPem });
    }
  });
  server.on('request', (_, response) =>
    response.writeHead(404).end("The sandbox's node serves exec, and nothing else.\n"),
  );
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => socket.destroy());
    const asked = readRequest(request.url ?? '/');
    const container = asked && find(asked.namespace, asked.pod, asked.container);
    if (asked === undefined) refuse(socket, 404, "The sandbox's node serves exec, and nothing else.");
    else if (container === undefined) refuse(socket, 500, `container not found ("${asked.container}")`);
    else if (asked.tty) refuse(socket, 400, "The sandbox's node has no terminals: leave out -t.");
    else if (request.headers.upgrade?.toLowerCase() !== 'websocket') {
      refuse(socket, 400, "The sandbox's node speaks WebSocket, and not SPDY: use kubectl 1.31 or later.");
    } else sockets.handleUpgrade(request, socket, head, (open) => void runExec(open, container, asked));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      const closed = once(server, 'close');
      for (const open of sockets.clients) open.terminate();
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

interface Asked extends ExecRequest {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
  readonly tty: boolean;
}

/** What an API server asks a kubelet for (PodExecOptions). */
function readRequest(url: string): Asked | undefined {
  const { pathname, searchParams } = new URL(url, 'https://kubelet');
  const [, exec, namespace = '', pod = '', container = ''] = pathname.split('/').map(decodeURIComponent);
  if (exec !== 'exec' || container === '') return undefined;
  const on = (name: string): boolean => ['1', 'true'].includes(searchParams.get(name) ?? '');
  const command = searchParams.getAll('command');
  return { namespace, pod, container, command, tty: on('tty'), stdin: on('input') };
}

function refuse(socket: Duplex, status: number, message: string): void {
  const head = [
    `HTTP/1.1 ${status} Refused`,
    'Content-Type: text/plain',
    'Connection: close',
    `Content-Length: ${Buffer.byteLength(message)}`,
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${message}`);
}
