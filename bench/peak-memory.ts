/** The largest resident memory that a process ever had. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const BYTES_IN_KB = 1024;
const LOOK_EVERY_IN_MS = 250;

/** A watch on one process. */
export interface MemoryWatch {
  /** @returns bytes, since the process started on Linux, and since the watch started elsewhere @throws Error when it has ended */
  stop(): Promise<number>;
}

/** Starts watching. Linux keeps the peak by itself; elsewhere `ps` is asked a few times a second. */
export function watchMemory(pid: number): MemoryWatch {
  if (process.platform === 'linux') {
    return { stop: () => Promise.resolve(peakOf(readFileSync(`/proc/${pid}/status`, 'utf8'))) };
  }
  const stopping = new AbortController();
  const watching = (async (): Promise<number> => {
    let peak = 0;
    while (!stopping.signal.aborted) {
      peak = Math.max(peak, await residentMemory(pid));
      await sleep(LOOK_EVERY_IN_MS, undefined, { signal: stopping.signal }).catch(() => undefined);
    }
    return peak;
  })();
  // A failure is the caller's to see, at `stop`.
  watching.catch(() => undefined);
  return {
    stop() {
      stopping.abort();
      return watching;
    },
  };
}

/** `VmHWM` of the text of `/proc/PID/status`, in bytes. */
export function peakOf(status: string): number {
  const kilobytes = /^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1];
  if (kilobytes === undefined) throw new Error('This Linux does not say the peak memory of a process (VmHWM).');
  return Number(kilobytes) * BYTES_IN_KB;
}

async function residentMemory(pid: number): Promise<number> {
  const { stdout } = await promisify(execFile)('ps', ['-o', 'rss=', '-p', String(pid)]);
  return Number(stdout.trim()) * BYTES_IN_KB;
}
