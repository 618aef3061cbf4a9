/** Folders of the commands: kept files are below `.keyturn`, other files in the system's folder for temporary files. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** `.keyturn` in the folder that the command was started in. */
export function stateDirectory(): string {
  const directory = path.resolve('.keyturn');
  mkdirSync(directory, { recursive: true });
  return directory;
}

/** A new folder with a short path: sockets are made below it, and their paths may have 104 bytes. */
export function temporaryDirectory(): { readonly path: string; remove(): void } {
  const directory = mkdtempSync(path.join(tmpdir(), 'keyturn-'));
  return { path: directory, remove: () => rmSync(directory, { recursive: true, force: true }) };
}
