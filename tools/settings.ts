/** What one search for tools works with: environment, platform, folders, and where its progress lines go. */
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { z } from 'zod';
import type { PlatformId, ToolTable } from './table';

/** What a caller may choose. */
export interface FindOptions {
  /** Gets one readable line per thing that happens, without line end; standard error when absent. */
  readonly onProgress?: (line: string) => void;
  /** Read instead of `process.env`, and given to `go build`. */
  readonly env?: NodeJS.ProcessEnv;
}

export interface Settings {
  readonly tools: ToolTable;
  readonly env: NodeJS.ProcessEnv;
  readonly say: (line: string) => void;
  readonly platform: { readonly os: string; readonly arch: string; readonly id: PlatformId };
  /** Absolute. Holds `<name>/<version>-<os>-<arch>/<binary>`, `.locks` and `.staging`. */
  readonly cache: string;
  /** `https://github.com`, or what KEYTURN_TOOLS_MIRROR puts in its place; no slash at the end. */
  readonly origin: string;
  /** Why the download of an archive failed, by archive id: one search asks once. */
  readonly failedDownloads: Map<string, string>;
}

/** @throws Error on Windows, where neither the archives nor Keyturn's child processes work. */
export function settingsFrom(tools: ToolTable, options: FindOptions): Settings {
  if (process.platform === 'win32') {
    throw new Error("Keyturn's sandbox runs on Linux and macOS. On Windows, run it in WSL 2 or in a Linux container.");
  }
  const env = options.env ?? process.env;
  const arch = process.arch === 'x64' ? 'amd64' : process.arch;
  return {
    tools,
    env,
    say: options.onProgress ?? ((line) => void process.stderr.write(`${line}\n`)),
    platform: { os: process.platform, arch, id: `${process.platform}-${arch}` },
    cache: join(cacheHome(env), 'tools'),
    origin: (nonEmpty(env.KEYTURN_TOOLS_MIRROR) ?? 'https://github.com').replace(/\/+$/, ''),
    failedDownloads: new Map(),
  };
}

/** KEYTURN_CACHE, else `keyturn` in the user's cache folder as the platform has it. */
function cacheHome(env: NodeJS.ProcessEnv): string {
  const chosen = nonEmpty(env.KEYTURN_CACHE);
  if (chosen !== undefined) return resolve(chosen);
  const home = nonEmpty(env.HOME) ?? homedir();
  const base =
    nonEmpty(env.XDG_CACHE_HOME) ?? join(home, ...(process.platform === 'darwin' ? ['Library', 'Caches'] : ['.cache']));
  return resolve(base, 'keyturn');
}

/** A variable that is set to nothing counts as not set, as in a shell's `${X:-default}`. */
export function nonEmpty(value: string | undefined): string | undefined {
  return value === undefined || value === '' ? undefined : value;
}

/**
 * `tools/modules` of the checkout. The code runs from `tools/` under jest and from `dist/tools/` when compiled, and tsc
 * copies no go.mod files, so the way up to Keyturn's package.json is the one that always ends at the same place.
 * @throws Error when the code was taken out of its package.
 */
export function modulesDirectory(from: string = __dirname): string {
  for (let directory = from; ; directory = dirname(directory)) {
    const manifest = join(directory, 'package.json');
    if (existsSync(manifest) && packageName(manifest) === 'keyturn') return join(directory, 'tools', 'modules');
    if (dirname(directory) === directory) {
      throw new Error(
        `No package.json of keyturn in ${from} or above, so tools/modules, which pins the Go sources, was not found.`,
      );
    }
  }
}

function packageName(manifest: string): string | undefined {
  const parsed = z.object({ name: z.string() }).safeParse(JSON.parse(readFileSync(manifest, 'utf8')));
  return parsed.data?.name;
}
