/** The one way out of the command line: `fetch` that honours HTTPS_PROXY and NO_PROXY, which Node's own does not. */
import * as undici from 'undici';
import { CommandFailed, ExitCode } from '../exit-codes';

const proxied = new undici.EnvHttpProxyAgent();

/** `fetch` with the proxy settings of the environment. */
export const httpFetch = ((input: undici.RequestInfo, init?: undici.RequestInit) =>
  undici.fetch(input, { ...init, dispatcher: proxied })) as unknown as typeof fetch;

/** The `Request` that belongs to it: another implementation's is not accepted. */
export const HttpRequest = undici.Request as unknown as typeof Request;

/** A connection that failed, in words. @param what was asked: "The API at https://…" */
export function unreachable(what: string, error: unknown): CommandFailed {
  return new CommandFailed(`${what} does not answer: ${reasonOf(error)}`, ExitCode.Unavailable);
}

function reasonOf(error: unknown): string {
  let last = 'no reason given';
  for (let at = error; at instanceof Error; at = at.cause) {
    const code = 'code' in at && typeof at.code === 'string' ? ` (${at.code})` : '';
    // Several addresses were tried: the message is empty, and each error has its own.
    const first: unknown = at instanceof AggregateError ? at.errors[0] : undefined;
    last = `${at.message === '' && first instanceof Error ? first.message : at.message}${code}`;
  }
  return last;
}
