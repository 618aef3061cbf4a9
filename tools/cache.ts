/**
 * The user's cache of tools.
 *
 * Needs: a folder on one file system, so that a rename is atomic.
 * Does: says where a binary of one version belongs; puts a finished one there by one rename.
 * Never does: hold a half-written binary under its final name, or remove one.
 */
import { chmod, mkdir, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { acceptedVersions } from './report';
import { isAlive, isExecutable, versionOf } from './program';
import type { Settings } from './settings';
import type { Tool } from './table';

const ABANDONED_AFTER_IN_MS = 24 * 3600_000;

/** Where a tool of that version is, or would be. */
export function cachePath(name: string, version: string, settings: Settings): string {
  const { binary } = toolOf(name, settings);
  return join(settings.cache, name, `${version}-${settings.platform.id}`, binary);
}

/** Both places where a tool may be cached: downloaded and built versions can differ. */
export function cachePaths(name: string, settings: Settings): string[] {
  const { download, build } = toolOf(name, settings);
  return [...new Set([download.version, build.version])].map((version) => cachePath(name, version, settings));
}

/** The cached binary, if there is one. It was checked when it was put there. */
export async function findCached(name: string, settings: Settings): Promise<string | undefined> {
  for (const path of cachePaths(name, settings)) if (await isExecutable(path)) return path;
  return undefined;
}

/**
 * Moves a new binary into the cache after it has shown that it runs here.
 * @param file on the same file system as the cache: a path below `withStaging`'s folder
 * @throws Error when it does not run or says a version that Keyturn cannot use
 */
export async function install(name: string, version: string, file: string, settings: Settings): Promise<string> {
  const tool = toolOf(name, settings);
  await chmod(file, 0o755);
  const answer = await versionOf(tool, file, settings.env);
  if (answer.version === undefined) throw new Error(`the new ${tool.binary} ${answer.problem}`);
  if (!answer.accepted) {
    throw new Error(`the new ${tool.binary} says ${answer.version}, wanted is ${acceptedVersions(tool)}`);
  }
  const target = cachePath(name, version, settings);
  // Another process may have been faster if this one lost its lock; its binary may be in use by now.
  if (await isExecutable(target)) return target;
  const finished = join(await mkdtemp(join(dirname(file), 'finished-')), basename(target));
  await rename(file, finished);
  await mkdir(dirname(dirname(target)), { recursive: true });
  // Left over only if a person deleted the binary by hand: rename refuses a folder that is not empty.
  await rm(dirname(target), { recursive: true, force: true });
  await rename(dirname(finished), dirname(target));
  await chmod(dirname(target), 0o755);
  return target;
}

/** Runs `work` with an empty folder on the cache's file system, and removes the folder whatever happens. */
export async function withStaging<T>(settings: Settings, work: (directory: string) => Promise<T>): Promise<T> {
  const root = join(settings.cache, '.staging');
  await mkdir(root, { recursive: true });
  await removeAbandoned(root);
  const directory = await mkdtemp(join(root, `${hostname()}.${process.pid}.`));
  try {
    return await work(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** A killed process cannot clean up; its successors do, once the process is known to be gone or a day is over. */
async function removeAbandoned(root: string): Promise<void> {
  for (const name of await readdir(root)) {
    const path = join(root, name);
    const pid = Number(name.split('.').at(-2));
    const isLocal = name.startsWith(`${hostname()}.`);
    const age = Date.now() - ((await stat(path).catch(() => undefined))?.mtimeMs ?? Date.now());
    if ((isLocal && !isAlive(pid)) || age > ABANDONED_AFTER_IN_MS) await rm(path, { recursive: true, force: true });
  }
}

/** @throws Error for a name that the table does not have */
export function toolOf(name: string, settings: Settings): Tool {
  const tool = settings.tools[name];
  if (tool === undefined) {
    throw new Error(`There is no tool "${name}". There are: ${Object.keys(settings.tools).join(', ')}.`);
  }
  return tool;
}
