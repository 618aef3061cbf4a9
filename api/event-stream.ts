/**
 * The events of an operation as server-sent events (HTML standard, section 9.2).
 *
 * Does: writes each event once, in order, with its id; counts of a long step as `progress` without an id; a comment every 15 s, so
 * that proxies keep the connection. Ends after the last event, and after a quarter of an hour: the client connects again and is
 * authorized again.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { eventId, eventsOf, isLast } from '../domain/events';
import type { Operation, StepProgress } from '../domain/operation';

const HEARTBEAT_IN_MS = 15_000;
const LONGEST_STREAM_IN_MS = 15 * 60_000;
/** After which a client connects again. */
const RETRY_IN_MS = 2_000;

/** What a stream is made from. */
export interface EventStream {
  /** The views of the operation, the newest last. */
  readonly views: AsyncIterable<Operation>;
  /** The last event that the client has, by its place in the list; 0 for none. */
  readonly after: number;
  /** For links; without a slash at the end. */
  readonly publicUrl: string;
  readonly signal: AbortSignal;
  readonly heartbeatInMs?: number;
}

/** The text of a stream, piece by piece. */
export async function* eventStream(stream: EventStream): AsyncGenerator<string> {
  const { views, publicUrl, signal, heartbeatInMs = HEARTBEAT_IN_MS } = stream;
  const until = performance.now() + LONGEST_STREAM_IN_MS;
  const iterator = views[Symbol.asyncIterator]();
  let sent = stream.after;
  let progress = '';
  try {
    yield `retry: ${RETRY_IN_MS}\n\n`;
    let next = iterator.next();
    while (!signal.aborted && performance.now() < until) {
      const result = await orHeartbeat(next, heartbeatInMs);
      if (result === undefined) {
        yield ': the operation goes on\n\n';
        continue;
      }
      if (result.done === true) return;
      const operation = result.value;
      next = iterator.next();
      // It may fail while nobody waits for it.
      next.catch(() => undefined);
      for (const event of eventsOf(operation, publicUrl)) {
        if (event.data.sequence <= sent) continue;
        sent = event.data.sequence;
        yield `id: ${eventId(event)}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;
        if (isLast(event)) return;
      }
      const counts = textOf(operation.progress);
      if (counts !== '' && counts !== progress) yield `event: progress\ndata: ${counts}\n\n`;
      progress = counts;
    }
  } finally {
    // Not awaited: an iterator that waits for news ends by the signal.
    void iterator.return?.();
  }
}

function textOf(progress: StepProgress | null): string {
  return progress === null ? '' : JSON.stringify(progress);
}

/** The next view, or undefined when the time has passed. */
async function orHeartbeat<T>(next: Promise<T>, timeInMs: number): Promise<T | undefined> {
  const timer = new AbortController();
  const beat = sleep(timeInMs, undefined, { signal: timer.signal, ref: false }).catch(() => undefined);
  try {
    return await Promise.race([next, beat]);
  } finally {
    timer.abort();
  }
}
