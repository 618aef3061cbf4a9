/** What the tests of sandbox clusters share: a vault of real RSA keys, an empty directory, a client that patches. */
import { constants, generateKeyPairSync, privateDecrypt, publicEncrypt, type KeyObject } from 'node:crypto';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { KubeConfig } from '@kubernetes/client-node';
import { Pool } from 'undici';
import { z } from 'zod';
import type { VaultCrypto } from '../../sandbox/cluster/contract';
import { readSecretRecords, type SecretRecord } from '../../sandbox/cluster/raw-records';

/** A vault in memory: real keys, and a switch to let it refuse one. */
export interface MemoryVault extends VaultCrypto {
  /** Makes a key version and returns its kid. */
  addKey(): string;
  /** From now on every call with this key fails as a vault says it; undefined lets it work again. */
  refuse(kid: string, reason: string | undefined): void;
  /** Calls so far with this key. */
  calls(kid: string): number;
}

/** RSA-OAEP-256 with 2048-bit keys, as an Azure vault does it. */
export function createMemoryVault(): MemoryVault {
  const keys = new Map<string, { publicKey: KeyObject; privateKey: KeyObject; refusal?: string; calls: number }>();
  const keyOf = (kid: string) => {
    const key = keys.get(kid);
    if (key === undefined) throw new Error(`KeyNotFound: ${kid}`);
    key.calls++;
    if (key.refusal !== undefined) throw new Error(key.refusal);
    return key;
  };
  const padding = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' };
  return {
    addKey() {
      const kid = `https://kv-test.vault.azure.net/keys/etcd/${String(keys.size + 1).padStart(32, '0')}`;
      keys.set(kid, { ...generateKeyPairSync('rsa', { modulusLength: 2048 }), calls: 0 });
      return kid;
    },
    refuse(kid, reason) {
      const key = keys.get(kid);
      if (key !== undefined) key.refusal = reason;
    },
    calls: (kid) => keys.get(kid)?.calls ?? 0,
    encrypt: async (kid, plaintext) => publicEncrypt({ key: keyOf(kid).publicKey, ...padding }, plaintext),
    decrypt: async (kid, ciphertext) => privateDecrypt({ key: keyOf(kid).privateKey, ...padding }, ciphertext),
  };
}

/** An empty directory with a short path, so that unix sockets fit. */
export function temporaryDirectory(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'kt-'));
}

/** What the API server answered. */
export interface Answer {
  readonly status: number;
  readonly body: { readonly metadata?: { readonly resourceVersion?: string }; readonly message?: string };
}

/** An identity lease of an API server. */
export interface Lease {
  readonly name: string;
  readonly hostName: string;
  readonly renewedAt: number;
}

/** A client of the cluster's admin. */
export interface AdminClient {
  get(path: string): Promise<Answer>;
  /** The answer as text: metrics and probes are no JSON. */
  text(path: string): Promise<{ readonly status: number; readonly text: string }>;
  createSecret(name: string): Promise<Answer>;
  /** Makes any object, or what is asked of one. */
  post(path: string, body: unknown): Promise<{ readonly status: number; readonly body: Record<string, unknown> }>;
  /** A merge patch that changes nothing, and that asks for metadata only. */
  touch(name: string): Promise<Answer>;
  /** A merge patch that changes an annotation: a real write, whatever the API server thinks of the record. */
  annotate(name: string, value: string): Promise<Answer>;
  /** Identity leases of kube-apiservers. */
  leases(): Promise<readonly Lease[]>;
  close(): Promise<void>;
}

const SECRETS = '/api/v1/namespaces/default/secrets';
const LEASES =
  '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases?labelSelector=apiserver.kubernetes.io%2Fidentity%3Dkube-apiserver';
const leaseList = z.object({
  items: z.array(
    z.object({
      metadata: z.object({ name: z.string(), labels: z.object({ 'kubernetes.io/hostname': z.string() }) }),
      spec: z.object({ renewTime: z.string() }),
    }),
  ),
});

/** The path of a Secret in the namespace `default`. */
export const secretPath = (name: string): string => `${SECRETS}/${name}`;

/** How a Secret of the namespace `default` is stored. */
export async function recordOf(etcdUrl: string, name: string): Promise<SecretRecord | undefined> {
  for await (const record of readSecretRecords(etcdUrl)) {
    if (record.namespace === 'default' && record.name === name) return record;
  }
  return undefined;
}

