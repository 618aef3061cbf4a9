/** What long-running work needs from its runner: a way to report progress, and a signal to stop. */
import { Context } from '@temporalio/activity';
import { setTimeout as timer } from 'node:timers/promises';

const HEARTBEAT_INTERVAL_IN_MS = 1_000;

/** The runner's side; a Temporal activity, or a test. */
export interface Running {
  readonly heartbeat: (details?: unknown) => void;
  /** Aborted when the work must stop; the work then throws its reason. */
  readonly signal: AbortSignal;
}

/** The Temporal activity that is running now. @throws Error outside an activity */
export function currentActivity(): Running {
  const context = Context.current();
  return { heartbeat: (details) => context.heartbeat(details), signal: context.cancellationSignal };
}

/**
 * Heartbeats every second while `work` runs. That is enough to notice a lost worker and to learn of a cancellation; it hides no hang,
 * because every request below has a timeout of its own. Work that ends sooner sends none: each costs Temporal a write.
 * @param details called for each heartbeat
 */
export async function keptAlive<T>(running: Running, details: () => unknown, work: () => Promise<T>): Promise<T> {
  const interval = setInterval(() => running.heartbeat(details()), HEARTBEAT_INTERVAL_IN_MS);
  try {
    return await work();
  } finally {
    clearInterval(interval);
  }
}

/** `keptAlive`, with a heartbeat at the start and at the end: people see at once what is done, and a next try goes on from there. */
export async function heartbeating<T>(running: Running, details: () => unknown, work: () => Promise<T>): Promise<T> {
  return await keptAlive(running, details, async () => {
    running.heartbeat(details());
    const result = await work();
    // Heartbeats of later work in the same activity repeat the last details: those say that this work is done.
    running.heartbeat(details());
    return result;
  });
}

/** Waits. @throws the signal's reason when it is aborted meanwhile */
export async function sleep(durationInMs: number, signal: AbortSignal): Promise<void> {
  try {
    await timer(durationInMs, undefined, { signal });
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
}

/** What a look gave: the answer, or what is waited for until the next look. */
export type Looked<T> = { readonly answer: T } | { readonly waitsFor: string };

/**
 * Looks until there is an answer. Heartbeats say meanwhile what is waited for (`WaitProgress`).
 * @param first what is waited for before the first look has ended
 * @throws what a look throws; the signal's reason
 */
export async function lookUntil<T>(
  running: Running,
  { first, everyMs }: { readonly first: string; readonly everyMs: number },
  look: () => Promise<Looked<T>>,
): Promise<T> {
  let waitsFor = first;
  return await heartbeating(
    running,
    () => ({ waitsFor }),
    async () => {
      for (;;) {
        const looked = await look();
        if ('answer' in looked) return looked.answer;
        ({ waitsFor } = looked);
        running.heartbeat({ waitsFor });
        await sleep(everyMs, running.signal);
      }
    },
  );
}
