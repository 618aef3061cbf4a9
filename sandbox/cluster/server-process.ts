/**
 * Starting a server program and waiting for it, with an error message that says why it did not come up.
 *
 * Does: asks again and again until the server is ready, has ended, gets nowhere, or takes too long; tries other ports
 *       when another process took the ones that were free a moment ago.
 * Never does: restart a server that was ready once, or hand it the environment: etcd reads `ETCD_*`, Go proxies and more.
 */
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { startChild, type Child } from '../../tools/child-process';
import { messageOf } from '../message-of';

const ATTEMPTS = 3;
const PORT_TAKEN = 'address already in use';
/** Enough for the last words of etcd, which come as one JSON object a line. */
const LOG_TAIL_IN_CHARACTERS = 64 * 1024;
const LOG_TAIL_LINES = 10;
/** Log lines of Go servers can be very long: an error message needs their beginnings. */
const LOG_LINE_LIMIT = 400;
/** Severity, date, time and thread of klog: what differs between two lines that say the same. */
const KLOG_STAMP = /^[IWEF]\d{4} [\d:.]+ +\d+ /;

/** What stays the same over all attempts to start a server. */
export interface ServerOptions {
  /** What people call it: `etcd`. */
  readonly name: string;
  /** Path of the binary. */
  readonly binary: string;
  /** Gets all output, appended. */
  readonly logFile: string;
  readonly timeoutInMs: number;
  /** Gives up earlier when the server has given the same answer for so long. Silence does not count: it may be starting. */
  readonly stallInMs: number;
  readonly intervalInMs: number;
  /** Variables for it beside PATH and TMPDIR. */
  readonly env?: NodeJS.ProcessEnv;
  /** Sentences that only the caller knows, for the message when the server does not get ready. */
  readonly hints?: () => readonly string[];
  readonly signal?: AbortSignal;
}

/** One attempt, with ports of its own. */
export interface ServerAttempt {
  readonly args: readonly string[];
  /** Undefined when the server is ready, else what it said. Throws when it cannot be reached. */
  readonly probe: () => Promise<string | undefined>;
}

/** A server that did not get ready. The message has its last answer and the end of its log. */
export class NotReadyError extends Error {
  override readonly name = 'NotReadyError';
}

/**
 * Starts a server; resolves when it is ready.
 * @param attempt finds ports and says how to start and to probe; called again when a port was taken meanwhile
 * @throws NotReadyError when it ended, stalled or timed out; the signal's reason when aborted. Nothing is left running.
 */
export async function startServer<Attempt extends ServerAttempt>(
  options: ServerOptions,
  attempt: () => Promise<Attempt>,
): Promise<{ readonly child: Child; readonly attempt: Attempt }> {
  for (let count = 1; ; count++) {
    const current = await attempt();
    const child = startChild({
      name: options.name,
      command: options.binary,
      args: current.args,
      env: { PATH: process.env['PATH'], TMPDIR: process.env['TMPDIR'], ...options.env },
      logFile: options.logFile,
    });
    try {
      await untilReady(child, current.probe, options);
      return { child, attempt: current };
    } catch (error) {
      await child.stop({ graceInMs: 0 });
      const portTaken = error instanceof NotReadyError && error.message.includes(PORT_TAKEN);
      if (!portTaken || count === ATTEMPTS) throw error;
    }
  }
}

async function untilReady(child: Child, probe: ServerAttempt['probe'], options: ServerOptions): Promise<void> {
  const { signal, timeoutInMs, stallInMs, intervalInMs } = options;
  const startedAt = performance.now();
  const ended = child.exited.then((exit) => ({ exit }));
  let last: string | undefined;
  let sameSince = startedAt;
  for (;;) {
    signal?.throwIfAborted();
    const seen = await Promise.race([ended, ask(probe)]);
    if ('exit' in seen) {
      throw await notReady(options, `ended with ${seen.exit.signal ?? `code ${seen.exit.code}`} before it was ready`);
    }
    if (seen.said === undefined) return;
    const now = performance.now();
    if (seen.said !== last || !seen.reached) sameSince = now;
    last = seen.said;
    if (now - startedAt > timeoutInMs || now - sameSince > stallInMs) {
      throw await notReady(options, `was not ready after ${Math.round((now - startedAt) / 1000)} s: ${last}`);
    }
    await sleep(intervalInMs, undefined, { signal });
  }
}

async function ask(probe: ServerAttempt['probe']): Promise<{ readonly said?: string; readonly reached: boolean }> {
  try {
    return { said: await probe(), reached: true };
  } catch (error) {
    return { said: messageOf(error), reached: false };
  }
}

async function notReady(options: ServerOptions, what: string): Promise<NotReadyError> {
  const hints = (options.hints?.() ?? []).map((hint) => ` ${hint}`).join('');
  const tail = await logTail(options.logFile);
  return new NotReadyError(`${options.name} ${what}.${hints}\nIts log ${options.logFile} ends with:\n${tail}`);
}

/** The last different lines of a log; a server that is stuck says the same thing many times. */
async function logTail(logFile: string): Promise<string> {
  const text = await readFile(logFile, 'utf8').catch(() => '');
  const lines = new Map<string, string>();
  for (const line of text.slice(-LOG_TAIL_IN_CHARACTERS).trimEnd().split('\n')) {
    const message = line.replace(KLOG_STAMP, '');
    lines.delete(message);
    lines.set(message, line.slice(0, LOG_LINE_LIMIT));
  }
  return [...lines.values()].slice(-LOG_TAIL_LINES).join('\n');
}
