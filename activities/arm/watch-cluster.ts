/**
 * Watches what Azure reports of a cluster while API servers are seen to switch, and while Secrets are rewritten and proven.
 *
 * Infrastructure as code, or a person, may set another key in the middle. The work inside the cluster then goes on for a long time and
 * shows no more than that something is wrong; Azure shows what.
 * Does: reads the cluster every few seconds, and once more when the work fails. Ends the work when Azure reports another encryption.
 * Never does: write, or end the work because Azure does not answer.
 */
import type { AzureAccess } from '../../azure/access';
import { AzureError } from '../../azure/errors';
import { describeKms, describeProfile, hasProfile, type KmsProfile } from '../../domain/cluster-change';
import { needsPerson } from '../failures';
import { sleep, type Running } from '../running';

/** When Keyturn reads. */
export interface WatchLimits {
  readonly pollInMs: number;
  /** ARM's reads may lag behind its writes for a moment: only this many in a row with another encryption count. */
  readonly strangeReads: number;
  /** Between two such reads. */
  readonly confirmInMs: number;
}

/** What operations use: well within a minute. */
export const WATCH_LIMITS: WatchLimits = { pollInMs: 15_000, strangeReads: 3, confirmInMs: 1_500 };

/**
 * Runs work that holds only as long as Azure reports one encryption.
 * @param work is given a signal of its own; ended by it, it throws the signal's reason
 * @throws ApplicationFailure `ClusterChangedOutside`, non-retryable; every error of the work
 */
export async function whileClusterHas<T>(
  { clusters }: Pick<AzureAccess, 'clusters'>,
  { cluster, expected }: { readonly cluster: string; readonly expected: KmsProfile },
  running: Running,
  work: (running: Running) => Promise<T>,
  limits: WatchLimits = WATCH_LIMITS,
): Promise<T> {
  const ended = new AbortController();
  const changed = new AbortController();
  const look = (signal: AbortSignal): Promise<Error | undefined> =>
    changeOutside(clusters, { cluster, expected }, limits, signal);
  const watching = watch(look, limits, AbortSignal.any([running.signal, ended.signal]), (change) =>
    changed.abort(change),
  );
  try {
    return await work({ ...running, signal: AbortSignal.any([running.signal, changed.signal]) });
  } catch (error) {
    running.signal.throwIfAborted();
    if (changed.signal.aborted) throw changed.signal.reason;
    // What failed may have failed because of such a change: that is the cause to name.
    throw (await look(running.signal)) ?? error;
  } finally {
    ended.abort();
    await watching;
  }
}

/** Ends, without an error, when the signal is aborted or a change was seen. */
async function watch(
  look: (signal: AbortSignal) => Promise<Error | undefined>,
  { pollInMs }: WatchLimits,
  signal: AbortSignal,
  onChange: (change: Error) => void,
): Promise<void> {
  try {
    for (;;) {
      const change = await look(signal);
      if (change !== undefined) {
        onChange(change);
        return;
      }
      await sleep(pollInMs, signal);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

/** @returns the fault when Azure reports another encryption several times in a row; undefined too when it does not answer */
async function changeOutside(
  clusters: AzureAccess['clusters'],
  { cluster, expected }: { readonly cluster: string; readonly expected: KmsProfile },
  { strangeReads, confirmInMs }: WatchLimits,
  signal: AbortSignal,
): Promise<Error | undefined> {
  for (let reads = 1; ; reads++) {
    let kms;
    try {
      ({ kms } = (await clusters.read(cluster, { abortSignal: signal })).observed);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof AzureError) return undefined;
      throw error;
    }
    if (hasProfile(kms, expected)) return undefined;
    if (reads === strangeReads) {
      return needsPerson(
        'ClusterChangedOutside',
        `Azure reports ${describeKms(kms)} instead of ${describeProfile(expected)}: another client changed the cluster while this operation ran. ` +
          'Secrets may be under both: keep every key listed under keysNeeded, and the one that Azure reports. Nothing is called proven. Find out who set it (activity log of the cluster; ' +
          'infrastructure as code sets its own key again), set the new one again and retry; or cancel, and ask for a new operation, which proves first.',
      );
    }
    await sleep(confirmInMs, signal);
  }
}
