/** The second witness of convergence: what every live API server itself says of the key that it writes with. */
import { serverName, type ApiServerLease } from '../domain/convergence';
import type { EncryptionTarget } from '../domain/encryption';
import { metricsKeyIdHash } from '../domain/resource-ids';
import type { KubeConnection } from './kubernetes/connection';
import { apiServerIdHash, knownLeases, readKeyMetrics, unlessRefused, type KeyMetrics } from './kubernetes/servers';

/** A load balancer chooses a server for each connection: this many tries per server, and some more, meet all of them. */
const TRIES_PER_SERVER = 8;
const EXTRA_TRIES = 4;

/** What the servers' leases and metrics say together. */
export interface Testimony {
  readonly leases: readonly ApiServerLease[];
  /**
   * `confirmed`: every live server wrote with the target last.
   * `waiting`: not yet; `why` names the servers.
   * `unavailable`: they do not say; `why` tells why not.
   */
  readonly metrics: 'confirmed' | 'waiting' | 'unavailable';
  readonly why: string;
}

/** Asks every live API server. @throws KubeError of a transient kind; the signal's reason */
export async function hearServers(
  connection: KubeConnection,
  target: EncryptionTarget,
  signal: AbortSignal,
): Promise<Testimony> {
  const leases = await knownLeases(connection, signal);
  if (leases === undefined || leases.length === 0) {
    const why = 'The identity leases of the API servers cannot be read, so that nobody can tell how many there are.';
    return { leases: [], metrics: 'unavailable', why };
  }
  if (target.scheme === 'kms-v1') {
    return { leases, metrics: 'unavailable', why: 'API servers show no key ids of KMS v1 in their metrics.' };
  }
  const missing = new Map(leases.map((lease) => [apiServerIdHash(lease.name), lease]));
  const objections: string[] = [];
  for (let tries = leases.length * TRIES_PER_SERVER + EXTRA_TRIES; tries > 0 && missing.size > 0; tries--) {
    const metrics = await unlessRefused(() => readKeyMetrics(connection, signal));
    if (metrics === undefined) {
      const why =
        'The metrics of the API servers cannot be read, or do not say which server they are of (before 1.29).';
      return { leases, metrics: 'unavailable', why };
    }
    const lease = missing.get(metrics.serverIdHash);
    if (lease === undefined) continue;
    missing.delete(metrics.serverIdHash);
    const objection = objectionOf(metrics, target);
    if (objection !== undefined) objections.push(`API server ${serverName(lease)} ${objection}`);
  }
  for (const lease of missing.values()) {
    objections.push(`API server ${serverName(lease)} renews its lease but answered no request for metrics`);
  }
  return { leases, metrics: objections.length === 0 ? 'confirmed' : 'waiting', why: objections.join('; ') };
}

/**
 * Both key slots report their key at any time, so a reported key says little about a server: what it wrote with last
 * counts. One that has written nothing yet has shown nothing yet.
 */
function objectionOf(
  { lastWritten, reported, writes }: KeyMetrics,
  target: Exclude<EncryptionTarget, { readonly scheme: 'kms-v1' }>,
): string | undefined {
  if (target.scheme === 'identity') {
    if (lastWritten !== undefined) return 'last wrote with a key';
    return writes > 0 ? undefined : 'has not stored a Secret since it started';
  }
  const expected = metricsKeyIdHash(target.keyId);
  if (lastWritten === expected) return undefined;
  if (lastWritten !== undefined) return 'last wrote with another key';
  return reported.has(expected) ? 'has not stored a Secret since it started' : 'does not know the key';
}
