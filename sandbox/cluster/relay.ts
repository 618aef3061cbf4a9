/**
 * One direction of a proxied TCP connection: source → sink, delayed by a latency that may change at any time.
 *
 * The delay is that of a long wire, not of a slow one: chunks travel at the same time, so throughput stays, and they
 * never overtake each other.
 */
import type { Socket } from 'node:net';

/** More than this on its way, and the source has to wait. */
const BUFFER_LIMIT_IN_BYTES = 1024 * 1024;

/** How to relay. */
export interface RelayOptions {
  readonly source: Socket;
  readonly sink: Socket;
  /** Asked for each chunk. 0 passes it on at once. */
  readonly latencyInMs: () => number;
  /** Called when a chunk has arrived from the source. */
  readonly onChunk: (chunk: Buffer) => void;
}

/** A relay at work; it ends with its sockets. */
export interface Relay {
  /** Whether something that arrived from the source has not left to the sink yet. */
  pending(): boolean;
}

/** `null` is the end of the stream: the sink is half-closed after everything that came before. */
interface Travelling {
  readonly chunk: Buffer | null;
  readonly dueAt: number;
}

/** Starts relaying. Errors and closing are the caller's: a relay only passes on data and a clean end. */
export function startRelay({ source, sink, latencyInMs, onChunk }: RelayOptions): Relay {
  const queue: Travelling[] = [];
  let queuedBytes = 0;
  let timer: NodeJS.Timeout | undefined;

  const regulate = (): void => {
    if (queuedBytes + sink.writableLength > BUFFER_LIMIT_IN_BYTES) source.pause();
    else if (source.isPaused()) source.resume();
  };
  const deliver = (chunk: Buffer | null): void => {
    if (!sink.writable) return;
    // Nobody is left to read what the sink's side may still say once the source is gone.
    if (chunk === null && source.destroyed) sink.destroySoon();
    else if (chunk === null) sink.end();
    else sink.write(chunk);
  };
  const deliverDue = (): void => {
    timer = undefined;
    for (let head = queue[0]; head !== undefined; head = queue[0]) {
      const wait = head.dueAt - performance.now();
      if (wait > 0) {
        timer = setTimeout(deliverDue, Math.ceil(wait));
        break;
      }
      queue.shift();
      queuedBytes -= head.chunk?.length ?? 0;
      deliver(head.chunk);
    }
    regulate();
  };
  const accept = (chunk: Buffer | null): void => {
    const latency = latencyInMs();
    if (latency === 0 && queue.length === 0) {
      deliver(chunk);
      regulate();
      return;
    }
    // A latency that was lowered must not let this chunk overtake the ones before it.
    const dueAt = Math.max(performance.now() + latency, queue.at(-1)?.dueAt ?? 0);
    queue.push({ chunk, dueAt });
    queuedBytes += chunk?.length ?? 0;
    timer ??= setTimeout(deliverDue, latency);
    regulate();
  };

  source.on('data', (chunk: Buffer) => {
    onChunk(chunk);
    accept(chunk);
  });
  source.on('end', () => accept(null));
  sink.on('drain', regulate);
  sink.on('close', () => clearTimeout(timer));
  return { pending: () => queue.length > 0 };
}
