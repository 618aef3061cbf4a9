/** What Keyturn observed of a cluster's API servers, and what that says about the key that they write with. */
import { z } from 'zod';
import { RewriteMethod, type ProofBounds } from './proof';
import { Receipt } from './trust/receipts';

/** A canary: a small Secret of Keyturn's own that was written under the old key, before the switch. */
export const Canary = z.object({
  namespace: z.string(),
  name: z.string(),
  uid: z.string(),
  resourceVersion: z.string(),
  /** A digest of its metadata without the resource version, `managedFields` included. Without a digest a change says nothing about keys. */
  content: z.string().optional(),
});
/** A canary. */
export type Canary = z.infer<typeof Canary>;

/** An API server as its identity lease shows it. Lease and holder stay the same over restarts, so they do not identify a process. */
export const ApiServerLease = z.object({
  name: z.string(),
  /** The host that it runs on, as its lease names it. */
  host: z.string().optional(),
});
/** An API server as its identity lease shows it. */
export type ApiServerLease = z.infer<typeof ApiServerLease>;

/** The state before the switch. */
export const Baseline = z.object({
  /** R0: the resource version of a LIST of Secrets, taken after the canaries were written. */
  baselineRv: z.string(),
  canaries: z.array(Canary),
  /** The API servers' processes that ran then, see `Convergence`. */
  processes: z.array(z.string()),
  receipt: Receipt.optional(),
});
/** The state before the switch. */
export type Baseline = z.infer<typeof Baseline>;

/** The evidence that every API server writes with the target key. */
export const Convergence = z.object({
  /** R0 of the baseline that it was judged with; null when there was none, since no switch was made. */
  baselineRv: z.string().nullable(),
  /** Rc: the resource version of a LIST of Secrets, taken after the API servers had converged. */
  convergedRv: z.string(),
  /** No-op patches sent to canaries over new connections, in total. */
  probes: z.int(),
  /** How many of the last of them changed nothing: the servers agree. */
  stillProbes: z.int(),
  /** How often a canary changed again after its first change: each time two servers disagreed. */
  flips: z.int(),
  /** How often a no-op patch changed the content of a canary: something changes Secrets on update. That says nothing about keys. */
  contentChanges: z.int().optional(),
  /**
   * How long before Rc an API server may last have been replaced, in ms: since the youngest was started, or, where that is not known,
   * since a canary changed; and since two servers disagreed. Absent in evidence of before this was waited for.
   */
  quietForInMs: z.int().optional(),
  leases: z.array(ApiServerLease),
  /** The API servers' processes, by the start time in their metrics; empty when metrics cannot be read. */
  processes: z.array(z.string()),
  /** `confirmed`: each live server's own metrics name the target key as the key that it wrote with last. `unavailable`: they do not say. */
  metrics: z.enum(['confirmed', 'unavailable']),
  /** Whether no-op patches changed canaries. If not, no record ever looks stale here, and only a forced rewrite has an effect. */
  method: RewriteMethod,
  /** What Keyturn concluded without every server's own report, in sentences; empty when `metrics` is `confirmed`. */
  weaknesses: z.array(z.string()),
  receipt: Receipt.optional(),
});
/** The evidence that every API server writes with the target key. */
export type Convergence = z.infer<typeof Convergence>;

/** What a rewrite or a proof after a convergence is judged by. */
export function boundsOf({ baselineRv, convergedRv, method }: Convergence): ProofBounds {
  return { baselineRv, convergedRv, method };
}

/** For sentences: the lease's name, with the host name that operators know the server by. */
export function serverName({ name, host }: ApiServerLease): string {
  return host === undefined ? name : `${name} (host ${host})`;
}

/**
 * Whether the API servers are the same processes as before. When the processes were known at one of the two times only, that
 * cannot be decided, and the answer is no. When they were known at neither time, there is nothing to compare.
 */
export function sameProcesses(before: readonly string[], now: readonly string[]): boolean {
  return (before.length === 0) === (now.length === 0) && now.every((process) => before.includes(process));
}

/** Whether every API server that runs now was started since. Unknown when the processes were not known, before or now. */
export function allRestarted(before: readonly string[], now: readonly string[]): boolean {
  return before.length > 0 && now.length > 0 && !now.some((process) => before.includes(process));
}
