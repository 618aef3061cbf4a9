/**
 * The HTTP client under every request to Azure, Entra ID's included.
 *
 * Does: bounds each try, from its start to the last byte of its answer.
 * Why: the SDK's own `timeout` ends with the headers of an answer, so one that stalls in its body was awaited for ever; and
 *      after a try that failed, its timer keeps the process alive. Fixed upstream, for Node.js 22 and newer
 *      (Azure/azure-sdk-for-js#39536).
 */
import { createDefaultHttpClient, RestError, type HttpClient, type PipelineRequest } from '@azure/core-rest-pipeline';

const REQUEST_TIMEOUT_IN_MS = 60_000;

/** The `code` of the RestError of a try that took too long. */
export const TIMEOUT_CODE = 'Timeout';

/**
 * @param timeoutInMs for one try
 * @returns a client that throws RestError with the code `Timeout` for a try that took longer, and whatever the SDK's own does
 */
export function createHttpClient(timeoutInMs = REQUEST_TIMEOUT_IN_MS): HttpClient {
  const client = createDefaultHttpClient();
  return {
    async sendRequest(request) {
      const { abortSignal } = request;
      const tryOfRequest = new AbortController();
      const { signal } = tryOfRequest;
      // Raced, since the SDK does not notice an abort while it unpacks the body of a compressed answer.
      const interrupted = new Promise<never>((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
      });
      const timer = setTimeout(() => tryOfRequest.abort(timeoutError(request, timeoutInMs)), timeoutInMs);
      const abort = (): void => tryOfRequest.abort();
      abortSignal?.addEventListener('abort', abort);
      if (abortSignal?.aborted) abort();
      request.abortSignal = signal;
      try {
        return await Promise.race([interrupted, client.sendRequest(request)]);
      } finally {
        clearTimeout(timer);
        abortSignal?.removeEventListener('abort', abort);
        request.abortSignal = abortSignal;
      }
    },
  };
}

function timeoutError(request: PipelineRequest, timeoutInMs: number): RestError {
  return new RestError(`no whole answer within ${timeoutInMs / 1000} s`, { code: TIMEOUT_CODE, request });
}
