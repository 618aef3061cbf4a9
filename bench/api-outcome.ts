/** What `npm run bench:api` says: the times of requests as percentiles, and the memory of the processes. Pure. */

/** Requests of one kind. */
export interface Latency {
  /** Milliseconds. */
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  /** By all clients together. */
  readonly perSecond: number;
}

/** The line of `--json`. */
export interface ApiOutcome {
  readonly operations: number;
  readonly get: Latency;
  readonly list: Latency;
  readonly create: Latency;
  readonly approve: Latency;
  readonly apiRssMb: number;
  readonly workerRssMb: number;
  /** The same with the first operations only. */
  readonly apiRssMbAtFirst: number;
  readonly workerRssMbAtFirst: number;
}

/**
 * The latency of requests.
 * @param times of each request, in milliseconds
 * @param seconds from the first request to the last answer
 */
export function latencyOf(times: readonly number[], seconds: number): Latency {
  const sorted = [...times].sort((a, b) => a - b);
  // The nearest rank: a time that was measured, not one in between.
  const percentile = (share: number): number => round(sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0);
  return {
    p50: percentile(0.5),
    p95: percentile(0.95),
    p99: percentile(0.99),
    perSecond: round(times.length / seconds),
  };
}

/** For people: what was measured, beside its bound. */
export function apiTable(outcome: ApiOutcome): string[] {
  const row = (name: string, { p50, p95, p99, perSecond }: Latency, bound: string): string =>
    `${name.padEnd(8)} p50 ${p50} ms, p95 ${p95} ms, p99 ${p99} ms, ${perSecond}/s (${bound})`;
  const memory = (name: string, now: number, before: number): string =>
    `${name.padEnd(8)} ${now} MB resident, ${round(now - before)} MB more than with the first operations (at most 60)`;
  return [
    row('get', outcome.get, 'p95 under 25 ms'),
    row('list', outcome.list, 'p95 under 25 ms'),
    row('approve', outcome.approve, 'p95 under 25 ms'),
    row('create', outcome.create, 'at least 80/s'),
    memory('API', outcome.apiRssMb, outcome.apiRssMbAtFirst),
    memory('worker', outcome.workerRssMb, outcome.workerRssMbAtFirst),
  ];
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
