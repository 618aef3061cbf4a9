/**
 * Writes the files of a volume so that readers see the old ones or the new ones, never a mixture.
 *
 * As Kubernetes' AtomicWriter: real files in a directory of their own, `..data` a link to it that is replaced by a rename,
 * and visible names that are links through `..data`.
 */
import { chmod, mkdir, mkdtemp, readdir, readFile, readlink, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { SecretFile } from './provider';

const DATA = '..data';

/** Brings a directory to these files. Nothing is touched when they are there already. */
export async function writeFiles(target: string, files: readonly SecretFile[]): Promise<void> {
  const before = await readlink(join(target, DATA)).catch(() => undefined);
  if (before !== undefined && (await holds(join(target, before), files))) return;
  const stamp = new Date().toISOString().slice(0, 19).replaceAll(/[-T:]/g, '_');
  const fresh = await mkdtemp(join(target, `..${stamp}.`));
  await chmod(fresh, 0o755);
  for (const { path, content, mode } of files) {
    await mkdir(dirname(join(fresh, path)), { recursive: true });
    await writeFile(join(fresh, path), content);
    await chmod(join(fresh, path), mode); // Whatever the umask.
  }
  const visible = new Set(files.map(({ path }) => path.split('/')[0] ?? path));
  await symlink(fresh.slice(target.length + 1), join(target, `${DATA}_tmp`));
  await rename(join(target, `${DATA}_tmp`), join(target, DATA));
  const present = (await readdir(target)).filter((name) => !name.startsWith('..'));
  for (const name of visible) if (!present.includes(name)) await symlink(join(DATA, name), join(target, name));
  for (const name of present) if (!visible.has(name)) await rm(join(target, name));
  if (before !== undefined) await rm(join(target, before), { recursive: true, force: true });
}

async function holds(directory: string, files: readonly SecretFile[]): Promise<boolean> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  if (entries.filter((entry) => entry.isFile()).length !== files.length) return false;
  for (const { path, content } of files) {
    const now = await readFile(join(directory, path)).catch(() => undefined);
    if (now === undefined || !now.equals(content)) return false;
  }
  return true;
}
