/**
 * The API servers of a cluster, as their identity leases and their metrics show them.
 * Source: research note rotation-systems.md 1.4.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { ApiServerLease } from '../../domain/convergence';
import type { KubeConnection } from './connection';
import { KubeError } from './errors';

const LEASES =
  '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases?' +
  new URLSearchParams({ labelSelector: 'apiserver.kubernetes.io/identity=kube-apiserver' }).toString();
/** A server renews its lease every 10 s, and the lease of a dead one stays for an hour: four missed renewals mean gone. */
const LIVE_WITHIN_IN_MS = 40_000;

const LeaseList = z.object({
  items: z.array(
    z.object({
      metadata: z.object({ name: z.string(), labels: z.record(z.string(), z.string()).default({}) }),
      spec: z.object({ holderIdentity: z.string().optional(), renewTime: z.string().optional() }).default({}),
    }),
  ),
});

/**
 * The identity leases of the servers that run now. "Now" is the newest renewal of any of them: our own clock may differ
 * from the control plane's.
 * @throws KubeError
 */
export async function liveLeases(connection: KubeConnection, signal?: AbortSignal): Promise<ApiServerLease[]> {
  const { items } = LeaseList.parse(await connection.request({ method: 'GET', path: LEASES, signal }));
  const renewed = items.map(({ spec }) => Date.parse(spec.renewTime ?? '') || 0);
  const now = Math.max(0, ...renewed);
  return items
    .filter((_, index) => now - (renewed[index] ?? 0) <= LIVE_WITHIN_IN_MS)
    .map(({ metadata, spec }) => ({
      name: metadata.name,
      holder: spec.holderIdentity ?? '',
      host: metadata.labels['kubernetes.io/hostname'],
    }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** @returns undefined when the cluster does not show them to us; that is no fault */
export async function knownLeases(
  connection: KubeConnection,
  signal?: AbortSignal,
): Promise<ApiServerLease[] | undefined> {
  return await unlessRefused(() => liveLeases(connection, signal));
}

/** @returns undefined when the cluster does not show it to us; that is no fault */
export async function unlessRefused<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof KubeError && (error.status === 403 || error.status === 404)) return undefined;
    throw error;
  }
}

/** The `apiserver_id_hash` label of the metrics of the server that holds a lease. */
export function apiServerIdHash(leaseName: string): string {
  return `sha256:${createHash('sha256').update(leaseName).digest('hex')}`;
}

/** What one server's metrics say of its KMS keys. */
export interface KeyMetrics {
  /** `apiserver_id_hash` (since 1.29). */
  readonly serverIdHash: string;
  /** `key_id_hash` that it encrypted with last; undefined when it has encrypted nothing since it started. */
  readonly lastWritten?: string;
  /** Every `key_id_hash` that its plugins reported. */
  readonly reported: ReadonlySet<string>;
  /** Records that it stored through a transformer since it started, plaintext included. */
  readonly writes: number;
}

const FAMILY = 'apiserver_envelope_encryption_key_id_hash_';
const TRANSFORMATIONS = 'apiserver_storage_transformation_operations_total';
const SAMPLE = /^(\w+)\{([^}]*)\} (\S+)/;
const LABEL = /(\w+)="([^"]*)"/g;

/** Reads the key metrics out of `/metrics`. @returns undefined when the server shows none, or none with its id */
export function parseKeyMetrics(text: string): KeyMetrics | undefined {
  let serverIdHash: string | undefined;
  let lastWritten: { readonly hash: string; readonly at: number } | undefined;
  const reported = new Set<string>();
  let writes = 0;
  for (const line of text.split('\n')) {
    if (!line.startsWith(FAMILY) && !line.startsWith(TRANSFORMATIONS)) continue;
    const [, name = '', labelText = '', value = ''] = SAMPLE.exec(line) ?? [];
    const labels = Object.fromEntries(
      [...labelText.matchAll(LABEL)].map(([, label = '', content = '']) => [label, content]),
    );
    if (name === TRANSFORMATIONS) {
      if (labels.transformation_type === 'to_storage' && labels.status === 'OK') writes += Number(value);
      continue;
    }
    const hash = labels.key_id_hash;
    if (hash === undefined || !labels.apiserver_id_hash) continue;
    serverIdHash = labels.apiserver_id_hash;
    if (name === `${FAMILY}status_last_timestamp_seconds`) reported.add(hash);
    if (name === `${FAMILY}last_timestamp_seconds` && labels.transformation_type === 'to_storage') {
      const at = Number(value);
      if (lastWritten === undefined || at > lastWritten.at) lastWritten = { hash, at };
    }
  }
  return serverIdHash === undefined ? undefined : { serverIdHash, lastWritten: lastWritten?.hash, reported, writes };
}

/** Asks whichever server answers a new connection. @throws KubeError */
export async function readKeyMetrics(
  connection: KubeConnection,
  signal?: AbortSignal,
): Promise<KeyMetrics | undefined> {
  const text = await connection.requestText({
    method: 'GET',
    path: '/metrics',
    accept: 'text/plain',
    fresh: true,
    signal,
  });
  return parseKeyMetrics(text);
}
