/**
 * Which cluster's nodes a request comes from.
 *
 * Does: remembers what the proxy knows of a connection, for the vaults' network rules.
 * Never does: believe what a request says of itself.
 */
import type { IncomingMessage } from 'node:http';

const CLUSTERS = new WeakMap<IncomingMessage, string>();

/** The request comes from the nodes of a cluster. @param clusterId ARM id */
export function comesFromNodes(request: IncomingMessage, clusterId: string): void {
  CLUSTERS.set(request, clusterId);
}

/** ARM id of the cluster whose nodes ask; undefined for every other client. */
export function clusterOf(request: IncomingMessage): string | undefined {
  return CLUSTERS.get(request);
}
