/**
 * One census for all plans of a cluster that are being made at the same time (docs/decisions/040).
 *
 * Needs: what ARM said of the cluster when the rules were checked (`state`), and which API server it has.
 * Does: lets a plan join a census of the same state that another plan began a moment ago, or take its result. It ends early when every
 *       plan that waits for it has given up.
 * Never does: share what is looked at under the lock of the cluster, share a failure, keep a census that found something, or give away
 *       one that began before Keyturn wrote to the cluster.
 */
import { hasFindings, type Census } from '../../domain/census';
import { clusterLockId } from '../../domain/resource-ids';
import type { Running } from '../running';

/** No plan gets a census that began longer ago than this before the plan asked for one. */
export const CENSUS_SHARED_FOR_IN_MS = 10_000;

/** What a census holds for. */
export interface CensusOf {
  /** ARM resource id. */
  readonly cluster: string;
  /** What ARM says of the cluster and its KMS, as `RulesChecked` has it. */
  readonly state: string;
  /** Which API server answers for the cluster: a cluster that was made anew has another. */
  readonly server: string;
  /** How many Secrets there are now: a census of another number is not given away. */
  readonly count: () => Promise<number>;
}

/** The censuses that this process shares. Other workers take their own: sharing saves work, and nothing depends on it. */
export interface SharedCensuses {
  /**
   * A census for a plan that people have not approved yet.
   * @param take takes one; what it tells by heartbeats reaches every plan that waits
   * @throws what `take` throws, when this plan began it; the signal's reason
   */
  of(wanted: CensusOf, running: Running, take: (running: Running) => Promise<Census>): Promise<Census>;
  /** Keyturn writes to the cluster: no census from before is given away any more. */
  forget(cluster: string): void;
}

/** A census that is being taken, or was a moment ago. */
interface Shared {
  readonly key: string;
  readonly beganAt: number;
  readonly waiting: Set<Running>;
  readonly stop: AbortController;
  readonly census: Promise<Census>;
  forgotten: boolean;
}

/** Makes what shares censuses in this process. @param now milliseconds of a clock that never goes back */
export function createSharedCensuses(
  sharedForInMs = CENSUS_SHARED_FOR_IN_MS,
  now: () => number = () => performance.now(),
): SharedCensuses {
  const byCluster = new Map<string, Shared>();

  const drop = (cluster: string, one: Shared): void => {
    if (byCluster.get(cluster) === one) byCluster.delete(cluster);
  };

  const begin = (cluster: string, key: string, take: (running: Running) => Promise<Census>): Shared => {
    for (const [name, one] of byCluster) if (now() - one.beganAt > sharedForInMs) byCluster.delete(name);
    const stop = new AbortController();
    const waiting = new Set<Running>();
    const heartbeat = (details?: unknown): void => {
      for (const running of waiting) running.heartbeat(details);
    };
    const begun: Shared = {
      key,
      beganAt: now(),
      waiting,
      stop,
      census: take({ heartbeat, signal: stop.signal }),
      forgotten: false,
    };
    byCluster.set(cluster, begun);
    begun.census.then(
      // Who mends what it found asks again at once, and must not be told the same.
      (census) => hasFindings(census) && drop(cluster, begun),
      () => drop(cluster, begun),
    );
    return begun;
  };

  return {
    async of({ cluster, state, server, count }, running, take) {
      const id = clusterLockId(cluster);
      const key = JSON.stringify([state, server]);
      for (;;) {
        running.signal.throwIfAborted();
        const known = byCluster.get(id);
        const fits = known?.key === key && now() - known.beganAt <= sharedForInMs;
        if (!fits) return await waitFor(begin(id, key, take), running, (one) => drop(id, one));
        try {
          const census = await waitFor(known, running, (one) => drop(id, one));
          // Who was refused for the number of Secrets deletes some and asks again at once.
          if (!known.forgotten && (await count()) === census.secrets) return census;
          drop(id, known);
        } catch {
          // It was the other plan's failure: this one looks itself. Its own cancellation shows above.
        }
      }
    },

    forget(cluster) {
      const id = clusterLockId(cluster);
      const known = byCluster.get(id);
      if (known === undefined) return;
      known.forgotten = true;
      byCluster.delete(id);
    },
  };
}

/** Waits as one of several. @param onStop called when the last one has given up: the census is stopped */
async function waitFor(shared: Shared, running: Running, onStop: (shared: Shared) => void): Promise<Census> {
  const { waiting, census, stop } = shared;
  const { signal } = running;
  waiting.add(running);
  let leave: (() => void) | undefined;
  try {
    return await new Promise<Census>((resolve, reject) => {
      leave = () => reject(signal.reason as Error);
      signal.addEventListener('abort', leave, { once: true });
      census.then(resolve, reject);
    });
  } finally {
    if (leave) signal.removeEventListener('abort', leave);
    waiting.delete(running);
    if (signal.aborted && waiting.size === 0) {
      stop.abort(signal.reason);
      onStop(shared);
    }
  }
}
