/** Writes that have to arrive although API servers are replaced, stopped and started again. */
import { setTimeout as sleep } from 'node:timers/promises';
import { ApiError } from './kube-client';

const PAUSE_IN_MS = 250;

/**
 * Does something with the API server until it has an answer.
 * @returns undefined when the answer is a refusal that no repetition changes
 * @throws the signal's reason when it is aborted
 */
export async function persist<T>(task: () => Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  for (;;) {
    signal.throwIfAborted();
    try {
      return await task();
    } catch (error) {
      // 401: the certificates of the cluster are being rotated.
      const transient = !(error instanceof ApiError) || error.status >= 500 || [401, 429].includes(error.status);
      if (!transient) return undefined;
    }
    await sleep(PAUSE_IN_MS, undefined, { signal });
  }
}
