/** The second source for convergence, beside canaries: what every live API server reports about the key that it writes with. */
import { serverName, type ApiServerLease } from '../domain/convergence';
import type { EncryptionTarget } from '../domain/encryption';
import { metricsKeyIdHash } from '../domain/resource-ids';
import type { KubeConnection } from './kubernetes/connection';
import {
  apiServerIdHash,
  knownLeases,
  readServerMetrics,
  unlessRefused,
  type ServerLook,
  type ServerMetrics,
} from './kubernetes/servers';

/** A load balancer chooses a server for each connection: this many tries per server, and some more, reach all of them. */
const TRIES_PER_SERVER = 8;
const EXTRA_TRIES = 4;

/** What the servers' leases and metrics report together. */
export interface ServerReport {
  readonly leases: readonly ApiServerLease[];
  /** Of the servers that answered: all of them, unless the tries by chance did not reach one. */
  readonly processes: readonly string[];
  /** How long the youngest process has been running, in ms; undefined unless the age of every live server is known. */
  readonly youngestInMs?: number;
  /**
   * `confirmed`: every live server wrote with the target last.
   * `waiting`: not yet; `why` names the servers.
   * `unavailable`: they do not report it; `why` says why not.
   */
  readonly metrics: 'confirmed' | 'waiting' | 'unavailable';
  readonly why: string;
}

/** Asks every live API server. @throws KubeError of a transient kind; the signal's reason */
export async function readServers(
  connection: KubeConnection,
  target: EncryptionTarget,
  signal: AbortSignal,
): Promise<ServerReport> {
  const { leases, metrics } = await readProcesses(connection, signal);
  if (leases.length === 0) {
    const why =
      'The identity leases of the API servers cannot be read, so Keyturn does not know how many API servers there are.';
    return { leases, processes: [], metrics: 'unavailable', why };
  }
  if (metrics === undefined) {
    const why = 'The metrics of the API servers cannot be read.';
    return { leases, processes: [], metrics: 'unavailable', why };
  }
  const processes = processesOf(metrics);
  const servers = { leases, processes, ...youngestOf(leases.length, metrics) };
  if (target.scheme === 'kms-v1') {
    const why = 'API servers show no key ids of KMS v1 in their metrics.';
    return { ...servers, metrics: 'unavailable', why };
  }
  if (metrics.every(({ serverIdHash }) => serverIdHash === undefined)) {
    const why = 'The metrics of the API servers do not say which server they come from (before Kubernetes 1.29).';
    return { ...servers, metrics: 'unavailable', why };
  }
  const objections = leases.flatMap((lease) => {
    const own = metrics.find(({ serverIdHash }) => serverIdHash === apiServerIdHash(lease.name));
    const objection = own ? objectionOf(own, target) : 'renews its lease but answered no request for metrics';
    return objection === undefined ? [] : [`API server ${serverName(lease)} ${objection}`];
  });
  const why = objections.join('; ');
  return { ...servers, metrics: objections.length === 0 ? 'confirmed' : 'waiting', why };
}

/** The processes of the API servers now; empty when they cannot be known. @throws as `readServers` */
export async function hearProcesses(connection: KubeConnection, signal?: AbortSignal): Promise<string[]> {
  return processesOf((await readProcesses(connection, signal)).metrics ?? []);
}

/** The metrics of as many different servers as there are leases, over new connections. */
async function readProcesses(
  connection: KubeConnection,
  signal?: AbortSignal,
): Promise<{ readonly leases: readonly ApiServerLease[]; readonly metrics?: readonly ServerLook[] }> {
  const leases = (await knownLeases(connection, signal)) ?? [];
  const met = new Map<string, ServerLook>();
  let tries = leases.length * TRIES_PER_SERVER + EXTRA_TRIES;
  for (; tries > 0 && met.size < leases.length; tries--) {
    const metrics = await unlessRefused(() => readServerMetrics(connection, signal));
    if (metrics === undefined) return { leases };
    // The latest answer of a server counts: it may have been restarted between two answers.
    met.set(metrics.serverIdHash ?? metrics.process ?? '', metrics);
  }
  return { leases, metrics: [...met.values()] };
}

/** @param servers how many there are */
function youngestOf(servers: number, metrics: readonly ServerLook[]): Pick<ServerReport, 'youngestInMs'> {
  const youngestInMs = Math.min(...metrics.map(({ ageInMs = NaN }) => ageInMs));
  return metrics.length < servers || Number.isNaN(youngestInMs) ? {} : { youngestInMs };
}

function processesOf(metrics: readonly ServerMetrics[]): string[] {
  return metrics.flatMap(({ process }) => (process === undefined ? [] : [process])).sort();
}

/**
 * Both key slots report their key at any time, so a reported key says little about a server. What counts is the key that it wrote
 * with last. A server that has written nothing yet has shown nothing yet.
 */
function objectionOf(
  { lastWritten, reported, writes }: ServerMetrics,
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
