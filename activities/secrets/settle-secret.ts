/**
 * One Secret, by the proof rule: is it under the target key, and if nobody knows, a fenced no-op patch asks.
 *
 * Does: asks again after a conflict (somebody wrote it), after a hiccup and when the server is busy; a bounded number of times.
 * Never does: read a value, change content, or let one Secret that is refused stop the others.
 */
import { bandOf, compareResourceVersions, judgeNoOp, type ProofBounds } from '../../domain/proof';
import type { KubeConnection } from '../kubernetes/connection';
import { KubeError } from '../kubernetes/errors';
import { patchFenced, readSecret, type SecretMetadata } from '../kubernetes/metadata';
import { sleep } from '../running';
import type { Pacer } from './pacer';

const MOST_CONFLICTS = 20;
const MOST_SERVER_ERRORS = 3;
const MOST_OUTAGES = 6;
const MOST_THROTTLES = 30;
const FIRST_BACKOFF_IN_MS = 200;
const LONGEST_BACKOFF_IN_MS = 5_000;

/** What came out for one Secret. */
export type Outcome =
  /** `rewritten`: stored anew by this. `alreadyProven`: by somebody, after convergence. `unchanged`: answered "not stale" where that is accepted. `gone`: deleted. */
  | { readonly type: 'rewritten' | 'alreadyProven' | 'unchanged' | 'gone' }
  /** It had to change and did not. */
  | { readonly type: 'contradiction'; readonly resourceVersion: string }
  | { readonly type: 'refused'; readonly reason: string; readonly message: string };

/** What settling needs. */
export interface SettleContext {
  readonly connection: KubeConnection;
  readonly bounds: ProofBounds;
  readonly pacer: Pacer;
  readonly signal: AbortSignal;
}

/**
 * Settles one Secret.
 * @param listed as a list showed it
 * @throws KubeError when the API server is away, or takes no requests of ours at all; the signal's reason
 */
export async function settleSecret(
  listed: SecretMetadata,
  { connection, bounds, pacer, signal }: SettleContext,
): Promise<Outcome> {
  const patience = new Patience(pacer, signal);
  let known = listed;
  let mustRead = false;
  for (;;) {
    try {
      if (mustRead) {
        known = await pacer.run(() => readSecret(connection, known, { signal }), signal);
        mustRead = false;
      }
      const band = bandOf(known.resourceVersion, bounds);
      if (band === 'after-convergence') return { type: 'alreadyProven' };
      const before = known;
      const after = await pacer.run(() => patchFenced(connection, before, { signal }), signal);
      if (judgeNoOp(band, before.resourceVersion, after.resourceVersion) === 'contradiction') {
        return { type: 'contradiction', resourceVersion: before.resourceVersion };
      }
      const changed = compareResourceVersions(after.resourceVersion, before.resourceVersion) > 0;
      return { type: changed ? 'rewritten' : 'unchanged' };
    } catch (error) {
      if (!(error instanceof KubeError)) throw error;
      if (error.status === 404) return { type: 'gone' };
      const refusal = await patience.meet(error);
      if (refusal !== undefined) return refusal;
      // Somebody wrote it, or our own patch was done and its answer lost: the rule is applied to what is there now.
      mustRead = true;
    }
  }
}

/** How often one Secret is tried, by what stood in the way. */
class Patience {
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
   * @returns a refusal when there is to be none
   * @throws the error when it is about the server and not about this Secret
   */
  async meet(error: KubeError): Promise<Outcome | undefined> {
    const { status } = error;
    if (status === 401) throw error;
    if (status === 429) {
      if (++this.#throttles > MOST_THROTTLES) throw error;
      this.#pacer.slowDown(error.retryAfterInMs);
      return undefined;
    }
    if (status === 409) return ++this.#conflicts > MOST_CONFLICTS ? refused(error) : undefined;
    if (status === undefined || status === 502 || status === 503) {
      if (++this.#outages > MOST_OUTAGES) throw error;
      await this.#backOff(this.#outages, error.retryAfterInMs);
      return undefined;
    }
    // 500 may be a hiccup, a record that cannot be decrypted, or a webhook in trouble with just this object.
    if (status === 408 || status >= 500) {
      if (++this.#serverErrors > MOST_SERVER_ERRORS) return refused(error);
      await this.#backOff(this.#serverErrors, error.retryAfterInMs);
      return undefined;
    }
    return refused(error);
  }

  async #backOff(attempt: number, retryAfterInMs: number | undefined): Promise<void> {
    const backoff = Math.min(LONGEST_BACKOFF_IN_MS, FIRST_BACKOFF_IN_MS * 2 ** (attempt - 1));
    await sleep(Math.min(LONGEST_BACKOFF_IN_MS, retryAfterInMs ?? backoff), this.#signal);
  }
}

function refused({ reason, message }: KubeError): Outcome {
  return { type: 'refused', reason, message };
}
