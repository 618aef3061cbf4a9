/**
 * How many requests may be under way: as many as the API server takes well.
 *
 * Additive increase, multiplicative decrease, as TCP does it: a refusal for load halves the number and makes everybody
 * wait as long as the server asked; success brings it back one by one.
 */
import { sleep } from '../running';

const LONGEST_PAUSE_IN_MS = 60_000;
const SHORTEST_PAUSE_IN_MS = 250;

/** Lets requests pass. */
export class Pacer {
  readonly #most: number;
  #limit: number;
  #inFlight = 0;
  #successes = 0;
  #pausedUntil = 0;
  readonly #waiting: (() => void)[] = [];

  /** @param most the number to start with, and never more */
  constructor(most: number) {
    this.#most = most;
    this.#limit = most;
  }

  /** Runs one request when there is room. @throws the signal's reason; what the request throws */
  async run<T>(request: () => Promise<T>, signal: AbortSignal): Promise<T> {
    while (this.#inFlight >= this.#limit) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
      if (!signal.aborted) continue;
      // The turn that this one does not take is the next one's.
      this.#admit();
      signal.throwIfAborted();
    }
    this.#inFlight++;
    try {
      for (let left = this.#pause(); left > 0; left = this.#pause()) await sleep(left, signal);
      const result = await request();
      this.#succeeded();
      return result;
    } finally {
      this.#inFlight--;
      this.#admit();
    }
  }

  /** The server asked for less. @param retryAfterInMs how long it asked to wait, when it said so */
  slowDown(retryAfterInMs: number | undefined): void {
    this.#limit = Math.max(1, Math.floor(this.#limit / 2));
    this.#successes = 0;
    const pause = Math.min(LONGEST_PAUSE_IN_MS, Math.max(SHORTEST_PAUSE_IN_MS, retryAfterInMs ?? 1_000));
    this.#pausedUntil = Math.max(this.#pausedUntil, Date.now() + pause);
  }

  /** How many may be under way now. */
  get limit(): number {
    return this.#limit;
  }

  #pause(): number {
    return this.#pausedUntil - Date.now();
  }

  #succeeded(): void {
    if (this.#limit === this.#most || ++this.#successes < this.#limit) return;
    this.#successes = 0;
    this.#limit++;
  }

  #admit(): void {
    for (let room = this.#limit - this.#inFlight; room > 0 && this.#waiting.length > 0; room--)
      this.#waiting.shift()?.();
  }
}
