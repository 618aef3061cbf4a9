/**
 * Keeps a process of ours running: when it ends by itself it is started again, with a growing pause.
 *
 * Temporal holds the state of every operation, so a new worker goes on where the dead one stopped; an API process holds
 * nothing. So it is enough to start them again.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ReadyProcess } from './node-process';

/** A process that is kept running. */
export interface Supervised {
  /** The process id of the running one. */
  readonly pid: number;
  stop(): Promise<void>;
}

const FIRST_PAUSE_IN_MS = 500;
const LONGEST_PAUSE_IN_MS = 30_000;
/** A process that ran this long is healthy: the next pause is short again. */
const HEALTHY_AFTER_IN_MS = 60_000;

/**
 * Starts a process and keeps it running until `stop`.
 * @param onRestart is told each time the process ended and each time a new one could not be started
 * @throws what the first start throws; a process that cannot start at all is not tried again
 */
export async function supervise(
  start: () => Promise<ReadyProcess>,
  onRestart: (what: string) => void,
): Promise<Supervised> {
  const stopping = new AbortController();
  let running = (await start()).child;

  const keep = async (): Promise<void> => {
    let pauseInMs = FIRST_PAUSE_IN_MS;
    for (;;) {
      const since = Date.now();
      const { code, signal } = await running.exited;
      if (stopping.signal.aborted) return;
      if (Date.now() - since > HEALTHY_AFTER_IN_MS) pauseInMs = FIRST_PAUSE_IN_MS;
      onRestart(`${running.name} ended (${signal ?? `code ${code}`}); a new one starts in ${pauseInMs} ms.`);
      for (let started = false; !started; pauseInMs = Math.min(pauseInMs * 2, LONGEST_PAUSE_IN_MS)) {
        await sleep(pauseInMs, undefined, { signal: stopping.signal });
        try {
          running = (await start()).child;
          started = true;
        } catch (error) {
          onRestart(error instanceof Error ? error.message : String(error));
        }
      }
      // Asked to stop while the new one was starting.
      if (stopping.signal.aborted) return await running.stop();
    }
  };
  const kept = keep().catch((error: unknown) => {
    if (!stopping.signal.aborted) throw error;
  });

  return {
    get pid() {
      return running.pid;
    },
    async stop() {
      stopping.abort();
      await running.stop();
      await kept;
    },
  };
}
