/** How large the cluster's etcd is, as its API server shows it. */
import type { KubeConnection } from './connection';
import { labelledSamples } from './metrics';
import { unlessRefused } from './servers';

/** The size of the database file, by Kubernetes version: from 1.28, in 1.27, up to 1.26 (Kubernetes metrics reference). */
const SIZES = [
  'apiserver_storage_size_bytes',
  'apiserver_storage_db_total_size_in_bytes',
  'etcd_db_total_size_in_bytes',
] as const;

/** @returns bytes of the largest member's database; undefined when the API server does not show it. @throws KubeError of a transient kind */
export async function storageSize(connection: KubeConnection, signal?: AbortSignal): Promise<number | undefined> {
  const text = await unlessRefused(() =>
    connection.requestText({ method: 'GET', path: '/metrics', accept: 'text/plain', signal }),
  );
  return text === undefined ? undefined : storageSizeOf(text);
}

/** Reads it from `/metrics`. */
export function storageSizeOf(text: string): number | undefined {
  const sizes = SIZES.flatMap((metric) => labelledSamples(text, metric)).map(({ value }) => value);
  const known = sizes.filter((size) => Number.isFinite(size) && size > 0);
  return known.length === 0 ? undefined : Math.max(...known);
}
