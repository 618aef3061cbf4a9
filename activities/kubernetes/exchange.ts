/**
 * One HTTP request and its whole answer, as text.
 *
 * undici's `request` makes a stream for each answer; a rewrite wants a few hundred bytes of text a hundred thousand times, and
 * that stream was two fifths of what a request cost this process. So this takes the answer as undici hands it over.
 */
import type { IncomingHttpHeaders } from 'undici/types/header';
import type { Dispatcher } from 'undici';

/** An answer, whatever its status. */
export interface WholeAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** @throws Error of undici when no whole answer came; the signal's reason when it was aborted */
export function exchange(
  dispatcher: Dispatcher,
  options: Dispatcher.DispatchOptions,
  signal?: AbortSignal,
): Promise<WholeAnswer> {
  return new Promise((resolve, reject) => {
    let status = 0;
    let headers: IncomingHttpHeaders = {};
    let controller: Dispatcher.DispatchController | undefined;
    const chunks: Buffer[] = [];
    const abort = (): void => controller?.abort(reasonOf(signal));
    const end = (): void => signal?.removeEventListener('abort', abort);
    dispatcher.dispatch(options, {
      onRequestStart(started) {
        controller = started;
        if (signal?.aborted) abort();
        else signal?.addEventListener('abort', abort);
      },
      onResponseStart(_controller, statusCode, responseHeaders) {
        status = statusCode;
        headers = responseHeaders;
      },
      onResponseData(_controller, chunk) {
        chunks.push(chunk);
      },
      onResponseEnd() {
        end();
        // Decoded at once: a character may be cut in two by a chunk's end.
        resolve({ status, headers, text: Buffer.concat(chunks).toString('utf8') });
      },
      onResponseError(_controller, error) {
        end();
        reject(error);
      },
    });
  });
}

function reasonOf(signal: AbortSignal | undefined): Error {
  const reason: unknown = signal?.reason;
  return reason instanceof Error ? reason : new Error(String(reason));
}
