/**
 * The way in: an HTTP CONNECT proxy that ends TLS itself for Azure's host names (facts 5.4).
 *
 * Needs: the private authority, and the handler of the requests inside the tunnels.
 * Does: makes a leaf certificate for each host when a client first asks for it by SNI.
 *       A vault that does not exist has no DNS name: the refusal says so as RFC 9209 has proxies say it.
 * Never does: connect to anything. A host that is not the sandbox's gets 502 and a sentence.
 */
import { createServer, type RequestListener } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { createSecureContext, type SecureContext } from 'node:tls';
import type { Authority } from '../pki';
import { SERVICE_NOW_HOST } from '../servicenow/servicenow';
import { comesFromNodes } from './caller';
import { CLOUDS, hostRole } from './clouds';

/** `no-name`: a vault that was never made, or was deleted, has no DNS name. `down`: it has one, and takes no connection. */
export type VaultHost = 'up' | 'down' | 'no-name';

/** What a proxy is made from. */
export interface ProxyOptions {
  readonly authority: Authority;
  /** Handles the requests of every host. */
  readonly handler: RequestListener;
  /** How a vault host stands now. */
  readonly vaultHost: (host: string) => VaultHost;
}

/** A running proxy. */
export interface Proxy {
  /** `http://127.0.0.1:PORT`: the value for HTTPS_PROXY. */
  readonly url: string;
  /** The value for the nodes of a cluster: vaults know by it which network asks. @param clusterId ARM id */
  urlForNodes(this: void, clusterId: string): Promise<string>;
  close(): Promise<void>;
}

/** Starts the proxy on a free port of 127.0.0.1; nodes get ports of their own. */
export async function startProxy({ authority, handler, vaultHost }: ProxyOptions): Promise<Proxy> {
  const contexts = new Map<string, Promise<SecureContext>>();
  const contextFor = (host: string): Promise<SecureContext> => {
    const known = contexts.get(host);
    if (known !== undefined) return known;
    const made = authority
      .issue({ commonName: host, dnsNames: [host], usage: 'server' })
      .then(({ certPem, keyPem }) => createSecureContext({ cert: certPem + authority.certPem, key: keyPem }));
    contexts.set(host, made);
    return made;
  };

  const open = (listener: RequestListener): Promise<Door> => openDoor(listener, contextFor, vaultHost);
  const front = await open(handler);
  const ofNodes = new Map<string, Promise<Door>>();
  return {
    url: front.url,
    async urlForNodes(clusterId) {
      const key = clusterId.toLowerCase();
      const known = ofNodes.get(key);
      const door =
        known ??
        open((request, response) => {
          comesFromNodes(request, clusterId);
          handler(request, response);
        });
      ofNodes.set(key, door);
      return (await door).url;
    },
    async close() {
      await front.close();
      for (const door of ofNodes.values()) await (await door).close();
    },
  };
}

/** A port that takes tunnels. */
interface Door {
  readonly url: string;
  close(): Promise<void>;
}

async function openDoor(
  handler: RequestListener,
  contextFor: (host: string) => Promise<SecureContext>,
  vaultHost: ProxyOptions['vaultHost'],
): Promise<Door> {
  // Never listens: tunnels are handed to it as connections.
  const inside = createHttpsServer(
    {
      SNICallback: (host, done) => {
        if (!isServed(host)) done(new Error(`The sandbox does not serve ${host}.`));
        else contextFor(host.toLowerCase()).then((context) => done(null, context), done);
      },
    },
    handler,
  );
  inside.on('tlsClientError', () => undefined); // The client knows; it has closed or will.

  const outside = createServer((request, response) => {
    response.writeHead(502, { 'Content-Type': 'text/plain' });
    response.end(notServed(request.headers.host ?? 'this host'));
  });
  const sockets = new Set<Duplex>();
  outside.on('connection', (socket: Duplex) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  outside.on('connect', (request, socket: Duplex, head: Buffer) => {
    socket.on('error', () => socket.destroy());
    const refusal = refusalFor(request.url ?? '', vaultHost);
    if (refusal !== undefined) {
      socket.end(
        `HTTP/1.1 502 Bad Gateway\r\nProxy-Status: ${refusal.status}\r\nContent-Type: text/plain\r\nContent-Length: ${Buffer.byteLength(refusal.text)}\r\nConnection: close\r\n\r\n${refusal.text}`,
      );
      return;
    }
    socket.write('HTTP/1.1 200 Connection Established\r\n\r\n');
    if (head.length > 0) socket.unshift(head);
    inside.emit('connection', socket);
  });

  outside.listen(0, '127.0.0.1');
  await once(outside, 'listening');
  const { port } = outside.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    async close() {
      const closed = once(outside, 'close');
      outside.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** A refused tunnel. */
interface Refusal {
  /** The header `Proxy-Status` (RFC 9209). */
  readonly status: string;
  readonly text: string;
}

/** Why a tunnel to `host:port` is refused; undefined when it is not. */
function refusalFor(authority: string, vaultHost: ProxyOptions['vaultHost']): Refusal | undefined {
  const [host = '', port] = authority.split(':');
  const role = hostRole(host);
  if (!isServed(host) || port !== '443')
    return { status: 'keyturn-sandbox; error=http_request_denied', text: notServed(authority) };
  const vault = role?.kind === 'vault' ? vaultHost(host) : 'up';
  if (vault === 'down') {
    return {
      status: 'keyturn-sandbox; error=connection_refused',
      text: `connect ECONNREFUSED ${host}:443: the fault \`vault-outage\` is on.\n`,
    };
  }
  if (vault === 'no-name') {
    const text = `getaddrinfo ENOTFOUND ${host}: there is no vault of this name in the sandbox. It was never created, or it was deleted (a deleted vault loses its DNS name; it can be recovered).\n`;
    return { status: 'keyturn-sandbox; error=dns_error; rcode="NXDOMAIN"', text };
  }
  return undefined;
}

function isServed(host: string): boolean {
  return hostRole(host) !== undefined || host.toLowerCase() === SERVICE_NOW_HOST;
}

function notServed(host: string): string {
  const azure = CLOUDS.flatMap((cloud) => [
    cloud.armHost,
    cloud.loginHost,
    cloud.graphHost,
    `*.${cloud.vaultSuffix}`,
    `*.${cloud.issuerSuffix}`,
    `*.${cloud.blobSuffix}`,
  ]);
  const served = [...azure, SERVICE_NOW_HOST].join(', ');
  return `The Keyturn sandbox does not connect to ${host}. It serves ${served}, over https on port 443, and nothing else. Exclude other hosts from the proxy: NO_PROXY=127.0.0.1,localhost,${host.split(':')[0] ?? ''}\n`;
}
