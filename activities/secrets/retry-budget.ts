/** How often Keyturn retries one Secret, for each kind of failure, and when it gives up. */
import { refusalReason, type Refusal } from '../../domain/refusal';
import type { KubeError } from '../kubernetes/errors';
import { sleep } from '../running';
import type { Pacer } from './pacer';

const MOST_CONFLICTS = 20;
const MOST_SERVER_ERRORS = 3;
const MOST_OUTAGES = 6;
const MOST_THROTTLES = 30;
const FIRST_BACKOFF_IN_MS = 200;
const LONGEST_BACKOFF_IN_MS = 5_000;

/** The tries of one Secret. */
export class RetryBudget {
  readonly #pacer: Pacer;
  readonly #signal: AbortSignal;
  #conflicts = 0;
  #serverErrors = 0;
  #outages = 0;
  #throttles = 0;

  constructor(pacer: Pacer, signal: AbortSignal) {
    this.#pacer = pacer;
    this.#signal = signal;
  }

  /**
   * Waits before another try.
   * @returns a refusal when there is no other try
   * @throws the error when it is about the server and not about this Secret
   */
  async next(error: KubeError): Promise<Refusal | undefined> {
    const { status } = error;
    // A webhook may deny with 401, 429 or 503 as well: that is about this Secret, and another try would not change it.
    if (refusalReason(error) === 'AdmissionDenied') return refusalOf(error);
    // Not about this Secret: no other would be stored, either.
    if (status === 401 || error.storageFull) throw error;
    if (status === 429) {
      if (++this.#throttles > MOST_THROTTLES) throw error;
      this.#pacer.slowDown(error.retryAfterInMs);
      return undefined;
    }
    if (status === 409) return ++this.#conflicts > MOST_CONFLICTS ? refusalOf(error) : undefined;
    if (status === undefined || status === 502 || status === 503) {
      if (++this.#outages > MOST_OUTAGES) throw error;
      await this.#backOff(this.#outages, error.retryAfterInMs);
      return undefined;
    }
    // 500 may be a short fault, a record that cannot be decrypted, or a webhook that fails for just this object.
    if (status === 408 || status >= 500) {
      if (++this.#serverErrors > MOST_SERVER_ERRORS) return refusalOf(error);
      await this.#backOff(this.#serverErrors, error.retryAfterInMs);
      return undefined;
    }
    return refusalOf(error);
  }

  async #backOff(attempt: number, retryAfterInMs: number | undefined): Promise<void> {
    const backoff = Math.min(LONGEST_BACKOFF_IN_MS, FIRST_BACKOFF_IN_MS * 2 ** (attempt - 1));
    await sleep(Math.min(LONGEST_BACKOFF_IN_MS, retryAfterInMs ?? backoff), this.#signal);
  }
}

/** What an answer means for the Secret that it is about. */
export function refusalOf(error: KubeError): Refusal {
  return { reason: refusalReason(error), message: error.message };
}
