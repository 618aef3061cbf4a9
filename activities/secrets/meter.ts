/** Counts finished Secrets, and reports the rate and the time that is left. */
import type { PassProgress } from '../contract';

/** The rate is that of this many last milliseconds, so that people see what happens now. */
const RATE_WINDOW_IN_MS = 5_000;

/** Counts towards a total that may grow. */
export class Meter {
  #done = 0;
  readonly #total: number;
  #mark = { at: performance.now(), done: 0 };
  #perSecond = 0;

  constructor(total: number) {
    this.#total = total;
  }

  count(): void {
    this.#done++;
  }

  reading(): PassProgress {
    const elapsed = performance.now() - this.#mark.at;
    if (elapsed > 0) this.#perSecond = ((this.#done - this.#mark.done) * 1000) / elapsed;
    const total = Math.max(this.#total, this.#done);
    const reading = {
      done: this.#done,
      total,
      perSecond: Math.round(this.#perSecond),
      ...(this.#perSecond > 0 ? { etaInSeconds: Math.ceil((total - this.#done) / this.#perSecond) } : {}),
    };
    if (elapsed > RATE_WINDOW_IN_MS) this.#mark = { at: performance.now(), done: this.#done };
    return reading;
  }
}
