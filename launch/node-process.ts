/** Starting one of Keyturn's own processes: each prints one line of JSON when it is ready. */
import path from 'node:path';
import { startChild, type Child } from '../tools/child-process';

/** A process of ours that is ready, with what it said of itself. */
export interface ReadyProcess {
  readonly child: Child;
  readonly said: unknown;
}

/** How to start one. */
export interface NodeProcessOptions {
  readonly name: string;
  /** Path of the script below the folder of compiled code: `api/main.js`. */
  readonly script: string;
  readonly args?: readonly string[];
  /** Options of Node.js itself. */
  readonly nodeOptions?: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  /** The file that its log goes to. */
  readonly logFile: string;
  readonly readyTimeoutInMs?: number;
}

const DEFAULT_READY_TIMEOUT_IN_MS = 120_000;

/** The compiled code, also when this module itself runs from its sources (tests). */
export const COMPILED =
  path.basename(path.dirname(__dirname)) === 'dist' ? path.dirname(__dirname) : path.join(__dirname, '..', 'dist');

/**
 * Starts a process and waits for its first line.
 * @throws Error with the end of its output when it ends first, or says nothing in time
 */
export async function startNodeProcess(options: NodeProcessOptions): Promise<ReadyProcess> {
  let resolveLine: (line: string) => void;
  const firstLine = new Promise<string>((resolve) => (resolveLine = resolve));
  let buffered = '';
  const child = startChild({
    name: options.name,
    command: process.execPath,
    args: [
      '--enable-source-maps',
      ...(options.nodeOptions ?? []),
      path.join(COMPILED, options.script),
      ...(options.args ?? []),
    ],
    env: options.env,
    logFile: options.logFile,
    onStdout: (chunk) => {
      buffered += chunk;
      const end = buffered.indexOf('\n');
      if (end >= 0) resolveLine(buffered.slice(0, end));
    },
  });
  const timeoutInMs = options.readyTimeoutInMs ?? DEFAULT_READY_TIMEOUT_IN_MS;
  let timer: NodeJS.Timeout | undefined;
  const timedOut = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(
      () => reject(new Error(`${options.name} said nothing for ${timeoutInMs / 1000} s.\n${child.tail()}`)),
      timeoutInMs,
    );
  });
  const ended = child.exited.then(({ code, signal }) => {
    throw new Error(`${options.name} ended before it was ready (${signal ?? `code ${code}`}).\n${child.tail()}`);
  });
  try {
    const line = await Promise.race([firstLine, timedOut, ended]);
    return { child, said: JSON.parse(line) as unknown };
  } catch (error) {
    await child.stop();
    throw error;
  } finally {
    clearTimeout(timer);
    ended.catch(() => undefined);
  }
}
