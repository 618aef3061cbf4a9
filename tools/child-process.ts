/**
 * A child process that cannot outlive its parent.
 *
 * Needs: a POSIX shell.
 * Does: starts a program, keeps the end of its output, stops it, and has it killed by the kernel's own book-keeping when
 *       this process goes away for any reason, `kill -9` included.
 * Never does: restart anything.
 *
 * How: the shell forks a guard that reads from a pipe whose other end only this process holds, then becomes the program
 * by `exec` (so `pid` is the program's own). When this process ends, the kernel closes the pipe, the guard reads
 * end-of-file and kills the program. Linux has PR_SET_PDEATHSIG for this, macOS has nothing; the pipe works on both.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';

// `read` and `kill` are the shell's own: the guard must not depend on the child's PATH.
const GUARD = '{ read -r eof <&3; kill -KILL $$; } </dev/null >/dev/null 2>&1 & exec "$@" 3<&-';
// The child leads a session, and so a group: `-$$` is everything that it started and that stayed in it.
const GUARD_OF_GROUP = GUARD.replace('-KILL ', '-KILL -');
const TAIL_LIMIT_IN_BYTES = 16 * 1024;

/** How to start a child. */
export interface ChildOptions {
  /** What people call it, for messages: `etcd`, `worker`. */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** The whole environment of the child; the parent's when absent. */
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** A file that gets the child's output, appended; standard output goes to `onStdout` instead when that is given. */
  readonly logFile?: string;
  /** Whether what the child itself starts dies too, also when the child ends by itself; false when absent. */
  readonly withDescendants?: boolean;
  /** Whether the parent holds standard input, output and error: `streams` of the child. Then there is no tail. */
  readonly piped?: boolean;
  /** Called with each chunk of standard output, for a parent that reads what the child says. */
  readonly onStdout?: (chunk: string) => void;
}

/** How a child ended. */
export interface ChildExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** What a parent says to a child and hears from it, as bytes. */
export interface ChildStreams {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
}

/** A running child. */
export interface Child {
  readonly name: string;
  readonly pid: number;
  /** When it was started `piped`. */
  readonly streams?: ChildStreams;
  /** Settles when the child has ended; never rejects. */
  readonly exited: Promise<ChildExit>;
  /** The end of what the child printed, for error messages. */
  tail(): string;
  kill(signal: NodeJS.Signals): void;
  /** SIGTERM, then SIGKILL after the grace period. Resolves when the child is gone; may be called twice. */
  stop(options?: { readonly graceInMs?: number }): Promise<void>;
}

/**
 * Starts a program that dies with this process.
 * @throws Error when nothing can be started (no shell, no such `cwd`, too many processes); a program that does not exist
 *         ends with code 127 and says so in `tail()`.
 */
export function startChild(options: ChildOptions): Child {
  const log = options.logFile === undefined ? undefined : openSync(options.logFile, 'a');
  const output = log ?? 'pipe';
  const stdout = options.onStdout === undefined ? output : 'pipe';
  const guard = options.withDescendants === true ? GUARD_OF_GROUP : GUARD;
  const process_ = spawn('/bin/sh', ['-c', guard, options.name, options.command, ...options.args], {
    stdio: [options.piped === true ? 'pipe' : 'ignore', stdout, output, 'pipe'],
    // A session of its own: Ctrl-C on a terminal goes to the parent alone, which stops its children in order.
    detached: true,
    env: options.env ?? process.env,
    cwd: options.cwd,
  });
  if (log !== undefined) closeSync(log);
  // Without a listener, Node makes a failed start or a failed signal an uncaught exception.
  process_.on('error', () => undefined);
  if (process_.pid === undefined) {
    const needed = options.cwd === undefined ? '/bin/sh' : `/bin/sh or the folder ${options.cwd}`;
    throw new Error(`${options.name} could not be started: ${needed} is missing, or no more processes are allowed.`);
  }

  const { stdin, stdout: out, stderr } = process_;
  const streams =
    options.piped === true && stdin !== null && out !== null && stderr !== null
      ? { stdin, stdout: out, stderr }
      : undefined;
  const keptTail = streams === undefined ? keepTail(process_, options.onStdout) : () => '';
  const { logFile } = options;
  const tail = logFile === undefined ? keptTail : () => readFileSync(logFile, 'utf8').slice(-TAIL_LIMIT_IN_BYTES);
  const exited = new Promise<ChildExit>((resolve) => {
    process_.once('exit', (code, signal) => {
      process_.stdio[3]?.destroy();
      resolve({ code, signal });
    });
  });

  return {
    name: options.name,
    pid: process_.pid,
    streams,
    exited,
    tail,
    kill: (signal) => void process_.kill(signal),
    async stop({ graceInMs = 10_000 } = {}) {
      if (process_.exitCode !== null || process_.signalCode !== null) return;
      process_.kill('SIGTERM');
      const force = setTimeout(() => process_.kill('SIGKILL'), graceInMs);
      await exited;
      clearTimeout(force);
    },
  };
}

function keepTail(child: ChildProcess, onStdout: ((chunk: string) => void) | undefined): () => string {
  let kept = '';
  const keep = (chunk: string): void => {
    kept = (kept + chunk).slice(-TAIL_LIMIT_IN_BYTES);
  };
  for (const stream of [child.stdout, child.stderr]) stream?.setEncoding('utf8').on('data', keep);
  if (onStdout !== undefined) child.stdout?.on('data', onStdout);
  return () => kept;
}
