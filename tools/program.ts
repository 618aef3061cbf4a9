/** Programs on this machine: is a file one, where on PATH is it, which version does it say it has, does it run. */
import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { delimiter, isAbsolute, join } from 'node:path';
import { promisify } from 'node:util';
import { codeOf, reasonOf } from './report';
import { nonEmpty } from './settings';
import type { Tool } from './table';

const run = promisify(execFile);
// A first start may have to read 250 MB from a slow disk while a build keeps every core busy.
const VERSION_TIMEOUT_IN_MS = 30_000;

/** Is this a file that the current user may execute? */
export async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}

/** Every executable of that name in the folders of PATH, first one first. Relative folders are skipped, as unsafe. */
export async function onPath(binary: string, env: NodeJS.ProcessEnv): Promise<string[]> {
  const folders = (nonEmpty(env.PATH) ?? '').split(delimiter).filter(isAbsolute);
  const candidates = [...new Set(folders)].map((folder) => join(folder, binary));
  const usable = await Promise.all(candidates.map(isExecutable));
  return candidates.filter((_, index) => usable[index]);
}

/** What a program printed on standard output. @throws Error when it cannot run, fails, or takes too long. */
export async function outputOf(path: string, args: readonly string[], options: RunOptions): Promise<string> {
  const { stdout } = await run(path, [...args], { ...options, timeout: VERSION_TIMEOUT_IN_MS, killSignal: 'SIGKILL' });
  return stdout;
}

/** Folder and whole environment of the program. */
export interface RunOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly cwd?: string;
}

/** The version of a program and whether Keyturn can work with it. */
export type VersionAnswer =
  { readonly version: string; readonly accepted: boolean } | { readonly version?: undefined; readonly problem: string };

/** Asks a program for its version. Never rejects: a program that cannot say is a `problem`. */
export async function versionOf(tool: Tool, path: string, env: NodeJS.ProcessEnv): Promise<VersionAnswer> {
  try {
    const output = await outputOf(path, tool.versionArgs, { env });
    const version = /\d+\.\d+\.\d+/.exec(output)?.[0];
    if (version === undefined) return { problem: `prints no version: ${output.trim().slice(0, 200) || '(nothing)'}` };
    return { version, accepted: accepts(tool, version) };
  } catch (error) {
    return { problem: `does not run: ${reasonOf(error).trim().slice(0, 400)}` };
  }
}

function accepts(tool: Tool, version: string): boolean {
  const [wanted, found] = [tool.accepts.version, version].map((text) => text.split('.').map(Number));
  const difference = [0, 1, 2].map((index) => (found?.[index] ?? 0) - (wanted?.[index] ?? 0));
  if (tool.accepts.rule === 'same-minor') return difference[0] === 0 && difference[1] === 0;
  return (difference.find((part) => part !== 0) ?? 0) >= 0;
}

/** Whether a process of this machine exists, be it ours or not. */
export function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return codeOf(error) === 'EPERM';
  }
}
