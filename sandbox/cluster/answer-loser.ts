/**
 * A front that ends TLS, to lose answers: a write is carried out, and the connection is cut before its answer.
 *
 * Needs: the files of the layout; the API servers believe its certificate about whom a request is for (`--requestheader-…`, as
 *        kubeadm sets it up for aggregated APIs).
 * Does: passes every request on over a connection of its own, to the servers in turn.
 * Never does: lose an answer that stored nothing, or one to AKS's own node and add-ons; change or keep a body, or stand in the way when no test asks for it.
 */
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { createServer, request as sendRequest } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { z } from 'zod';
import { AKS_AGENT, type LostAnswer } from './contract';
import type { ClusterLayout } from './layout';

/** How to lose answers. */
export interface AnswerLoserOptions {
  readonly layout: ClusterLayout;
  /** Ports of the API servers now. */
  readonly backends: () => readonly number[];
  /** How many answers to writes of one object are lost, for each method. */
  readonly times: number;
  readonly onLost: (lost: LostAnswer) => void;
}

/** A front at work. */
export interface AnswerLoser {
  readonly port: number;
  /** Cuts what is open. */
  close(): Promise<void>;
}

const Stored = z.object({ metadata: z.object({ name: z.string(), resourceVersion: z.string() }) });
/** One object, by its path: only of those is it known what is stored. */
const OBJECT = /^\/(?:api\/v1|apis\/[^/]+\/[^/]+)\/namespaces\/[^/]+\/[^/]+\/[^/]+$/;

/** Starts a front on a free port of 127.0.0.1. */
export async function startAnswerLoser({ layout, backends, times, onLost }: AnswerLoserOptions): Promise<AnswerLoser> {
  const [authority, cert, key, frontCert, frontKey] = await Promise.all(
    [layout.authorityCert, layout.servingCert, layout.servingKey, layout.frontCert, layout.frontKey].map((file) =>
      readFile(file),
    ),
  );
  const losses = new Losses(times);
  let turn = 0;

  const server = createServer(
    { cert, key, ca: authority, requestCert: true, rejectUnauthorized: false },
    (request, response) => {
      const ports = backends();
      const upstream = sendRequest({
        host: '127.0.0.1',
        port: ports[turn++ % ports.length] ?? 0,
        method: request.method,
        path: request.url,
        headers: { ...withoutIdentity(request.headers), ...identityOf(request.socket as TLSSocket) },
        ca: authority,
        cert: frontCert,
        key: frontKey,
        agent: false,
      });
      upstream.on('error', () => request.socket.destroy());
      response.on('close', () => upstream.destroy());
      upstream.on('response', (answer) => void passOn(request, answer, response));
      request.pipe(upstream);
    },
  );
  server.on('tlsClientError', () => undefined);

  const passOn = async (request: IncomingMessage, answer: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { method = 'GET', url = '/' } = request;
    const { pathname, searchParams } = new URL(url, 'https://cluster');
    const status = answer.statusCode ?? 0;
    const stores = method !== 'GET' && !searchParams.has('dryRun');
    if (status >= 300 || (!stores && !OBJECT.test(pathname))) {
      response.writeHead(status, answer.headers);
      answer.pipe(response);
      return;
    }
    const body = await bodyOf(answer);
    if (body === undefined) {
      request.socket.destroy();
    } else if (stores && request.headers['user-agent'] !== AKS_AGENT && losses.takes(method, pathname, body)) {
      onLost({ method, path: pathname, status });
      request.socket.destroy();
    } else {
      if (!stores) losses.seen(pathname, body);
      response.writeHead(status, answer.headers);
      response.end(body);
    }
  };

  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

/** Which answers are lost: those that tell of a new record of an object, so many times for each object and method. */
class Losses {
  readonly #times: number;
  /** The resource version that the last answer about an object had. */
  readonly #versions = new Map<string, string>();
  readonly #lost = new Map<string, number>();

  constructor(times: number) {
    this.#times = times;
  }

  seen(path: string, body: Buffer): void {
    const object = objectOf(body);
    if (object) this.#versions.set(path, object.resourceVersion);
  }

  takes(method: string, path: string, body: Buffer): boolean {
    const object = objectOf(body);
    const of = method === 'POST' && object ? `${path}/${object.name}` : path;
    // A patch that changes nothing is answered with what is stored already.
    if (object && method !== 'DELETE' && this.#versions.get(of) === object.resourceVersion) return false;
    if (object) this.#versions.set(of, object.resourceVersion);
    const lost = this.#lost.get(`${method} ${of}`) ?? 0;
    if (lost >= this.#times) return false;
    this.#lost.set(`${method} ${of}`, lost + 1);
    return true;
  }
}

/** What a client says of itself is not passed on: the API servers would believe it of this front. */
function withoutIdentity(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !name.startsWith('x-remote-')));
}

/** Who asks, by the client certificate, in the headers that API servers believe from this front. */
function identityOf(socket: TLSSocket): Record<string, string | string[]> {
  if (!socket.authorized) return {};
  // Typed as one text each; a certificate with several organizations has a list.
  const { CN, O = [] } = socket.getPeerCertificate().subject as { CN?: string; O?: string | string[] };
  return CN === undefined ? {} : { 'X-Remote-User': CN, 'X-Remote-Group': O };
}

/** @returns undefined when the server broke off */
async function bodyOf(answer: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of answer) chunks.push(chunk as Buffer);
    return Buffer.concat(chunks);
  } catch {
    return undefined;
  }
}

function objectOf(body: Buffer): z.infer<typeof Stored>['metadata'] | undefined {
  try {
    return Stored.safeParse(JSON.parse(body.toString())).data?.metadata;
  } catch {
    return undefined;
  }
}
