/**
 * Runs the command of a container as a child process of the sandbox, without a container around it.
 *
 * Needs: a program that this machine has: `node`, `sh` or `sleep`. No image is pulled.
 * Does: runs it in a directory of its own, in a session of its own; reads its termination message when it has ended.
 * Never does: isolate anything. What the command may do is what the sandbox may do.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { constants } from 'node:os';
import { basename, join } from 'node:path';
import { startChild, type Child } from '../../../tools/child-process';
import type { Container } from './pod';
import type { RealPaths } from './real-paths';

/** What Kubernetes keeps of a termination message. */
const MESSAGE_LIMIT_IN_BYTES = 4096;
/** What it takes from the end of the output with `FallbackToLogsOnError`. */
const FALLBACK_LIMIT_IN_BYTES = 2048;
/** Programs that this machine may have elsewhere than an image. */
export const PROGRAMS: Readonly<Record<string, string>> = { node: process.execPath, sh: '/bin/sh', sleep: 'sleep' };

/** How a container ended. */
export interface ContainerEnd {
  readonly exitCode: number;
  readonly signal?: number;
  readonly message: string;
  readonly startedAt: string;
  readonly finishedAt: string;
}

/** A command that runs. */
export interface RunningContainer {
  readonly startedAt: string;
  readonly env: Readonly<Record<string, string>>;
  readonly workingDirectory: string;
  readonly paths: RealPaths;
  readonly child: Child;
  readonly ended: Promise<ContainerEnd>;
}

/** Where a container's files are: its working directory, its log and its termination message. */
export interface ContainerFiles {
  readonly workingDirectory: string;
  readonly log: string;
  readonly terminationMessage: string;
}

/** The files of a container; makes the directory. */
export async function prepareContainer(podDirectory: string, { name }: Container): Promise<ContainerFiles> {
  const directory = join(podDirectory, 'containers', name);
  const workingDirectory = join(directory, 'work');
  await mkdir(workingDirectory, { recursive: true });
  return { workingDirectory, log: join(directory, 'log'), terminationMessage: join(directory, 'termination-log') };
}

/** The program that a command names; undefined when the sandbox does not run it. */
export function programOf({ command }: Container): string | undefined {
  return PROGRAMS[basename(command[0] ?? '')];
}

/** Starts the command. @throws Error when its program is none that the sandbox runs */
export async function startContainer(
  container: Container,
  files: ContainerFiles,
  env: Readonly<Record<string, string>>,
  paths: RealPaths,
): Promise<RunningContainer> {
  const program = programOf(container);
  if (program === undefined) throw new Error('programOf() was not asked first.');
  await writeFile(files.terminationMessage, '');
  await writeFile(files.log, '');
  const startedAt = new Date().toISOString();
  const child = startChild({
    name: container.name,
    command: program,
    args: [...container.command.slice(1), ...container.args].map((argument) => paths.realOf(argument)),
    env: { ...env },
    cwd: files.workingDirectory,
    logFile: files.log,
    withDescendants: true,
  });
  const ended = child.exited.then(async ({ code, signal }): Promise<ContainerEnd> => {
    const number = signal === null ? undefined : constants.signals[signal];
    const exitCode = code ?? 128 + (number ?? 0);
    return {
      exitCode,
      signal: number,
      message: await terminationMessage(container, files, exitCode),
      startedAt,
      finishedAt: new Date().toISOString(),
    };
  });
  return { startedAt, env, workingDirectory: files.workingDirectory, paths, child, ended };
}

async function terminationMessage(container: Container, files: ContainerFiles, exitCode: number): Promise<string> {
  const written = await readFile(files.terminationMessage).catch(() => Buffer.alloc(0));
  if (written.length > 0) return written.subarray(0, MESSAGE_LIMIT_IN_BYTES).toString();
  if (container.terminationMessagePolicy !== 'FallbackToLogsOnError' || exitCode === 0) return '';
  const log = await readFile(files.log).catch(() => Buffer.alloc(0));
  return log.subarray(-FALLBACK_LIMIT_IN_BYTES).toString();
}
