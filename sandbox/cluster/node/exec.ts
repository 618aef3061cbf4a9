/**
 * One command of `kubectl exec`, run beside the command of its container, with its streams on a WebSocket.
 *
 * Source: k8s.io/apimachinery, pkg/util/remotecommand: a message begins with the number of its channel; the last one on the channel for
 *         errors is a Status with the exit code.
 * Does: runs it with the environment, directory and paths of the container; ends it with the connection, and with the container.
 * Never does: isolate it.
 */
import { constants } from 'node:os';
import { accessSync, constants as modes } from 'node:fs';
import { basename, join } from 'node:path';
import { once } from 'node:events';
import type { RawData, WebSocket } from 'ws';
import { startChild, type ChildExit, type ChildStreams } from '../../../tools/child-process';
import { messageOf } from '../../message-of';
import { PROGRAMS, type RunningContainer } from './container';

/** The subprotocols, the preferred one first. */
export const PROTOCOLS = ['v5.channel.k8s.io', 'v4.channel.k8s.io'];

const CHANNELS = { stdin: 0, stdout: 1, stderr: 2, error: 3, close: 255 } as const;

/** What to run. */
export interface ExecRequest {
  readonly command: readonly string[];
  /** Whether the client sends standard input. */
  readonly stdin: boolean;
}

/** Runs it to its end; never rejects: what goes wrong is the client's answer. */
export async function runExec(socket: WebSocket, container: RunningContainer, request: ExecRequest): Promise<void> {
  try {
    send(socket, 'error', JSON.stringify(await run(socket, container, request)));
  } catch (error) {
    const message = `Internal error occurred: error executing command in container: ${messageOf(error)}`;
    send(
      socket,
      'error',
      JSON.stringify({ metadata: {}, status: 'Failure', message, reason: 'InternalError', code: 500 }),
    );
  }
  socket.close(1000);
}

async function run(socket: WebSocket, container: RunningContainer, { command, stdin }: ExecRequest): Promise<object> {
  const { env, workingDirectory, paths } = container;
  const [name = '', ...args] = command;
  const child = startChild({
    name,
    command: programOf(name, env['PATH'] ?? ''),
    args: args.map((argument) => paths.realOf(argument)),
    env: { ...env },
    cwd: workingDirectory,
    withDescendants: true,
    piped: true,
  });
  const { streams } = child;
  if (streams === undefined) throw new Error('The command has no streams.');
  socket.on('error', () => socket.terminate());
  socket.once('close', () => child.kill('SIGKILL'));
  void container.ended.then(() => child.stop({ graceInMs: 0 }));
  takeInput(socket, streams, stdin);
  streams.stdout.on('data', (chunk: Buffer) => send(socket, 'stdout', chunk));
  streams.stderr.setEncoding('utf8').on('data', (text: string) => send(socket, 'stderr', paths.shown(text)));
  const [exit] = await Promise.all([child.exited, once(streams.stdout, 'close'), once(streams.stderr, 'close')]);
  return statusOf(exit);
}

/** Standard input is what the client sends, until it says that there is no more (v5). */
function takeInput(socket: WebSocket, { stdin }: ChildStreams, wanted: boolean): void {
  // The command may end without having read everything.
  stdin.on('error', () => undefined);
  if (!wanted) stdin.end();
  socket.on('message', (data: RawData) => {
    const message = Buffer.isBuffer(data)
      ? data
      : Buffer.concat([data].flat().map((part) => Buffer.from(part as ArrayBuffer)));
    if (message[0] === CHANNELS.stdin && wanted) stdin.write(message.subarray(1));
    if (message[0] === CHANNELS.close && message[1] === CHANNELS.stdin) stdin.end();
  });
}

/** What the shell is to start. @throws Error in the words of runc when this machine has no such program */
function programOf(name: string, path: string): string {
  const known = PROGRAMS[basename(name)];
  if (known !== undefined) return known;
  const places = name.includes('/') ? [name] : path.split(':').map((directory) => join(directory, name));
  const found = places.some((place) => {
    try {
      accessSync(place, modes.X_OK);
      return true;
    } catch {
      return false;
    }
  });
  if (found) return name;
  const why = name.includes('/') ? `stat ${name}: no such file or directory` : 'executable file not found in $PATH';
  throw new Error(
    `OCI runtime exec failed: exec failed: unable to start container process: exec: ${JSON.stringify(name)}: ${why}: unknown`,
  );
}

/** How it ended, as a kubelet says it. */
function statusOf({ code, signal }: ChildExit): object {
  const exitCode = code ?? 128 + (signal === null ? 0 : constants.signals[signal]);
  if (exitCode === 0) return { metadata: {}, status: 'Success' };
  return {
    metadata: {},
    status: 'Failure',
    message: `command terminated with non-zero exit code: exit status ${exitCode}`,
    reason: 'NonZeroExitCode',
    details: { causes: [{ reason: 'ExitCode', message: String(exitCode) }] },
  };
}

function send(socket: WebSocket, channel: keyof typeof CHANNELS, data: string | Buffer): void {
  if (socket.readyState !== socket.OPEN) return;
  socket.send(Buffer.concat([Buffer.from([CHANNELS[channel]]), Buffer.from(data)]), { binary: true });
}
