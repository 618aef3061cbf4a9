/**
 * Requests to one cluster's API servers.
 *
 * Needs: a kubeconfig that contains everything.
 * Does: sends single requests, over a pool of kept connections for speed, or over a new connection where it matters that any of
 *       the servers behind the address may answer.
 * Never does: retry, use a proxy of the environment (undici has none by default), or log a body.
 */
import { createSecureContext } from 'node:tls';
import { buildConnector, Client, Pool, type Dispatcher } from 'undici';
import { parseRetryAfter } from '../../azure/errors';
import { KubeError, kubeErrorFrom, parseAnswer } from './errors';
import { exchange, type WholeAnswer } from './exchange';
import { parseKubeconfig } from './kubeconfig';

const CONNECT_TIMEOUT_IN_MS = 10_000;
/** An API server ends a request itself after 60 s. */
const ANSWER_TIMEOUT_IN_MS = 65_000;

/** One request. */
export interface KubeRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** With its leading slash and its query. */
  readonly path: string;
  /** `application/json` when absent. */
  readonly accept?: string;
  /** Sent as JSON when given. */
  readonly body?: unknown;
  /** `application/json` when absent. */
  readonly contentType?: string;
  readonly signal?: AbortSignal;
  /** Use a new TCP connection, closed afterwards: a load balancer may choose another server for each. */
  readonly fresh?: boolean;
}

/** What a server answered, and when. */
export interface DatedText {
  readonly text: string;
  /** By the clock of the server, in ms since 1970, to the second; undefined when it does not say. */
  readonly at: number | undefined;
}

/** Requests to one cluster. */
export interface KubeConnection {
  /** The address, for messages. */
  readonly server: string;
  /**
   * @returns the text of a 2xx answer
   * @throws KubeError for every other answer and for none, in words of our own; the signal's reason when it was aborted
   */
  requestText(request: KubeRequest): Promise<string>;
  /** `requestText`, with the time of the answer. */
  requestDated(request: KubeRequest): Promise<DatedText>;
  /**
   * What a health check says, well or not, over a new connection. Its text may have words of other programs: read its meaning, and do
   * not keep it.
   * @throws as `requestText`, for no answer and for a refusal (401, 403, 404)
   */
  health(path: string, signal?: AbortSignal): Promise<{ readonly healthy: boolean; readonly text: string }>;
  /** `requestText`, parsed as JSON. */
  request(request: KubeRequest): Promise<unknown>;
  /** Drops all connections, open requests included. */
  close(): Promise<void>;
}

/**
 * @param connections how many requests may be under way over the pool at the same time
 * @throws Error when the kubeconfig cannot be used
 */
export function connectKubernetes(kubeconfig: string, connections: number): KubeConnection {
  const endpoint = parseKubeconfig(kubeconfig);
  const { origin, pathname } = new URL(endpoint.server);
  const base = pathname === '/' ? '' : pathname;
  const options = {
    pipelining: 1,
    headersTimeout: ANSWER_TIMEOUT_IN_MS,
    bodyTimeout: ANSWER_TIMEOUT_IN_MS,
    // One for all connections: a new one need not read the certificates again, and may resume an earlier TLS session.
    connect: buildConnector({
      secureContext: createSecureContext({ ca: endpoint.ca, cert: endpoint.cert, key: endpoint.key }),
      servername: endpoint.serverName,
      timeout: CONNECT_TIMEOUT_IN_MS,
    }),
  };
  const pool = new Pool(origin, { ...options, connections });
  const common = {
    'user-agent': 'keyturn',
    ...(endpoint.token === undefined ? {} : { authorization: `Bearer ${endpoint.token}` }),
  };

  const answerTo = async (dispatcher: Dispatcher, request: KubeRequest): Promise<WholeAnswer> => {
    request.signal?.throwIfAborted();
    try {
      return await exchange(
        dispatcher,
        {
          method: request.method,
          path: `${base}${request.path}`,
          headers: {
            ...common,
            accept: request.accept ?? 'application/json',
            ...(request.body === undefined ? {} : { 'content-type': request.contentType ?? 'application/json' }),
          },
          ...(request.body === undefined ? {} : { body: JSON.stringify(request.body) }),
        },
        request.signal,
      );
    } catch (error) {
      request.signal?.throwIfAborted();
      // The error's message is not kept: a parser of HTTP may quote what it read.
      const { code = '' } = error as NodeJS.ErrnoException;
      throw new KubeError({ reason: code, message: '', server: endpoint.server });
    }
  };
  const send = async (dispatcher: Dispatcher, request: KubeRequest): Promise<DatedText> => {
    const { status, headers, text } = await answerTo(dispatcher, request);
    const retryAfter = headers['retry-after'];
    if (status < 200 || status > 299)
      throw kubeErrorFrom(status, text, parseRetryAfter(Array.isArray(retryAfter) ? retryAfter[0] : retryAfter));
    const at = Date.parse(String(headers.date ?? ''));
    return { text, at: Number.isNaN(at) ? undefined : at };
  };
  const alone = async <T>(work: (dispatcher: Dispatcher) => Promise<T>): Promise<T> => {
    const client = new Client(origin, options);
    try {
      return await work(client);
    } finally {
      await client.destroy();
    }
  };

  const requestDated = (request: KubeRequest): Promise<DatedText> =>
    request.fresh ? alone((client) => send(client, request)) : send(pool, request);
  const requestText = async (request: KubeRequest): Promise<string> => (await requestDated(request)).text;

  return {
    server: endpoint.server,
    requestText,
    requestDated,
    health: (path, signal) =>
      alone(async (client) => {
        const { status, text } = await answerTo(client, { method: 'GET', path, accept: 'text/plain', signal });
        if (status >= 400 && status < 500) throw kubeErrorFrom(status, text, undefined);
        return { healthy: status === 200, text };
      }),
    request: async (request) => parseAnswer(await requestText(request)),
    close: () => pool.destroy(),
  };
}
