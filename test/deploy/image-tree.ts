/**
 * The files of Keyturn's image, laid out as the Dockerfile lays them out: compiled code and the packages of
 * `npm ci --omit=dev`, with one core bridge. What only development installs is not there, so that a program that needs it fails.
 *
 * Hard links, so that 300 MB take no time; copies where the folder is on another file system.
 */
import { constants, copyFileSync, existsSync, linkSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { ROOT } from './compose-file';

const LockFile = z.object({ packages: z.record(z.string(), z.object({ dev: z.boolean().default(false) })) });
const CORE_BRIDGES = 'node_modules/@temporalio/core-bridge/releases';

/** Makes the tree in a folder that does not exist. */
export function makeImageTree(target: string): void {
  const { packages } = LockFile.parse(JSON.parse(readFileSync(path.join(ROOT, 'package-lock.json'), 'utf8')));
  const installed = Object.entries(packages)
    .filter(([at, { dev }]) => at !== '' && !dev && existsSync(path.join(ROOT, at)))
    .map(([at]) => at);
  // Packages inside of a package have entries of their own.
  for (const at of installed) linkTree(at, target, (name) => name !== 'node_modules');
  linkTree('dist', target, () => true);
  linkFile('package.json', target);
}

function linkTree(at: string, target: string, wanted: (name: string) => boolean): void {
  mkdirSync(path.join(target, at), { recursive: true });
  for (const entry of readdirSync(path.join(ROOT, at), { withFileTypes: true })) {
    const below = path.posix.join(at, entry.name);
    if (!wanted(entry.name) || (at === CORE_BRIDGES && !isOfThisPlatform(entry.name))) continue;
    if (entry.isDirectory()) linkTree(below, target, wanted);
    else if (entry.isFile()) linkFile(below, target);
  }
}

function linkFile(at: string, target: string): void {
  linkOrCopy(path.join(ROOT, at), path.join(target, at));
}

/** Puts a file at a second place. */
export function linkOrCopy(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch {
    copyFileSync(from, to, constants.COPYFILE_FICLONE);
  }
}

function isOfThisPlatform(release: string): boolean {
  const machine = process.arch === 'x64' ? 'x86_64' : 'aarch64';
  return release === `${machine}-${process.platform === 'darwin' ? 'apple-darwin' : 'unknown-linux-gnu'}`;
}
