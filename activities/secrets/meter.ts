/** Counts finished Secrets, and reports the rate and the time that is left. */
import type { PassProgress } from '../contract';

/** The rate is that of about this many last milliseconds, so that people see what happens now. */
const RATE_WINDOW_IN_MS = 5_000;

interface Mark {
  readonly at: number;
  readonly done: number;
}

/**
 * Counts towards a total that may grow. The rate is taken over a window in which at least one Secret was finished, however long that
 * takes: where a webhook keeps each write for its timeout, many are finished at once, and then none for a long time.
 */
export class Meter {
  readonly #total: number;
  readonly #now: () => number;
  #done = 0;
  /** The window begins here … */
  #from: Mark;
  /** … and the next one here. */
  #next: Mark;
  #perSecond = 0;

  constructor(total: number, now: () => number = () => performance.now()) {
    this.#total = total;
    this.#now = now;
    this.#from = { at: now(), done: 0 };
    this.#next = this.#from;
  }

  count(): void {
    this.#done++;
  }

  reading(): PassProgress {
    const at = this.#now();
    const elapsed = at - this.#from.at;
    if (elapsed > 0) this.#perSecond = ((this.#done - this.#from.done) * 1000) / elapsed;
    if (at - this.#next.at > RATE_WINDOW_IN_MS && this.#done > this.#next.done) {
      this.#from = this.#next;
      this.#next = { at, done: this.#done };
    }
    const total = Math.max(this.#total, this.#done);
    return {
      done: this.#done,
      total,
      perSecond: this.#perSecond < 10 ? Math.round(this.#perSecond * 10) / 10 : Math.round(this.#perSecond),
      ...(this.#perSecond > 0 ? { etaInSeconds: Math.ceil((total - this.#done) / this.#perSecond) } : {}),
    };
  }
}
