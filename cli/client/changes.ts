/**
 * Tells when an operation may have changed: by the API's events (SSE) where it has them, otherwise after a time.
 *
 * What an event says is not read: the operation itself is. So a lost, doubled or unknown event does no harm.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { EventSourceParserStream } from 'eventsource-parser/stream';
import type { Api } from './client';
import { httpFetch } from './http';

/** With events, an operation is still read that often: a connection may be dead without notice. */
const READ_ANYWAY_IN_MS = 20_000;

/** Waits for changes of one operation. */
export class Changes {
  readonly #ended = new AbortController();
  #listening = false;
  #happened = false;
  #wake: (() => void) | undefined;

  constructor(
    private readonly api: Api,
    private readonly id: string,
  ) {}

  /** Whether the API sends events for this operation now. */
  get listening(): boolean {
    return this.#listening;
  }

  /** Asks for events. An API without them is no error. */
  start(): void {
    void this.#listen().finally(() => {
      this.#listening = false;
      this.#wake?.();
    });
  }

  /** Resolves when the operation may have changed: at an event, or after the time. */
  async next(pollAfterInMs: number, signal: AbortSignal): Promise<void> {
    if (!this.#happened) {
      const waked = new AbortController();
      this.#wake = () => waked.abort();
      const longest = this.#listening ? READ_ANYWAY_IN_MS : pollAfterInMs;
      await sleep(longest, undefined, { signal: AbortSignal.any([waked.signal, signal]) }).catch(() => undefined);
      this.#wake = undefined;
    }
    this.#happened = false;
  }

  /** Closes the connection. */
  stop(): void {
    this.#ended.abort();
  }

  async #listen(): Promise<void> {
    try {
      const response = await httpFetch(`${this.api.url}/v1/operations/${encodeURIComponent(this.id)}/events`, {
        headers: { accept: 'text/event-stream', authorization: `Bearer ${await this.api.token()}` },
        signal: this.#ended.signal,
      });
      const isStream = response.headers.get('content-type')?.startsWith('text/event-stream') === true;
      if (!response.ok || !isStream || response.body === null) {
        await response.body?.cancel();
        return;
      }
      this.#listening = true;
      const events = response.body.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream());
      for await (const _event of events) {
        this.#happened = true;
        this.#wake?.();
      }
    } catch {
      // The connection ended: the operation is read after a time from now on.
    }
  }
}
