/**
 * All Secrets of a cluster, by the proof rule: the engine of rewrite and proof.
 *
 * Does: lists metadata page by page and settles many Secrets at a time.
 * Never does: hold more than a page: memory does not grow with the number of Secrets.
 */
import { setMaxListeners } from 'node:events';
import { wentBackwards, type ProofBounds } from '../../domain/proof';
import { CANARY_COUNT, withoutCanariesOf } from '../canaries';
import { needsPerson } from '../failures';
import type { KubeConnection } from '../kubernetes/connection';
import { countSecrets, listSecretPages, type SecretMetadata } from '../kubernetes/metadata';
import { heartbeating, type Running } from '../running';
import type { RewriteHeartbeat } from '../contract';
import { Pacer } from './pacer';
import { settleSecret, type Outcome } from './settle-secret';

const RATE_WINDOW_IN_MS = 5_000;

/** What is wanted. */
export interface SettleAllOptions {
  readonly bounds: ProofBounds;
  readonly operationId: string;
  /** Requests that may be under way at the same time; fewer when the server asks for it. */
  readonly inFlight: number;
  readonly onOutcome: (secret: SecretMetadata, outcome: Outcome) => void;
}

/** The end of a pass. */
export interface Settled {
  /** Resource version of the list. */
  readonly listRv: string;
  readonly progress: RewriteHeartbeat;
}

/**
 * Settles every Secret except the operation's own canaries, which convergence has settled.
 * @returns the resource version of the list, and the last heartbeat
 * @throws ApplicationFailure `ResourceVersionWentBackwards`, non-retryable
 * @throws KubeError when the API server is away or refuses the list; the signal's reason
 */
export async function settleAll(
  connection: KubeConnection,
  options: SettleAllOptions,
  running: Running,
): Promise<Settled> {
  const { count } = await countSecrets(connection, { signal: running.signal });
  // The count cannot leave out by label; an operation that rewrites has its canaries.
  const meter = new Meter(Math.max(0, count - CANARY_COUNT));
  return heartbeating(
    running,
    () => meter.reading(),
    () => settleListed(connection, options, running.signal, meter),
  );
}

async function settleListed(
  connection: KubeConnection,
  { bounds, operationId, inFlight, onOutcome }: SettleAllOptions,
  outer: AbortSignal,
  meter: Meter,
): Promise<Settled> {
  // The first failure of one stops all: what was settled stays settled, and the next try skips it by the rule.
  const failure = new AbortController();
  const signal = AbortSignal.any([outer, failure.signal]);
  // One listener for each request under way: no leak.
  setMaxListeners(0, signal);
  const context = { connection, bounds, pacer: new Pacer(inFlight), signal };
  let listRv = '';
  const secrets = (async function* (): AsyncGenerator<SecretMetadata> {
    for await (const page of listSecretPages(connection, { labelSelector: withoutCanariesOf(operationId), signal })) {
      refuseOldList(page.resourceVersion, bounds);
      listRv = page.resourceVersion;
      yield* page.items;
    }
  })();
  const settleInTurn = async (): Promise<void> => {
    for (;;) {
      const next = await secrets.next();
      if (next.done) return;
      signal.throwIfAborted();
      onOutcome(next.value, await settleSecret(next.value, context));
      meter.count();
    }
  };
  const workers = Array.from({ length: inFlight }, () =>
    settleInTurn().catch((error: unknown) => {
      failure.abort(error);
      throw error;
    }),
  );
  const ends = await Promise.allSettled(workers);
  // A failure of the list itself ends one worker with the error and the others as if the list had ended.
  outer.throwIfAborted();
  if (failure.signal.aborted) throw failure.signal.reason;
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
  return { listRv, progress: meter.reading() };
}

function refuseOldList(listRv: string, { baselineRv, convergedRv }: ProofBounds): void {
  for (const earlier of [baselineRv, convergedRv]) {
    if (earlier === null || !wentBackwards(earlier, listRv)) continue;
    throw needsPerson(
      'ResourceVersionWentBackwards',
      `A list of Secrets has the resource version ${listRv}, but ${earlier} was seen before. Was etcd restored from a backup? ` +
        'Nothing that was proven earlier holds any more. Keep every key of the backup, and start a new operation.',
    );
  }
}

/** Counts, and tells how fast. */
class Meter {
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

  reading(): RewriteHeartbeat {
    const elapsed = performance.now() - this.#mark.at;
    if (elapsed > 0) this.#perSecond = ((this.#done - this.#mark.done) * 1000) / elapsed;
    const reading = {
      done: this.#done,
      total: Math.max(this.#total, this.#done),
      perSecond: Math.round(this.#perSecond),
    };
    if (elapsed > RATE_WINDOW_IN_MS) this.#mark = { at: performance.now(), done: this.#done };
    return reading;
  }
}
