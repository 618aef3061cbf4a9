/**
 * How many requests may be under way, and when the next one may start: as many as the API server handles well, and no more a
 * second than the owners of the cluster and the vault allow.
 *
 * Additive increase, multiplicative decrease, as in TCP: a refusal for load halves the number and makes all requests wait as
 * long as the server asked. Success raises the number again one by one, up to a limit that the latency guard lowers and raises.
 */
import { sleep } from '../running';

const LONGEST_PAUSE_IN_MS = 60_000;
const SHORTEST_PAUSE_IN_MS = 250;

/** The limits of a pacer. */
export interface PacerLimits {
  /** Requests that may be under way at the same time, at most. */
  readonly inFlight: number;
  /** Requests that may start in a second; absent or null is no limit. */
  readonly perSecond?: number | null;
}

/** Lets requests pass. */
export class Pacer {
  readonly #most: number;
  readonly #intervalInMs: number;
  #limit: number;
  #allowed: number;
  #inFlight = 0;
  #successes = 0;
  #pausedUntil = 0;
  #nextStartAt = 0;
  readonly #waiting: (() => void)[] = [];

  constructor({ inFlight, perSecond }: PacerLimits) {
    this.#most = inFlight;
    this.#allowed = inFlight;
    this.#limit = inFlight;
    this.#intervalInMs = perSecond ? 1000 / perSecond : 0;
  }

  /** Runs one request when there is room. @throws the signal's reason; what the request throws */
  async run<T>(request: () => Promise<T>, signal: AbortSignal): Promise<T> {
    while (this.#inFlight >= this.#limit) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
      if (!signal.aborted) continue;
      // This request does not use its place, so the next one gets it.
      this.#admit();
      signal.throwIfAborted();
    }
    this.#inFlight++;
    try {
      if (this.#intervalInMs > 0) await this.#turn(signal);
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

  /** Allows at most this many requests under way from now: at least 1, and no more than the pacer was made for. */
  allow(most: number): void {
    this.#allowed = Math.max(1, Math.min(this.#most, Math.floor(most)));
    this.#limit = Math.min(this.#limit, this.#allowed);
  }

  /** What `allow` set last. */
  get allowed(): number {
    return this.#allowed;
  }

  #pause(): number {
    return this.#pausedUntil - Date.now();
  }

  /** Waits for this request's place in an even row of starts. */
  async #turn(signal: AbortSignal): Promise<void> {
    const startAt = Math.max(Date.now(), this.#nextStartAt);
    this.#nextStartAt = startAt + this.#intervalInMs;
    const left = startAt - Date.now();
    if (left > 0) await sleep(left, signal);
  }

  #succeeded(): void {
    if (this.#limit >= this.#allowed || ++this.#successes < this.#limit) return;
    this.#successes = 0;
    this.#limit++;
  }

  #admit(): void {
    for (let room = this.#limit - this.#inFlight; room > 0 && this.#waiting.length > 0; room--)
      this.#waiting.shift()?.();
  }
}
