/**
 * One look for all who asked before it began (docs/decisions/040).
 *
 * Does: while a look is under way, those who ask for the same one wait for the next, which begins when that has ended and answers all of
 *       them. So each gets what was so after it had asked, as if it had looked alone; and however many ask, one look is under way.
 * Never does: keep an answer, or give one whose look began before the question.
 */

/** Looks that are shared by those who ask at the same time. */
export interface SharedLooks {
  /**
   * @param key names what is looked at: the same key, the same look
   * @param look makes the look; its signal is aborted when all who wait for it have given up
   * @throws what the look throws, for all who wait for it; the signal's reason
   */
  of<T>(key: string, signal: AbortSignal, look: (signal: AbortSignal) => Promise<T>): Promise<T>;
}

/** A look that hangs must not keep others from beginning theirs. */
const NEXT_BEGINS_AFTER_IN_MS = 500;

/** A look with those who wait for it. */
interface Batch {
  readonly begin: () => Promise<unknown>;
  readonly stop: AbortController;
  readonly answer: Promise<unknown>;
  waiting: number;
}

/** The look of a key that is under way, and the one after it. */
interface Lane {
  current: Batch;
  next?: Batch;
}

/** Makes what shares looks in this process. */
export function createSharedLooks(nextBeginsAfterInMs = NEXT_BEGINS_AFTER_IN_MS): SharedLooks {
  const lanes = new Map<string, Lane>();

  const run = (key: string, lane: Lane, batch: Batch): void => {
    lane.current = batch;
    const goOn = (): void => {
      // A batch that was passed by another has nothing to say any more.
      if (lane.current !== batch) return;
      const { next } = lane;
      lane.next = undefined;
      if (next) run(key, lane, next);
      else lanes.delete(key);
    };
    void batch.begin().then(goOn, goOn);
  };

  const inLane = (key: string, make: () => Batch): Batch => {
    const lane = lanes.get(key);
    if (lane === undefined) {
      const batch = make();
      const fresh: Lane = { current: batch };
      lanes.set(key, fresh);
      run(key, fresh, batch);
      return batch;
    }
    if (lane.next === undefined || lane.next.stop.signal.aborted) {
      const next = make();
      lane.next = next;
      setTimeout(() => {
        if (lane.next !== next) return;
        lane.next = undefined;
        run(key, lane, next);
      }, nextBeginsAfterInMs).unref();
    }
    return lane.next;
  };

  return {
    async of<T>(key: string, signal: AbortSignal, look: (signal: AbortSignal) => Promise<T>): Promise<T> {
      signal.throwIfAborted();
      const batch = inLane(key, () => batchOf(look));
      return (await waitFor(batch, signal)) as T;
    },
  };
}

function batchOf(look: (signal: AbortSignal) => Promise<unknown>): Batch {
  const stop = new AbortController();
  let settle: { resolve: (answer: unknown) => void; reject: (error: Error) => void } | undefined;
  const answer = new Promise<unknown>((resolve, reject) => (settle = { resolve, reject }));
  // All who waited may have given up.
  answer.catch(() => undefined);
  return {
    stop,
    answer,
    waiting: 0,
    begin: async () => {
      try {
        stop.signal.throwIfAborted();
        settle?.resolve(await look(stop.signal));
      } catch (error) {
        settle?.reject(error as Error);
      }
    },
  };
}

async function waitFor(batch: Batch, signal: AbortSignal): Promise<unknown> {
  batch.waiting += 1;
  let leave: (() => void) | undefined;
  try {
    return await new Promise<unknown>((resolve, reject) => {
      leave = () => reject(signal.reason as Error);
      signal.addEventListener('abort', leave, { once: true });
      batch.answer.then(resolve, reject);
    });
  } finally {
    if (leave) signal.removeEventListener('abort', leave);
    batch.waiting -= 1;
    if (signal.aborted && batch.waiting === 0) batch.stop.abort(signal.reason);
  }
}
