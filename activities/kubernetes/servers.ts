/**
 * The API servers of a cluster, as their identity leases and their metrics show them.
 * Source: research note rotation-systems.md 1.4, but for restarts: an API server that starts again within the hour renews the
 * lease of its host as it is, holder and all (component-helpers lease controller, `newLease`); its metrics tell.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { ApiServerLease } from '../../domain/convergence';
import type { KubeConnection } from './connection';
import { KubeError } from './errors';
import { parseSample } from './metrics';

const LEASES = '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases';
/** The label of identity leases: up to 1.26, and from 1.27 on. A selector cannot ask for either. */
const IDENTITY_LABELS = ['k8s.io/component', 'apiserver.kubernetes.io/identity'];
const IDENTITY = 'kube-apiserver';
/** A server renews its lease every 10 s, and the lease of a dead server stays for an hour. After four missed renewals it counts as gone. */
const LIVE_WITHIN_IN_MS = 40_000;

const LeaseList = z.object({
  items: z.array(
    z.object({
      metadata: z.object({ name: z.string(), labels: z.record(z.string(), z.string()).default({}) }),
      spec: z.object({ renewTime: z.string().optional() }).default({}),
    }),
  ),
});

/**
 * The identity leases of the servers that run now. "Now" is the newest renewal of any of them, since our own clock may be
 * ahead of the control plane's. It is never later than our own clock: a client that may write leases could date one in the
 * future and so hide every server. While our clock is behind, Keyturn only waits a little longer for servers that are gone.
 * @throws KubeError
 */
export async function liveLeases(
  connection: KubeConnection,
  signal?: AbortSignal,
  clock: () => number = Date.now,
): Promise<ApiServerLease[]> {
  const list = LeaseList.parse(await connection.request({ method: 'GET', path: LEASES, signal }));
  const items = list.items.filter(({ metadata }) => IDENTITY_LABELS.some((name) => metadata.labels[name] === IDENTITY));
  const renewed = items.map(({ spec }) => Date.parse(spec.renewTime ?? '') || 0);
  const now = Math.min(Math.max(0, ...renewed), clock());
  return items
    .filter((_, index) => now - (renewed[index] ?? 0) <= LIVE_WITHIN_IN_MS)
    .map(({ metadata }) => ({ name: metadata.name, host: metadata.labels['kubernetes.io/hostname'] }))
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

/** What one server's metrics say about its process and its keys. */
export interface ServerMetrics {
  /** Identifies its process; undefined when the metrics do not show when it was started. */
  readonly process?: string;
  /** When its process was started, by its own clock, in ms since 1970. */
  readonly startedAt?: number;
  /** `apiserver_id_hash` (since 1.29). */
  readonly serverIdHash?: string;
  /** `key_id_hash` that it encrypted with last; undefined when it has encrypted nothing since it started. */
  readonly lastWritten?: string;
  /** Every `key_id_hash` that its plugins reported. */
  readonly reported: ReadonlySet<string>;
  /** Records that it stored through a transformer since it started, plaintext included. */
  readonly writes: number;
}

const STARTED = 'process_start_time_seconds ';
const KEYS = 'apiserver_envelope_encryption_key_id_hash_';
const TRANSFORMATIONS = 'apiserver_storage_transformation_operations_total';

/** Reads the needed values from `/metrics`. */
export function parseServerMetrics(text: string): ServerMetrics {
  let startedAt: string | undefined;
  let serverIdHash: string | undefined;
  let lastWritten: { readonly hash: string; readonly at: number } | undefined;
  const reported = new Set<string>();
  let writes = 0;
  for (const line of text.split('\n')) {
    if (line.startsWith(STARTED)) startedAt = line.slice(STARTED.length).trim();
    if (!line.startsWith(KEYS) && !line.startsWith(TRANSFORMATIONS)) continue;
    const sample = parseSample(line);
    if (!sample) continue;
    const { name, labels, value } = sample;
    const toStorage = labels.transformation_type === 'to_storage';
    if (name === TRANSFORMATIONS) {
      if (toStorage && labels.status === 'OK') writes += value;
      continue;
    }
    const { key_id_hash: hash } = labels;
    if (hash === undefined) continue;
    serverIdHash ??= labels.apiserver_id_hash;
    if (name === `${KEYS}status_last_timestamp_seconds`) reported.add(hash);
    if (name === `${KEYS}last_timestamp_seconds` && toStorage) {
      if (lastWritten === undefined || value > lastWritten.at) lastWritten = { hash, at: value };
    }
  }
  return {
    // Servers may be started in the same moment: then the id distinguishes them, where there is one.
    process: startedAt === undefined ? undefined : [startedAt, serverIdHash].filter(Boolean).join(' '),
    startedAt: startedAt === undefined ? undefined : Number(startedAt) * 1_000,
    serverIdHash: serverIdHash === '' ? undefined : serverIdHash,
    lastWritten: lastWritten?.hash,
    reported,
    writes,
  };
}

/** A server's metrics at the time when it gave them. */
export interface ServerLook extends ServerMetrics {
  /** How long its process had been running, in ms, by its own clock; undefined when it does not say. */
  readonly ageInMs?: number;
}

/** Asks one server: the one that answers a new connection. @throws KubeError */
export async function readServerMetrics(connection: KubeConnection, signal?: AbortSignal): Promise<ServerLook> {
  const request = { method: 'GET', path: '/metrics', accept: 'text/plain', fresh: true, signal } as const;
  const { text, at } = await connection.requestDated(request);
  const metrics = parseServerMetrics(text);
  const { startedAt = NaN } = metrics;
  const ageInMs = (at ?? NaN) - startedAt;
  return Number.isNaN(ageInMs) ? metrics : { ...metrics, ageInMs };
}
