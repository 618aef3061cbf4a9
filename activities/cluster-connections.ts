/**
 * The way into clusters: admin kubeconfigs from ARM, kept in memory for a few minutes.
 *
 * Never does: write a kubeconfig anywhere, or log it.
 */
import type { ManagedClusters } from '../azure/managed-clusters';
import { clusterLockId } from '../domain/resource-ids';
import { connectKubernetes, type KubeConnection } from './kubernetes/connection';
import { KubeError } from './kubernetes/errors';

const KEPT_FOR_IN_MS = 5 * 60_000;

/** Connections by cluster. */
export interface ClusterConnections {
  /**
   * Runs work with a connection that is closed afterwards. When the cluster does not take the credentials any more, they
   * are asked for anew and the work runs once more: it must be idempotent.
   * @throws ArmError, TokenError when ARM gives no kubeconfig; whatever the work throws
   */
  use<T>(cluster: string, signal: AbortSignal, work: (connection: KubeConnection) => Promise<T>): Promise<T>;
}

/** @param connections requests that may be under way to one cluster at the same time, for each piece of work */
export function createClusterConnections(
  clusters: Pick<ManagedClusters, 'adminKubeconfig'>,
  connections: number,
): ClusterConnections {
  const kept = new Map<string, { readonly kubeconfig: string; readonly until: number }>();

  const kubeconfigOf = async (cluster: string, signal: AbortSignal): Promise<string> => {
    const id = clusterLockId(cluster);
    const known = kept.get(id);
    if (known !== undefined && known.until > Date.now()) return known.kubeconfig;
    const kubeconfig = await clusters.adminKubeconfig(cluster, { abortSignal: signal });
    kept.set(id, { kubeconfig, until: Date.now() + KEPT_FOR_IN_MS });
    return kubeconfig;
  };
  const runOnce = async <T>(
    cluster: string,
    signal: AbortSignal,
    work: (connection: KubeConnection) => Promise<T>,
  ): Promise<T> => {
    const connection = connectKubernetes(await kubeconfigOf(cluster, signal), connections);
    try {
      return await work(connection);
    } finally {
      await connection.close();
    }
  };

  return {
    async use(cluster, signal, work) {
      try {
        return await runOnce(cluster, signal, work);
      } catch (error) {
        if (!(error instanceof KubeError)) throw error;
        // The address or the credentials may be old ones.
        kept.delete(clusterLockId(cluster));
        if (error.status !== 401) throw error;
        return await runOnce(cluster, signal, work);
      }
    },
  };
}
