/**
 * The way into clusters: admin kubeconfigs from ARM, kept in memory for a few minutes, also when nobody asks again.
 *
 * Does: gives work a connection that follows the cluster: when its certificates or credentials are rotated in the middle of
 *       hours of work, Keyturn asks ARM for the kubeconfig again and repeats the request.
 * Never does: write a kubeconfig anywhere, or log it.
 */
import { AzureError } from '../azure/errors';
import type { ManagedClusters } from '../azure/managed-clusters';
import { digestOf } from '../domain/canonical';
import { clusterLockId } from '../domain/resource-ids';
import { connectKubernetes, type KubeConnection, type KubeRequest } from './kubernetes/connection';
import { KubeError } from './kubernetes/errors';
import { parseKubeconfig } from './kubernetes/kubeconfig';

const KEPT_FOR_IN_MS = 5 * 60_000;
/** Keyturn asks ARM no more often than this for one cluster, however many requests fail. */
const ASKED_EVERY_IN_MS = 10_000;
/**
 * Codes of Node, OpenSSL and the resolver that end a connection before any request is sent, and that another kubeconfig can
 * fix: a certificate that our authority did not sign, one of ours that the server does not accept, a host that does not exist.
 */
const STALE_CODES = /CERT|SELF_SIGNED|UNABLE_TO_|^ERR_(?:SSL|TLS)_|^ENOTFOUND$/;

/** Connections by cluster. */
export interface ClusterConnections {
  /**
   * Runs work with a connection that is closed afterwards.
   * @throws ArmError, TokenError when ARM gives no kubeconfig; every error of the work
   */
  use<T>(cluster: string, signal: AbortSignal, work: (connection: KubeConnection) => Promise<T>): Promise<T>;
  /**
   * Names the API server of the cluster, by its address and its authority, as ARM gave them: a cluster that was made anew under the same
   * resource id has another name.
   * @throws ArmError, TokenError when ARM gives no kubeconfig
   */
  serverOf(cluster: string, signal: AbortSignal): Promise<string>;
  /** Clusters of which something is in memory. */
  readonly known: number;
}

/** How often ARM may be asked for kubeconfigs. */
export interface KubeconfigLimits {
  readonly keptForInMs: number;
  readonly askedEveryInMs: number;
}

/** What ARM gave, when, and the request to ARM that is under way. */
interface Known {
  kubeconfig?: string;
  askedAt: number;
  asking?: Promise<string>;
  forgotten?: NodeJS.Timeout;
}

/** @param connections requests that may be under way to one cluster at the same time, for each piece of work */
export function createClusterConnections(
  clusters: Pick<ManagedClusters, 'adminKubeconfig'>,
  connections: number,
  limits: KubeconfigLimits = { keptForInMs: KEPT_FOR_IN_MS, askedEveryInMs: ASKED_EVERY_IN_MS },
): ClusterConnections {
  const byCluster = new Map<string, Known>();

  /** A kubeconfig is the key to a whole cluster: it does not stay in memory longer than it is of use. */
  const forget = (id: string, known: Known): void => {
    clearTimeout(known.forgotten);
    if (byCluster.get(id) === known) byCluster.delete(id);
    known.kubeconfig = undefined;
  };

  /** @param stale the kubeconfig that does not work any more */
  const kubeconfigOf = async (cluster: string, signal: AbortSignal, stale?: string): Promise<string> => {
    const id = clusterLockId(cluster);
    const known: Known = byCluster.get(id) ?? { askedAt: 0 };
    byCluster.set(id, known);
    const { kubeconfig } = known;
    const age = Date.now() - known.askedAt;
    const isFresh = age < (kubeconfig === stale ? limits.askedEveryInMs : limits.keptForInMs);
    if (kubeconfig !== undefined && isFresh) return kubeconfig;
    // One request to ARM for all callers. If the caller that sent it is aborted, the others get a failure and retry.
    known.asking ??= clusters
      .adminKubeconfig(cluster, { abortSignal: signal })
      .then((given) => {
        known.askedAt = Date.now();
        clearTimeout(known.forgotten);
        known.forgotten = setTimeout(() => forget(id, known), limits.keptForInMs).unref();
        return (known.kubeconfig = given);
      })
      .finally(() => {
        known.asking = undefined;
        // Nothing is known of a cluster that does not exist, or that Keyturn may not enter.
        if (known.kubeconfig === undefined) forget(id, known);
      });
    return await known.asking;
  };

  return {
    get known() {
      return byCluster.size;
    },
    async use(cluster, signal, work) {
      const connection = followingConnection(
        await kubeconfigOf(cluster, signal),
        (kubeconfig) => connectKubernetes(kubeconfig, connections),
        (stale) => kubeconfigOf(cluster, signal, stale),
      );
      try {
        return await work(connection);
      } catch (error) {
        // The address may be an old one too: the next caller asks ARM again.
        if (error instanceof KubeError && error.status === undefined) {
          const id = clusterLockId(cluster);
          const known = byCluster.get(id);
          if (known !== undefined) forget(id, known);
        }
        throw error;
      } finally {
        await connection.close();
      }
    },

    async serverOf(cluster, signal) {
      const { server, ca } = parseKubeconfig(await kubeconfigOf(cluster, signal));
      return digestOf({ server, ca });
    },
  };
}

/**
 * A connection that goes on with another kubeconfig when its own does not work any more.
 * @param renew asks for another kubeconfig; the same one again means that there is no other
 */
function followingConnection(
  first: string,
  connect: (kubeconfig: string) => KubeConnection,
  renew: (stale: string) => Promise<string>,
): KubeConnection {
  let current = { kubeconfig: first, connection: connect(first) };
  /** Closed at the end only: requests may still be under way over them. */
  const earlier: KubeConnection[] = [];

  const renewed = async (stale: string, failure: KubeError): Promise<string> => {
    try {
      return await renew(stale);
    } catch (error) {
      // Callers that retry requests go on doing so while ARM does not answer.
      throw error instanceof AzureError && error.retryable && failure.transient ? failure : error;
    }
  };

  const following = async <T>(send: (connection: KubeConnection) => Promise<T>): Promise<T> => {
    const used = current;
    try {
      return await send(used.connection);
    } catch (error) {
      if (!isStale(error)) throw error;
      const kubeconfig = used === current ? await renewed(used.kubeconfig, error) : current.kubeconfig;
      if (kubeconfig === used.kubeconfig) throw error;
      if (kubeconfig !== current.kubeconfig) {
        earlier.push(current.connection);
        current = { kubeconfig, connection: connect(kubeconfig) };
      }
      // The first request had no effect: it did not get past the handshake, or past authentication.
      return await send(current.connection);
    }
  };

  const requestText = (request: KubeRequest): Promise<string> =>
    following((connection) => connection.requestText(request));

  return {
    get server() {
      return current.connection.server;
    },
    requestText,
    requestDated: (request) => following((connection) => connection.requestDated(request)),
    health: (path, signal) => following((connection) => connection.health(path, signal)),
    request: async (request) => JSON.parse(await requestText(request)) as unknown,
    close: async () => {
      await Promise.all([...earlier, current.connection].map((connection) => connection.close()));
    },
  };
}

function isStale(error: unknown): error is KubeError {
  return error instanceof KubeError && isStaleFault(error);
}

function isStaleFault(error: KubeError): boolean {
  return error.status === 401 || (error.status === undefined && STALE_CODES.test(error.reason));
}
