/** Requests to every route at once, and what a client sees of them. */
import { createParser } from 'eventsource-parser';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { SampleRequest } from './sample-requests';

/** Far more than any route takes: only an answer that never comes takes longer. */
const NEVER_AFTER_IN_MS = 90_000;
const Problem = z.object({ code: z.string() });

/** What a client sees of an answer. */
export interface Answered {
  /** Which request it was. */
  readonly of: string;
  /** 0 when no answer came. */
  readonly status: number;
  readonly code?: string;
  readonly retryAfter?: string;
}

/** A request as the tables of a test name it. */
export const knownBy = ({ operationId, path }: SampleRequest): string =>
  path.includes('validateOnly') ? `${operationId} validateOnly` : operationId;

/** Sends all at once. @param key the Idempotency-Key of what is created */
export async function sendAll(
  url: string,
  token: string,
  requests: readonly SampleRequest[],
  key: string,
): Promise<Answered[]> {
  return await Promise.all(
    requests.map(async (request) => {
      const { method, path, body } = request;
      const headers = {
        authorization: `Bearer ${token}`,
        ...(path === '/v1/operations' ? { 'idempotency-key': key } : {}),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      };
      const sent = { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) };
      return { of: knownBy(request), ...(await answered(url + path, sent)) };
    }),
  );
}

/** Asks one thing again and again until the signal is aborted. */
export async function answersOf(url: string, token: string, signal: AbortSignal): Promise<Omit<Answered, 'of'>[]> {
  const all: Omit<Answered, 'of'>[] = [];
  while (!signal.aborted) {
    all.push(await answered(url, { headers: { authorization: `Bearer ${token}` } }));
    await sleep(50);
  }
  return all;
}

async function answered(url: string, sent: RequestInit): Promise<Omit<Answered, 'of'>> {
  try {
    const response = await fetch(url, { ...sent, signal: AbortSignal.timeout(NEVER_AFTER_IN_MS) });
    const { status, headers } = response;
    if (headers.get('content-type')?.startsWith('text/event-stream') === true) {
      await response.body?.cancel();
      return { status };
    }
    const text = await response.text();
    if (headers.get('content-type') !== 'application/problem+json') return { status };
    const { code } = Problem.parse(JSON.parse(text));
    const retryAfter = headers.get('retry-after');
    return { status, code, ...(retryAfter === null ? {} : { retryAfter }) };
  } catch (error) {
    return { status: 0, code: String(error) };
  }
}

/** A stream of events that is followed. */
export interface Followed {
  /** The ids of the events so far, in order. */
  ids(): string[];
  /** Resolves when the API ends the stream; rejects when the connection breaks. */
  readonly ended: Promise<void>;
}

/** Follows a stream. It is not opened again when it ends. */
export async function followed(url: string, token: string): Promise<Followed> {
  const response = await fetch(url, { headers: { authorization: `Bearer ${token}` } });
  const { body } = response;
  if (!response.ok || body === null) throw new Error(`The stream was answered with ${response.status}.`);
  const ids: string[] = [];
  const parser = createParser({ onEvent: ({ id }) => void (id === undefined ? undefined : ids.push(id)) });
  const decoder = new TextDecoder();
  const read = async (): Promise<void> => {
    for await (const piece of body as unknown as AsyncIterable<Uint8Array>)
      parser.feed(decoder.decode(piece, { stream: true }));
  };
  const end = read();
  end.catch(() => undefined);
  return { ids: () => [...ids], ended: end };
}
