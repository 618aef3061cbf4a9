/**
 * A client of the cluster's API for its node: objects in, objects out, and watches.
 *
 * Needs: the admin's kubeconfig, read again for each call: certificates rotate.
 * Does: get, create, replace, patch, delete, list and watch.
 * Never does: retry, or cache.
 */
import { loadYaml } from '@kubernetes/client-node';
import { Pool } from 'undici';
import { z } from 'zod';
import { AKS_AGENT } from '../contract';
import { isJsonObject, type JsonObject } from './json';

const ANSWER_TIMEOUT_IN_MS = 30_000;
const CONNECT_TIMEOUT_IN_MS = 5_000;

/** An answer of the API server that is an error. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

/** One change that a watch reports. */
export interface WatchEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly object: JsonObject;
}

/** Calls as cluster-admin. Every call throws `ApiError` when the API server refuses. */
export interface KubeClient {
  get(path: string): Promise<JsonObject>;
  /** The object, or undefined when there is none. */
  find(path: string): Promise<JsonObject | undefined>;
  create(path: string, object: object): Promise<JsonObject>;
  replace(path: string, object: object): Promise<JsonObject>;
  /** JSON merge patch. */
  patch(path: string, change: object): Promise<JsonObject>;
  /** True when it was there. */
  delete(path: string, options?: object): Promise<boolean>;
  /** Reports each change from a resource version on, until the signal or the server ends it. */
  watch(
    path: string,
    resourceVersion: string,
    onEvent: (event: WatchEvent) => void,
    signal: AbortSignal,
  ): Promise<void>;
  close(): Promise<void>;
}

const kubeconfigSchema = z.object({
  clusters: z.tuple([
    z.object({ cluster: z.object({ server: z.string(), 'certificate-authority-data': z.string() }) }),
  ]),
  users: z.tuple([
    z.object({ user: z.object({ 'client-certificate-data': z.string(), 'client-key-data': z.string() }) }),
  ]),
});

/** @param source its kubeconfig may change; connections follow */
export function createKubeClient(source: { readonly adminKubeconfig: string }): KubeClient {
  let known: { readonly kubeconfig: string; readonly pool: Pool } | undefined;
  const poolOf = (): Pool => {
    const kubeconfig = source.adminKubeconfig;
    if (known?.kubeconfig === kubeconfig) return known.pool;
    void known?.pool.destroy();
    known = { kubeconfig, pool: openPool(kubeconfig) };
    return known.pool;
  };
  const call = async (method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE', path: string, body?: object) => {
    const response = await poolOf().request({
      method,
      path,
      headersTimeout: ANSWER_TIMEOUT_IN_MS,
      bodyTimeout: ANSWER_TIMEOUT_IN_MS,
      headers: {
        'user-agent': AKS_AGENT,
        'content-type': method === 'PATCH' ? 'application/merge-patch+json' : 'application/json',
      },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const answer = objectIn(await response.body.text());
    if (response.statusCode >= 400) {
      throw new ApiError(
        response.statusCode,
        typeof answer['message'] === 'string' ? answer['message'] : `${method} ${path}: ${response.statusCode}`,
      );
    }
    return answer;
  };
  const unlessMissing = async <T>(task: Promise<T>): Promise<T | undefined> => {
    try {
      return await task;
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return undefined;
      throw error;
    }
  };
  return {
    get: (path) => call('GET', path),
    find: (path) => unlessMissing(call('GET', path)),
    create: (path, object) => call('POST', path, object),
    replace: (path, object) => call('PUT', path, object),
    patch: (path, change) => call('PATCH', path, change),
    delete: async (path, options) => (await unlessMissing(call('DELETE', path, options))) !== undefined,
    async watch(path, resourceVersion, onEvent, signal) {
      const query = `${path.includes('?') ? '&' : '?'}watch=1&allowWatchBookmarks=true&resourceVersion=${resourceVersion}`;
      const { statusCode, body } = await poolOf().request({
        method: 'GET',
        path: path + query,
        headersTimeout: ANSWER_TIMEOUT_IN_MS,
        bodyTimeout: 0,
        signal,
      });
      if (statusCode >= 400) throw new ApiError(statusCode, await body.text());
      let rest = '';
      for await (const chunk of body.setEncoding('utf8')) {
        const lines = (rest + String(chunk)).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) onEvent(JSON.parse(line) as WatchEvent);
      }
    },
    close: async () => known?.pool.destroy(),
  };
}

function openPool(kubeconfig: string): Pool {
  const { clusters, users } = kubeconfigSchema.parse(loadYaml(kubeconfig));
  const [{ cluster }, { user }] = [clusters[0], users[0]];
  const pem = (data: string): string => Buffer.from(data, 'base64').toString();
  return new Pool(cluster.server, {
    connections: 8,
    pipelining: 1,
    connect: {
      ca: pem(cluster['certificate-authority-data']),
      cert: pem(user['client-certificate-data']),
      key: pem(user['client-key-data']),
      timeout: CONNECT_TIMEOUT_IN_MS,
    },
  });
}

function objectIn(text: string): JsonObject {
  try {
    const parsed: unknown = JSON.parse(text);
    return isJsonObject(parsed) ? parsed : {};
  } catch {
    return { message: text };
  }
}
