/** What was seen of a cluster's API servers, and what it says about the key that they write with. */
import { z } from 'zod';

/** A canary: a small Secret of Keyturn's own that was written under the old key, before the switch. */
export const Canary = z.object({
  namespace: z.string(),
  name: z.string(),
  uid: z.string(),
  resourceVersion: z.string(),
});
/** A canary. */
export type Canary = z.infer<typeof Canary>;

/** The state before the switch. */
export const Baseline = z.object({
  /** R0: the resource version of a LIST of Secrets, taken after the canaries were written. */
  baselineRv: z.string(),
  canaries: z.array(Canary),
});
/** The state before the switch. */
export type Baseline = z.infer<typeof Baseline>;

/** An API server as its identity lease shows it. The holder is new at every start of the process. */
export const ApiServerLease = z.object({ name: z.string(), holder: z.string() });
/** An API server as its identity lease shows it. */
export type ApiServerLease = z.infer<typeof ApiServerLease>;

/** The evidence that every API server writes with the target key. */
export const Convergence = z.object({
  /** Rc: the resource version of a LIST of Secrets, taken after convergence was seen. */
  convergedRv: z.string(),
  /** No-op patches sent to canaries over fresh connections, all in all. */
  probes: z.int(),
  /** The last so many of them changed nothing: the servers agree. */
  stillProbes: z.int(),
  /** How often a canary changed again after its first change: each time two servers disagreed. */
  flips: z.int(),
  leases: z.array(ApiServerLease),
  /** `confirmed`: each live server's metrics named the target key. `unavailable`: metrics or leases could not be read; the canaries alone speak. */
  metrics: z.enum(['confirmed', 'unavailable']),
});
/** The evidence that every API server writes with the target key. */
export type Convergence = z.infer<typeof Convergence>;
