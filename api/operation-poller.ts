/**
 * Watches operations: one poller for each operation, however many clients follow it.
 *
 * Does: reads the operation while it is watched, also through outages of Temporal, and hands each change to all that watch.
 * Never does: keep anything of an operation that is watched no more, or decide whether a client may see it.
 */
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { canonicalJson } from '../domain/canonical';
import { isFinal, type Operation } from '../domain/operation';
import type { OperationsGateway, StoredOperation } from './operations-gateway';
import { ApiError } from './problem';

const POLL_INTERVAL_IN_MS = 500;
/** While Temporal is away. */
const LONGEST_PAUSE_IN_MS = 5_000;

/** Watches operations. */
export interface OperationPoller {
  /**
   * The operation as it is, then as it is after each change; ends when nothing can change any more, when the operation is gone, or
   * when the signal is aborted. A slow reader gets the latest view and not each one.
   * @throws ApiError when the record of the operation cannot be read
   */
  watch(id: string, signal: AbortSignal): AsyncIterable<Operation>;
}

/** What is known of a watched operation. */
interface Watched {
  watchers: number;
  latest: Operation | undefined;
  /** Grows with each change. */
  version: number;
  ended: boolean;
  failure: unknown;
  readonly stop: AbortController;
  readonly wake: Set<() => void>;
}

/** Makes the poller of a process. */
export function createOperationPoller(
  gateway: Pick<OperationsGateway, 'find'>,
  intervalInMs = POLL_INTERVAL_IN_MS,
): OperationPoller {
  const all = new Map<string, Watched>();

  function watched(id: string): Watched {
    const known = all.get(id);
    if (known) return known;
    const fresh: Watched = {
      watchers: 0,
      latest: undefined,
      version: 0,
      ended: false,
      failure: undefined,
      stop: new AbortController(),
      wake: new Set(),
    };
    all.set(id, fresh);
    void poll(id, fresh);
    return fresh;
  }

  async function poll(id: string, one: Watched): Promise<void> {
    let shown = '';
    let pause = intervalInMs;
    while (!one.stop.signal.aborted && !one.ended) {
      try {
        const stored = await gateway.find(id);
        const text = JSON.stringify(stored?.operation ?? null);
        one.ended = stored === undefined || nothingFollows(stored);
        if (text !== shown && stored !== undefined) {
          one.latest = stored.operation;
          one.version += 1;
        }
        if (text !== shown || one.ended) wakeAll(one);
        shown = text;
        pause = intervalInMs;
      } catch (error) {
        if (!isPassing(error)) {
          one.failure = error;
          one.ended = true;
          wakeAll(one);
        }
        pause = Math.min(pause * 2, LONGEST_PAUSE_IN_MS);
      }
      if (!one.ended) await sleep(pause, undefined, { signal: one.stop.signal }).catch(() => undefined);
    }
    if (all.get(id) === one) all.delete(id);
  }

  return {
    async *watch(id, signal) {
      const one = watched(id);
      one.watchers += 1;
      try {
        let seen = 0;
        while (!signal.aborted) {
          if (one.version > seen && one.latest) {
            seen = one.version;
            yield one.latest;
          } else if (one.ended) {
            if (one.failure !== undefined) throw one.failure as Error;
            return;
          } else {
            await news(one, signal);
          }
        }
      } finally {
        one.watchers -= 1;
        if (one.watchers === 0) {
          one.stop.abort();
          if (all.get(id) === one) all.delete(id);
        }
      }
    },
  };
}

/** Resolves at the next change, at the end, or when the signal is aborted. */
async function news(one: Watched, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const done = (): void => {
      one.wake.delete(done);
      signal.removeEventListener('abort', done);
      resolve();
    };
    one.wake.add(done);
    signal.addEventListener('abort', done);
  });
}

function wakeAll({ wake }: Watched): void {
  for (const one of [...wake]) one();
}

/** Whether nothing of the operation can change any more. */
function nothingFollows({ operation, closed }: StoredOperation): boolean {
  return closed ?? (isFinal(operation.status) && operation.evidence !== null);
}

function isPassing(error: unknown): boolean {
  return error instanceof ApiError && error.code === 'TemporalUnavailable';
}

/** The entity tag of an operation: it stays while only the live counts (`progress`) change. Made for each read, so by native code. */
export function entityTag(operation: Operation): string {
  const { progress: _live, ...stable } = operation;
  return `"${createHash('sha256').update(canonicalJson(stable)).digest('hex').slice(0, 32)}"`;
}
