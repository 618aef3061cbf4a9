/**
 * One Secret, by the proof rule: is it under the target key, and if nobody knows, a fenced patch asks.
 *
 * Does: puts the questions of domain/settling.ts to the API server; asks again after a conflict (somebody wrote it), after a
 *       hiccup and when the server is busy; a bounded number of times.
 * Never does: read a value, change content (but for one annotation where only a change does anything), or let one Secret
 *             that is refused stop the others.
 */
import type { ProofBounds } from '../../domain/proof';
import { refusalReason, type RefusalReason } from '../../domain/refusal';
import { settling, type Answer, type Question, type Settlement } from '../../domain/settling';
import type { KubeConnection } from '../kubernetes/connection';
import { KubeError } from '../kubernetes/errors';
import { patchFenced, readSecret, type SecretMetadata } from '../kubernetes/metadata';
import { sleep } from '../running';
import type { Pacer } from './pacer';

/** What a forced rewrite changes; its value is new for each operation and each Rc, so that it always is a change. */
export const REWRITTEN_ANNOTATION = 'keyturn.dev/rewritten';
const MOST_CONFLICTS = 20;
const MOST_SERVER_ERRORS = 3;
const MOST_OUTAGES = 6;
const MOST_THROTTLES = 30;
const FIRST_BACKOFF_IN_MS = 200;
const LONGEST_BACKOFF_IN_MS = 5_000;

/** The API server does not take it. */
export interface Refused {
  readonly type: 'refused';
  readonly reason: RefusalReason;
  readonly message: string;
}

/** What came out for one Secret. */
export type Outcome = Settlement | Refused;

/** What settling needs. */
export interface SettleContext {
  readonly connection: KubeConnection;
  readonly operationId: string;
  readonly bounds: ProofBounds;
  readonly pacer: Pacer;
  readonly signal: AbortSignal;
}

/**
 * Settles one Secret.
 * @param listed as a list showed it
 * @throws KubeError when the API server is away, or takes no requests of ours at all; the signal's reason
 */
export async function settleSecret(listed: SecretMetadata, context: SettleContext): Promise<Outcome> {
  const patience = new Patience(context.pacer, context.signal);
  const steps = settling(listed, context.bounds);
  let step = steps.next();
  while (!step.done) {
    const answer = await ask(listed, step.value, context, patience);
    if (answer.type === 'refused') return answer;
    step = steps.next(answer);
  }
  return step.value;
}

async function ask(
  secret: SecretMetadata,
  question: Question,
  context: SettleContext,
  patience: Patience,
): Promise<Answer | Refused> {
  const { connection, pacer, signal } = context;
  try {
    const state = await pacer.run(
      () =>
        question.type === 'read'
          ? readSecret(connection, secret, { signal })
          : patchFenced(
              connection,
              { ...secret, ...question.fence },
              { signal, ...(question.forced ? { annotations: forcedAnnotation(context) } : {}) },
            ),
      signal,
    );
    return { type: 'state', state };
  } catch (error) {
    if (!(error instanceof KubeError)) throw error;
    if (error.status === 404) return { type: 'gone' };
    return (await patience.meet(error)) ?? { type: 'unknown' };
  }
}

function forcedAnnotation({ operationId, bounds }: SettleContext): Readonly<Record<string, string>> {
  return { [REWRITTEN_ANNOTATION]: `${operationId}.${bounds.convergedRv}` };
}

/** How often one Secret is tried, by what stood in the way. */
export class Patience {
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
  async meet(error: KubeError): Promise<Refused | undefined> {
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

function refused(error: KubeError): Refused {
  return { type: 'refused', reason: refusalReason(error), message: error.message };
}
