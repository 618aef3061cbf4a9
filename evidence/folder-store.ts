/** A folder as a store, shared by all workers and API processes. */
import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { access, link, mkdir, open, readdir, readFile, rm, stat, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { checkedName, type RecordStore } from './store';

/** Makes the store; the folder is made when the first object is written. @param directory absolute */
export function folderStore(directory: string): RecordStore {
  const pathOf = (name: string): string => join(directory, checkedName(name));
  return {
    where: directory,
    drafts: directory,
    locationOf: pathOf,
    writeOnce: (name, content) => writeOnce(pathOf(name), content),
    append: (name, bytes, at) => append(pathOf(name), bytes, at),
    read: (name) => unlessMissing(readFile(pathOf(name))),
    readEnd: (name, bytes) => unlessMissing(readEnd(pathOf(name), bytes)),
    async open(name) {
      const path = pathOf(name);
      const found = await unlessMissing(stat(path));
      return found && { size: found.size, stream: () => createReadStream(path) };
    },
    has: async (name) => (await unlessMissing(access(pathOf(name)).then(() => true))) ?? false,
    async list(prefix) {
      const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1);
      const names = (await unlessMissing(readdir(join(directory, folder)))) ?? [];
      return names
        .map((name) => `${folder}${name}`)
        .filter((name) => name.startsWith(prefix))
        .sort();
    },
    // A folder has no index: whoever asks looks into the files.
    namesOf: async () => ((await unlessMissing(readdir(directory))) ?? []).filter((name) => name.endsWith('.json')),
  };
}

/** A new file appears whole or not at all, and only for the first one. */
async function writeOnce(file: string, content: Uint8Array | Readable): Promise<boolean> {
  await mkdir(dirname(file), { recursive: true });
  const draft = `${file}.${randomUUID()}`;
  try {
    const handle = await open(draft, 'wx', 0o644);
    try {
      const chunks = content instanceof Uint8Array ? [content] : (content as AsyncIterable<Uint8Array>);
      for await (const chunk of chunks) await handle.writeFile(chunk);
      await handle.sync();
    } finally {
      await handle.close();
    }
    // A link fails where the name is taken; a rename would replace what is there.
    await link(draft, file);
    return true;
  } catch (error) {
    if (isCode(error, 'EEXIST')) return false;
    throw error;
  } finally {
    await rm(draft, { force: true });
  }
}

async function append(file: string, bytes: Uint8Array, at: number): Promise<boolean> {
  if (at === 0) await mkdir(dirname(file), { recursive: true });
  let handle: FileHandle;
  try {
    // A file that somebody removed is not begun anew in the middle.
    handle = await open(file, at === 0 ? 'ax' : 'r+', 0o644);
  } catch (error) {
    if (isCode(error, 'EEXIST') || isCode(error, 'ENOENT')) return false;
    throw error;
  }
  try {
    if ((await handle.stat()).size !== at) return false;
    try {
      let written = 0;
      while (written < bytes.length)
        written += (await handle.write(bytes, written, bytes.length - written, at + written)).bytesWritten;
      await handle.datasync();
    } catch (error) {
      // A full disk must not leave half a line, which could not be told from one that was cut off later.
      await handle.truncate(at).catch(() => undefined);
      throw error;
    }
    return true;
  } finally {
    await handle.close();
  }
}

async function readEnd(file: string, bytes: number): Promise<Buffer> {
  const handle = await open(file, 'r');
  try {
    const { size } = await handle.stat();
    const length = Math.min(size, bytes);
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, size - length);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}

async function unlessMissing<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (isCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

function isCode(error: unknown, code: string): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === code;
}
