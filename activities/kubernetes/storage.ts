/** How large the cluster's etcd is, as its API server shows it. */
import { labelledSamples } from './metrics';

/** The size of the database file, by Kubernetes version: from 1.28, in 1.27, up to 1.26 (Kubernetes metrics reference). */
const SIZES = [
  'apiserver_storage_size_bytes',
  'apiserver_storage_db_total_size_in_bytes',
  'etcd_db_total_size_in_bytes',
] as const;

/** @returns bytes of the largest member's database; undefined when the metrics do not show it. @param metrics text of `/metrics` */
export function storageSizeOf(text: string): number | undefined {
  const sizes = SIZES.flatMap((metric) => labelledSamples(text, metric)).map(({ value }) => value);
  const known = sizes.filter((size) => Number.isFinite(size) && size > 0);
  return known.length === 0 ? undefined : Math.max(...known);
}
