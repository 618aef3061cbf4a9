/**
 * One HTTP request and its whole answer, as text.
 *
 * undici's `request` makes a stream for each answer. A rewrite needs a few hundred bytes of text a hundred thousand times, and
 * that stream was two fifths of the cost of a request in this process. So this code takes the answer as undici delivers it, up to a
 * size: whoever answers for a cluster must not fill the memory of a worker that serves all of them.
 */
import type { IncomingHttpHeaders } from 'undici/types/header';
import type { Dispatcher } from 'undici';

/** Pages of lists adapt to the size of what they hold, and the metrics of a large API server have some 20 MB. */
const MOST_BYTES = 64 * 1024 * 1024;

/** The answer was longer than it may be; the rest was not read. */
class AnswerTooLarge extends Error {
  readonly code = 'ANSWER_TOO_LARGE';
}

/** An answer of any status. */
export interface WholeAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/**
 * @param mostBytes of the answer
 * @throws Error of undici when no whole answer came; one with the code `ANSWER_TOO_LARGE`; the signal's reason when it was aborted
 */
export function exchange(
  dispatcher: Dispatcher,
  options: Dispatcher.DispatchOptions,
  signal?: AbortSignal,
  mostBytes = MOST_BYTES,
): Promise<WholeAnswer> {
  return new Promise((resolve, reject) => {
    let status = 0;
    let headers: IncomingHttpHeaders = {};
    let leave: (() => void) | undefined;
    const chunks: Buffer[] = [];
    let size = 0;
    dispatcher.dispatch(options, {
      onRequestStart(started) {
        leave?.();
        if (signal?.aborted) started.abort(reasonOf(signal));
        else if (signal) leave = RequestsUnderWay.of(signal).enter(started);
      },
      onResponseStart(_controller, statusCode, responseHeaders) {
        status = statusCode;
        headers = responseHeaders;
      },
      onResponseData(controller, chunk) {
        size += chunk.length;
        if (size > mostBytes) controller.abort(new AnswerTooLarge(`More than ${mostBytes} bytes.`));
        else chunks.push(chunk);
      },
      onResponseEnd() {
        leave?.();
        // Decoded as a whole: the end of a chunk may cut a character in two.
        resolve({ status, headers, text: Buffer.concat(chunks).toString('utf8') });
      },
      onResponseError(_controller, error) {
        leave?.();
        reject(error);
      },
    });
  });
}

/**
 * The requests that a signal ends: one listener for all of them, with places that later requests use again.
 *
 * With a listener for each request, or a Set of them, dropped parts would point to later ones. V8 keeps a whole chain of such
 * parts, answers included, from the first one that became old until its next full garbage collection: eight kilobytes for each
 * Secret.
 */
class RequestsUnderWay {
  static readonly #bySignal = new WeakMap<AbortSignal, RequestsUnderWay>();
  readonly #places: (Dispatcher.DispatchController | undefined)[] = [];
  readonly #free: number[] = [];

  static of(signal: AbortSignal): RequestsUnderWay {
    let requests = this.#bySignal.get(signal);
    if (requests === undefined) {
      const made = new RequestsUnderWay();
      signal.addEventListener('abort', () => made.#abort(reasonOf(signal)), { once: true });
      this.#bySignal.set(signal, (requests = made));
    }
    return requests;
  }

  /** @returns a function that removes it */
  enter(request: Dispatcher.DispatchController): () => void {
    const place = this.#free.pop() ?? this.#places.length;
    this.#places[place] = request;
    return () => {
      this.#places[place] = undefined;
      this.#free.push(place);
    };
  }

  #abort(reason: Error): void {
    // Each leaves its place meanwhile.
    for (const request of [...this.#places]) request?.abort(reason);
  }
}

function reasonOf(signal: AbortSignal): Error {
  const reason: unknown = signal.reason;
  return reason instanceof Error ? reason : new Error(String(reason));
}
