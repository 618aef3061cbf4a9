/**
 * Every response of a Keyturn API that a test gets by `fetch` is held against the API document. One that the document does not
 * describe fails the test, whatever the test itself looks at.
 */
import { DocumentCheck } from './document-check';

/** The paths of the API; the other servers on loopback have none of them. */
const API_PATHS = /^\/(?:v1\/|healthz$|readyz$|openapi\.json$|docs(?:\/|$))/;
const LOOPBACK = new Set(['127.0.0.1', 'localhost', '[::1]']);

const faults: string[] = [];
let check: Promise<DocumentCheck> | undefined;

/** Puts the check between the tests of this file and `fetch`. */
export function checkResponses(): void {
  const plainFetch = globalThis.fetch;
  globalThis.fetch = async (input, init) => {
    const response = await plainFetch(input, init);
    const request = requestOf(input, init);
    if (isApi(request.url)) await hold(request, response, plainFetch);
    return response;
  };
}

/** @throws Error that names every response since the last call that the document does not describe */
export function expectDocumentedResponses(): void {
  const found = [...new Set(faults.splice(0))];
  if (found.length === 0) return;
  throw new Error(
    `The API document (/openapi.json) does not describe these responses; mend the document or the API:\n${found.join('\n')}`,
  );
}

/** For a test of the check itself: what has been found and is not reported yet. */
export function takeFaults(): string[] {
  return faults.splice(0);
}

async function hold(
  { url, method }: { readonly url: URL; readonly method: string },
  response: Response,
  plainFetch: typeof fetch,
): Promise<void> {
  const { status, headers } = response;
  let text: string | undefined;
  try {
    const endless = headers.get('content-type')?.startsWith('text/event-stream') ?? false;
    text = endless ? undefined : await response.clone().text();
    // The document of one API is that of all: it is made from the table of routes.
    check ??= documentOf(url.origin, plainFetch);
    await check;
  } catch {
    // The API went away in the middle, as some tests want it; the next response makes up for the document.
    check = undefined;
    return;
  }
  const path = url.pathname;
  for (const fault of (await check).faultsOf({ method, path, status, headers, text })) {
    faults.push(`  ${method} ${path}, ${status}: ${fault}`);
  }
}

async function documentOf(origin: string, plainFetch: typeof fetch): Promise<DocumentCheck> {
  const response = await plainFetch(`${origin}/openapi.json`);
  return new DocumentCheck(await response.json());
}

function isApi({ hostname, pathname, protocol }: URL): boolean {
  return protocol === 'http:' && LOOPBACK.has(hostname) && API_PATHS.test(pathname);
}

function requestOf(
  input: Parameters<typeof fetch>[0],
  init: Parameters<typeof fetch>[1],
): { readonly url: URL; readonly method: string } {
  const request = input instanceof Request ? input : undefined;
  const url = new URL(request?.url ?? input);
  return { url, method: (init?.method ?? request?.method ?? 'GET').toUpperCase() };
}
