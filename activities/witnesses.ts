/** The second witness of convergence: what the metrics of every live API server say of the key that it writes with. */
import type { ApiServerLease } from '../domain/convergence';
import { metricsKeyIdHash } from '../domain/resource-ids';
import type { KubeConnection } from './kubernetes/connection';
import { KubeError } from './kubernetes/errors';
import { apiServerIdHash, liveLeases, readKeyMetrics, type KeyMetrics } from './kubernetes/servers';

/** A load balancer chooses a server for each connection: this many tries per server, and some more, meet all of them. */
const TRIES_PER_SERVER = 8;
const EXTRA_TRIES = 4;

/** What the servers' leases and metrics say together. */
export interface Testimony {
  readonly leases: readonly ApiServerLease[];
  /**
   * `confirmed`: every live server writes with the key, as far as its metrics can tell.
   * `waiting`: not yet; `why` names the servers.
   * `unavailable`: leases or metrics cannot be read here, or have no server id (before 1.29).
   */
  readonly metrics: 'confirmed' | 'waiting' | 'unavailable';
  readonly why: string;
}

/** Asks every live API server. @throws KubeError of a transient kind; the signal's reason */
export async function hearServers(connection: KubeConnection, keyId: string, signal: AbortSignal): Promise<Testimony> {
  const leases = await unlessRefused(() => liveLeases(connection, signal));
  if (leases === undefined || leases.length === 0) {
    return { leases: [], metrics: 'unavailable', why: 'The identity leases of the API servers cannot be read.' };
  }
  const missing = new Map(leases.map(({ name }) => [apiServerIdHash(name), name]));
  const objections: string[] = [];
  const expected = metricsKeyIdHash(keyId);
  for (let tries = leases.length * TRIES_PER_SERVER + EXTRA_TRIES; tries > 0 && missing.size > 0; tries--) {
    const metrics = await unlessRefused(() => readKeyMetrics(connection, signal));
    if (metrics === undefined) return { leases, metrics: 'unavailable', why: 'Key metrics cannot be read.' };
    const name = missing.get(metrics.serverIdHash);
    if (name === undefined) continue;
    missing.delete(metrics.serverIdHash);
    const objection = objectionOf(metrics, expected);
    if (objection !== undefined) objections.push(`${name} ${objection}`);
  }
  for (const name of missing.values()) objections.push(`${name} renews its lease but answered no request for metrics`);
  return { leases, metrics: objections.length === 0 ? 'confirmed' : 'waiting', why: objections.join('; ') };
}

/**
 * Both key slots report their key at any time, so a reported key alone says little about a server that has written: what
 * it wrote with last counts. One that has written nothing yet must at least know the key.
 */
function objectionOf({ lastWritten, reported }: KeyMetrics, expected: string): string | undefined {
  if (lastWritten !== undefined) return lastWritten === expected ? undefined : 'last wrote with another key';
  return reported.has(expected) ? undefined : 'does not know the key';
}

/** @returns undefined when the cluster does not show it to us; that is no fault */
async function unlessRefused<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof KubeError && (error.status === 403 || error.status === 404)) return undefined;
    throw error;
  }
}