/** Waits for something to hold, looking again and again. @throws Error when it does not hold in time */
export async function eventually(holds: () => boolean | Promise<boolean>, withinInMs = 30_000): Promise<void> {
  const giveUpAt = performance.now() + withinInMs;
  while (!(await holds())) {
    if (performance.now() > giveUpAt)
      throw new Error(`It did not hold within ${withinInMs / 1000} s: ${holds.toString()}`);
    await sleep(50);
  }
}

const MERGE_PATCH = {
  'content-type': 'application/merge-patch+json',
  accept: 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1',
};

/** How to call. */
export interface ClientOptions {
  /** Without the admin's certificate. */
  readonly anonymous?: boolean;
  /** A bearer token, for calls without the certificate. */
  readonly token?: string;
  /** A new connection for each call. */
  readonly freshConnections?: boolean;
}

export function adminClient(kubeconfig: string, options: ClientOptions = {}): AdminClient {
  const { server, tls } = accessOf(kubeconfig);
  const pool = new Pool(server, { connections: 4, connect: options.anonymous === true ? { ca: tls.ca } : tls });
  const call = async (
    method: 'GET' | 'POST' | 'PATCH',
    path: string,
    headers: Record<string, string>,
    body?: unknown,
  ) => {
    const response = await pool.request({
      method,
      path,
      headers: options.token === undefined ? headers : { ...headers, authorization: `Bearer ${options.token}` },
      reset: options.freshConnections,
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    return { status: response.statusCode, text: await response.body.text() };
  };
  const json = async (answer: Promise<{ status: number; text: string }>): Promise<Answer> => {
    const { status, text } = await answer;
    return { status, body: JSON.parse(text) as Answer['body'] };
  };
  return {
    get: (path) => json(call('GET', path, {})),
    text: (path) => call('GET', path, {}),
    createSecret: (name) =>
      json(
        call(
          'POST',
          SECRETS,
          { 'content-type': 'application/json' },
          { apiVersion: 'v1', kind: 'Secret', metadata: { name }, stringData: { password: `value of ${name}` } },
        ),
      ),
    async post(path, body) {
      const { status, text } = await call('POST', path, { 'content-type': 'application/json' }, body);
      return { status, body: JSON.parse(text) as Record<string, unknown> };
    },
    touch: (name) => json(call('PATCH', secretPath(name), MERGE_PATCH, {})),
    annotate: (name, value) =>
      json(call('PATCH', secretPath(name), MERGE_PATCH, { metadata: { annotations: { test: value } } })),
    async leases() {
      const { items } = leaseList.parse(JSON.parse((await call('GET', LEASES, {})).text));
      return items.map(({ metadata, spec }) => ({
        name: metadata.name,
        hostName: metadata.labels['kubernetes.io/hostname'],
        renewedAt: Date.parse(spec.renewTime),
      }));
    },
    close: () => pool.destroy(),
  };
}

/** What a poller saw. */
export interface Polled {
  readonly answers: number;
  readonly failures: readonly string[];
}

/** Asks for a path again and again, with a new connection each time, until a change is done; the change must succeed. */
export async function pollWhile(change: Promise<void>, kubeconfig: string, path: string): Promise<Polled> {
  const client = adminClient(kubeconfig, { freshConnections: true });
  const failures: string[] = [];
  let answers = 0;
  let done = false;
  const changed = change.finally(() => {
    done = true;
  });
  const poll = async (): Promise<void> => {
    while (!done) {
      await client.get(path).then(
        ({ status, body }) => {
          answers++;
          if (status !== 200) failures.push(`${status} ${body.message}`);
        },
        (error: unknown) => failures.push(String(error)),
      );
      await sleep(10);
    }
  };
  await Promise.all([changed, poll(), poll()]);
  await client.close();
  return { answers, failures };
}

/** Address and TLS material of a kubeconfig. */
export function accessOf(kubeconfig: string): { server: string; tls: { ca: string; cert: string; key: string } } {
  const config = new KubeConfig();
  config.loadFromString(kubeconfig);
  const pem = (data: string | undefined): string => Buffer.from(data ?? '', 'base64').toString();
  const cluster = config.getCurrentCluster();
  const user = config.getCurrentUser();
  return {
    server: cluster?.server ?? '',
    tls: { ca: pem(cluster?.caData), cert: pem(user?.certData), key: pem(user?.keyData) },
  };
}
