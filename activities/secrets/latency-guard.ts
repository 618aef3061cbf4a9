/**
 * Keeps a rewrite from slowing down the other clients of an API server.
 *
 * Does: sends a small request again and again, as any client would, to the same address: first while no other request of ours
 *       is under way, then during the rewrite. When the answers take longer than the limit allows, it lowers the number of
 *       requests under way, otherwise it raises it.
 * Never does: treat a refused request as a fault. A refusal is an answer, and its time counts.
 */
import { KubeError } from '../kubernetes/errors';
import type { KubeConnection } from '../kubernetes/connection';
import { sleep } from '../running';
import type { Pacer } from './pacer';

/** Reads etcd as most requests do, and nearly every client may send it. */
const QUESTION = '/api/v1/namespaces/kube-system';
const IDLE_PROBES = 24;
const IDLE_PAUSE_IN_MS = 15;
const PAUSE_IN_MS = 40;
/** A decision uses this many of the last answers … */
const WINDOW = 20;
/** … each time this many new ones have arrived. */
const STEP = 8;
/** The quantile to compare: high enough to stand for slow answers, low enough to be known from one window. */
const QUANTILE = 0.9;
const FIRST_ALLOWED = 1;
const DECREASE = 0.6;
/** The slowest answers, which the limit is about, rise more than the quantile: so the quantile is kept to this part of the limit. */
const MARGIN = 0.7;
/** Below this part of that value there is room for one more request. */
const COMFORT = 0.8;

/** Runs work while it watches the latency of other clients. */
export async function guardingLatency<T>(
  options: {
    readonly connection: KubeConnection;
    readonly pacer: Pacer;
    /** How many times slower than idle the API server may answer other clients; null does not watch. */
    readonly latencyLimit: number | null;
    readonly signal: AbortSignal;
  },
  work: () => Promise<T>,
): Promise<T> {
  const { connection, pacer, latencyLimit, signal } = options;
  if (latencyLimit === null) return await work();
  const idle = await idleLatency(connection, signal);
  pacer.allow(FIRST_ALLOWED);
  const ended = new AbortController();
  const watching = watch(connection, pacer, idle * latencyLimit * MARGIN, AbortSignal.any([signal, ended.signal]));
  try {
    return await work();
  } finally {
    ended.abort();
    await watching;
  }
}

async function idleLatency(connection: KubeConnection, signal: AbortSignal): Promise<number> {
  const latencies: number[] = [];
  // The first answers include the time to connect.
  await latencyOf(connection, signal);
  while (latencies.length < IDLE_PROBES) {
    latencies.push(await latencyOf(connection, signal));
    await sleep(IDLE_PAUSE_IN_MS, signal);
  }
  return quantile(latencies);
}

/** Ends, without an error, when the signal is aborted. */
async function watch(connection: KubeConnection, pacer: Pacer, limitInMs: number, signal: AbortSignal): Promise<void> {
  let latencies: number[] = [];
  let sinceDecision = 0;
  try {
    for (;;) {
      latencies = [...latencies, await latencyOf(connection, signal)].slice(-WINDOW);
      if (++sinceDecision >= STEP) {
        sinceDecision = 0;
        decide(pacer, quantile(latencies) / limitInMs);
      }
      await sleep(PAUSE_IN_MS, signal);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

function decide(pacer: Pacer, load: number): void {
  if (load > 1) pacer.allow(pacer.allowed * DECREASE);
  else if (load < COMFORT) pacer.allow(pacer.allowed + Math.max(1, pacer.allowed * 0.1));
}

/** In milliseconds. A failed request counts with the time it took; the rewrite handles the failure. */
async function latencyOf(connection: KubeConnection, signal: AbortSignal): Promise<number> {
  const startedAt = performance.now();
  try {
    await connection.requestText({ method: 'GET', path: QUESTION, signal });
  } catch (error) {
    if (!(error instanceof KubeError)) throw error;
  }
  return performance.now() - startedAt;
}

function quantile(latencies: readonly number[]): number {
  const sorted = [...latencies].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * QUANTILE))] ?? 0;
}
