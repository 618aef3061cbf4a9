/**
 * One pass over all Secrets of a cluster: what census, rewrite and proof have in common.
 *
 * Does: lists metadata page by page and handles many Secrets at a time, as fast as the API server and its owners allow.
 * Never does: hold more than a page: memory does not grow with the number of Secrets.
 */
import { setMaxListeners } from 'node:events';
import type { PassProgress } from '../contract';
import type { KubeConnection } from '../kubernetes/connection';
import type { ListedSecret } from '../kubernetes/metadata';
import { countSecrets, listSecretPages, type ListDetail, type SecretPage } from '../kubernetes/secret-list';
import { heartbeating, type Running } from '../running';
import { SecretFeed } from './feed';
import { guardingLatency } from './latency-guard';
import { Meter } from './meter';
import { Pacer } from './pacer';

/** A pass over fewer Secrets than this ends before other clients could notice it, and before latency could be measured. */
const WORTH_GUARDING = 200;

/** How fast a pass may be. */
export interface Pace {
  /** Requests that may be under way at the same time; fewer when the server asks for it. */
  readonly inFlight: number;
  /** How many times slower than idle the API server may answer other clients; null does not watch. */
  readonly latencyLimit: number | null;
  /** Requests that may start in a second; null is no limit. */
  readonly perSecond: number | null;
}

/** What handles one Secret. */
export interface PassContext {
  readonly pacer: Pacer;
  /** Aborted when the pass must stop, for any reason. */
  readonly signal: AbortSignal;
}

/** What the pass does. */
export interface PassOptions {
  readonly pace: Pace;
  /** Secrets that are not handled and not counted, and how many there are. */
  readonly leaveOut?: { readonly isOne: (secret: ListedSecret) => boolean; readonly count: number };
  /** What the list tells of each Secret; its state when absent. */
  readonly detail?: ListDetail;
  /** Called for each page before its Secrets; what it throws ends the pass. */
  readonly onPage?: (listRv: string) => void;
  /** @returns undefined when there is nothing to wait for */
  readonly handle: (secret: ListedSecret, context: PassContext) => Promise<void> | undefined;
}

/**
 * Handles every Secret; heartbeats how far it is.
 * @returns the resource version of the list
 * @throws the first failure of `handle` or `onPage`; KubeError when the list is refused; the signal's reason
 */
export async function passOverSecrets(
  connection: KubeConnection,
  options: PassOptions,
  running: Running,
): Promise<string> {
  const { count } = await countSecrets(connection, { signal: running.signal });
  const meter = new Meter(Math.max(0, count - (options.leaveOut?.count ?? 0)));
  const pacer = new Pacer(options.pace);
  const latencyLimit = count < WORTH_GUARDING ? null : options.pace.latencyLimit;
  return heartbeating(
    running,
    (): PassProgress => meter.reading(),
    () =>
      guardingLatency({ connection, pacer, latencyLimit, signal: running.signal }, () =>
        handleListed(connection, options, running.signal, pacer, meter),
      ),
  );
}

async function handleListed(
  connection: KubeConnection,
  { pace, leaveOut, detail, onPage, handle }: PassOptions,
  outer: AbortSignal,
  pacer: Pacer,
  meter: Meter,
): Promise<string> {
  // The first failure stops all. Finished Secrets stay finished, and the next try skips them by the proof rule.
  const failure = new AbortController();
  const signal = AbortSignal.any([outer, failure.signal]);
  // One listener for each Secret that waits for its place: no leak.
  setMaxListeners(0, signal);
  let listRv = '';
  const pages = async function* (): AsyncGenerator<SecretPage> {
    for await (const page of listSecretPages(connection, { signal, detail })) {
      onPage?.(page.resourceVersion);
      listRv = page.resourceVersion;
      yield page;
    }
  };
  const feed = new SecretFeed(pages());
  const handleInTurn = async (): Promise<void> => {
    do {
      for (let secret = feed.take(); secret; secret = feed.take()) {
        signal.throwIfAborted();
        if (leaveOut?.isOne(secret)) continue;
        const handling = handle(secret, { pacer, signal });
        if (handling) await handling;
        meter.count();
      }
    } while (await feed.turn());
  };
  const workers = Array.from({ length: pace.inFlight }, () =>
    handleInTurn().catch((error: unknown) => {
      failure.abort(error);
      throw error;
    }),
  );
  const ends = await Promise.allSettled(workers);
  // When the list itself fails, the takers that wait for it get the error; the others end as if the list had ended.
  outer.throwIfAborted();
  if (failure.signal.aborted) throw failure.signal.reason;
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
  return listRv;
}
