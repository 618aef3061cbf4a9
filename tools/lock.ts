/**
 * One process at a time fetches one thing; the others wait and say for whom.
 *
 * Needs: a folder that all processes share.
 * Does: holds a lock whose age shows whether its holder lives, so that a killed holder does not block others for long.
 * Never does: guarantee exclusion to a process that was suspended for longer than the lock's life. What is done under
 *             this lock must therefore be harmless when done twice; installing by rename is.
 */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { lock } from 'proper-lockfile';
import { z } from 'zod';
import { isAlive } from './program';
import { codeOf, duration } from './report';

const POLL_IN_MS = 300;
const SAY_AGAIN_AFTER_IN_MS = 15_000;
/** Who has just had the lock needs a moment to write who it is. */
const HOLDER_KNOWN_AFTER_IN_MS = 2_000;
const STALE_AFTER_IN_MS = 20_000;

const holderSchema = z.object({ pid: z.int(), host: z.string(), doing: z.string(), since: z.iso.datetime() });
type Holder = z.infer<typeof holderSchema>;

export interface LockOptions<T> {
  readonly directory: string;
  readonly id: string;
  /** What the holder does, for those who wait: `fetching temporal`. */
  readonly doing: string;
  readonly say: (line: string) => void;
  /** Looks for a result that another process may have finished meanwhile; called before, while and after waiting. */
  readonly already: () => Promise<T | undefined>;
  /** A lock that was not refreshed for this long belongs to a dead process. At least 2000. */
  readonly staleAfterInMs?: number;
}

/**
 * Does `work` unless `already()` has its result.
 * @throws what `work` throws; Error when the folder cannot be written
 */
export async function withLock<T>(options: LockOptions<T>, work: () => Promise<T>): Promise<T> {
  await mkdir(options.directory, { recursive: true });
  const holderFile = join(options.directory, `${options.id}.holder.json`);
  const start = Date.now();
  for (let nextWord = start; ; await sleep(POLL_IN_MS)) {
    const done = await options.already();
    if (done !== undefined) return done;
    const release = await acquire(options);
    if (release !== undefined) {
      try {
        await writeFile(holderFile, JSON.stringify(thisProcess(options.doing)));
        return (await options.already()) ?? (await work());
      } finally {
        await rm(holderFile, { force: true });
        await release();
      }
    }
    if (Date.now() < nextWord) continue;
    const holder = await readHolder(holderFile);
    const elapsed = Date.now() - start;
    if (holder !== undefined || elapsed >= HOLDER_KNOWN_AFTER_IN_MS) {
      nextWord = Date.now() + SAY_AGAIN_AFTER_IN_MS;
      options.say(waiting(holder, duration(elapsed), options.id));
    }
  }
}

/** The way to give the lock back, or undefined when another process has it. */
async function acquire<T>(options: LockOptions<T>): Promise<(() => Promise<void>) | undefined> {
  const stale = options.staleAfterInMs ?? STALE_AFTER_IN_MS;
  let lost = false;
  try {
    const release = await lock(join(options.directory, options.id), {
      realpath: false,
      stale,
      update: Math.floor(stale / 4),
      // Reached after a long suspend, or when the cache was deleted meanwhile. The library's default ends the process.
      onCompromised: (error) => {
        lost = true;
        options.say(`${options.id}: the lock was lost (${error.message}); going on, at worst this is done twice.`);
      },
    });
    return async () => (lost ? undefined : release());
  } catch (error) {
    if (codeOf(error) === 'ELOCKED') return undefined;
    throw error;
  }
}

function thisProcess(doing: string): Holder {
  return { pid: process.pid, host: hostname(), doing, since: new Date().toISOString() };
}

async function readHolder(file: string): Promise<Holder | undefined> {
  try {
    return holderSchema.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch {
    return undefined; // Not written yet, or half written: the next look will see it.
  }
}

function waiting(holder: Holder | undefined, elapsed: string, id: string): string {
  if (holder === undefined) return `${id}: another process has the lock; waiting for it (${elapsed})`;
  if (holder.host === hostname() && !isAlive(holder.pid)) {
    return `${id}: process ${holder.pid}, which was ${holder.doing}, is gone; its lock lapses in some seconds (${elapsed})`;
  }
  const who =
    holder.host !== hostname()
      ? `process ${holder.pid} on ${holder.host}`
      : holder.pid === process.pid
        ? 'another call in this process'
        : `process ${holder.pid}`;
  return `${id}: waiting for ${who}, ${holder.doing} since ${holder.since} (${elapsed})`;
}
