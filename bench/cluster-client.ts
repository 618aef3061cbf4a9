/** A small client of the measured cluster's API server, for what is around the measurements: targets, and a neighbour's account. */
import { KubeConfig } from '@kubernetes/client-node';
import { readFileSync } from 'node:fs';
import { Client } from 'undici';

const ANSWER_TIMEOUT_IN_MS = 65_000;

/** Where an API server is, whom to trust, and who calls. PEM. */
export interface ClusterAccess {
  readonly server: string;
  readonly ca: string;
  readonly cert?: string;
  readonly key?: string;
  readonly token?: string;
}

/** A request; `accept` and `contentType` are JSON when absent. */
export interface ClusterRequest {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly accept?: string;
  readonly body?: unknown;
}

/** Calls over one kept connection, one after the other. */
export interface ClusterClient {
  /** @returns the parsed body of a 2xx answer @throws Error for every other answer, and for none */
  request(request: ClusterRequest): Promise<unknown>;
  close(): Promise<void>;
}

/** Reads the current context of a kubeconfig. @throws Error when something is not embedded in it */
export function readAccess(kubeconfigFile: string): ClusterAccess {
  const config = new KubeConfig();
  config.loadFromString(readFileSync(kubeconfigFile, 'utf8'));
  const cluster = config.getCurrentCluster();
  const user = config.getCurrentUser();
  const ca = pem(cluster?.caData);
  if (!cluster || !user || ca === undefined) throw new Error(`${kubeconfigFile} names no cluster with an authority.`);
  return { server: cluster.server, ca, cert: pem(user.certData), key: pem(user.keyData), token: user.token };
}

/** Connects at the first request. */
export function connectCluster({ server, ca, cert, key, token }: ClusterAccess): ClusterClient {
  const client = new Client(server, {
    headersTimeout: ANSWER_TIMEOUT_IN_MS,
    bodyTimeout: ANSWER_TIMEOUT_IN_MS,
    connect: { ca, cert, key },
  });
  return {
    async request({ method, path, accept = 'application/json', body }) {
      const answer = await client.request({
        method,
        path,
        headers: {
          accept,
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await answer.body.text();
      if (answer.statusCode >= 200 && answer.statusCode <= 299) return JSON.parse(text) as unknown;
      throw new Error(`${method} ${path} was answered with ${answer.statusCode}: ${text}`);
    },
    close: () => client.destroy(),
  };
}

function pem(base64: string | undefined): string | undefined {
  return base64 ? Buffer.from(base64, 'base64').toString('utf8') : undefined;
}
