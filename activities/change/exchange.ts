/**
 * One request to a change system, bounded in time and size.
 *
 * Does: goes through the proxy of the environment; tells an answer in JSON from anything else.
 * Never does: follow a redirect, since credentials go with the request; or show a body that is not what was expected.
 */
import { EnvHttpProxyAgent, request } from 'undici';
import { OwnError } from '../../domain/own-error';

const TIMEOUT_IN_MS = 15_000;
const MOST_BYTES = 256 * 1024;

/** The system did not answer, or with nothing that can be used. The message is a sentence for people. */
export class ChangeSystemAway extends OwnError {}

/** An answer. */
export interface JsonAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
  /** The body; undefined when it is no JSON. */
  readonly body: unknown;
}

let agent: EnvHttpProxyAgent | undefined;

/** Sends a request. @throws ChangeSystemAway when there is no answer; the signal's reason */
export async function exchange(
  url: string,
  options: {
    readonly method: 'GET' | 'POST';
    readonly headers: Readonly<Record<string, string>>;
    readonly body?: string;
    readonly signal: AbortSignal;
  },
): Promise<JsonAnswer> {
  const { signal, method, body } = options;
  const limited = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_IN_MS)]);
  agent ??= new EnvHttpProxyAgent({ connect: { timeout: TIMEOUT_IN_MS } });
  const host = new URL(url).host;
  try {
    const answer = await request(url, {
      method,
      headers: { accept: 'application/json', ...options.headers },
      ...(body === undefined ? {} : { body }),
      signal: limited,
      dispatcher: agent,
    });
    const chunks: Buffer[] = [];
    let size = 0;
    for await (const chunk of answer.body as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > MOST_BYTES) throw new ChangeSystemAway(`${host} answered with more than ${MOST_BYTES / 1024} kB.`);
      chunks.push(chunk);
    }
    const text = Buffer.concat(chunks).toString('utf8');
    const headers = Object.fromEntries(
      Object.entries(answer.headers).map(([name, value]) => [
        name,
        Array.isArray(value) ? (value[0] ?? '') : (value ?? ''),
      ]),
    );
    return { status: answer.statusCode, headers, text, body: parsed(text) };
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof ChangeSystemAway) throw error;
    if (limited.aborted) throw new ChangeSystemAway(`${host} did not answer within ${TIMEOUT_IN_MS / 1000} s.`);
    throw new ChangeSystemAway(`${host} does not answer${codeOf(error)}.`);
  }
}

/** Why an answer with another status than the expected one cannot be used. */
export function statusSentence(url: string, { status, headers }: JsonAnswer): string {
  const host = new URL(url).host;
  if (status === 429) {
    const after = headers['retry-after'];
    const when = after !== undefined && /^\d{1,6}$/.test(after) ? `, and asks to wait ${after} s` : '';
    return `${host} has had too many requests (HTTP 429)${when}.`;
  }
  if (status === 401 || status === 403) {
    return `${host} does not accept Keyturn's credentials, or they lack a right (HTTP ${status}).`;
  }
  return `${host} answered with HTTP ${status}.`;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** `ECONNREFUSED` and the like. */
function codeOf(error: unknown): string {
  const code = (error as { code?: unknown }).code;
  return typeof code === 'string' && /^[A-Z][A-Z0-9_]{1,60}$/.test(code) ? ` (${code})` : '';
}
