/** A small client of one API server address, for the sandbox's own needs: probes, namespaces, seeding. */
import { Pool } from 'undici';

const CONNECT_TIMEOUT_IN_MS = 5_000;
const ANSWER_TIMEOUT_IN_MS = 30_000;

/** Who calls, and whom to trust; all PEM. */
export interface ApiCredentials {
  readonly caPem: string;
  readonly certPem: string;
  readonly keyPem: string;
}

/** What an API server answered. */
export interface ApiAnswer {
  readonly status: number;
  readonly body: string;
}

/** Calls that share a pool of TLS connections. */
export interface ApiClient {
  /**
   * @param path with its leading slash
   * @param body sent as JSON when given
   * @throws Error of the connection; an HTTP error status is an answer, not an error
   */
  call(method: 'GET' | 'POST' | 'PUT' | 'DELETE', path: string, body?: unknown): Promise<ApiAnswer>;
  /** Drops all connections at once, open calls included. */
  close(): Promise<void>;
}

/** @param connections how many calls may be under way at the same time */
export function createApiClient(server: string, credentials: ApiCredentials, connections = 1): ApiClient {
  const pool = new Pool(server, {
    connections,
    pipelining: 1,
    headersTimeout: ANSWER_TIMEOUT_IN_MS,
    bodyTimeout: ANSWER_TIMEOUT_IN_MS,
    connect: {
      ca: credentials.caPem,
      cert: credentials.certPem,
      key: credentials.keyPem,
      timeout: CONNECT_TIMEOUT_IN_MS,
    },
  });
  return {
    async call(method, path, body) {
      const response = await pool.request({
        method,
        path,
        ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
      });
      return { status: response.statusCode, body: await response.body.text() };
    },
    close: () => pool.destroy(),
  };
}
