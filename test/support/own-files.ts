/** What Keyturn wrote in a test run: its logs, and its evidence. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { testStack } from './stack';

/** A file of the run so far, and its bytes as text. */
export interface OwnFile {
  readonly file: string;
  readonly text: string;
}

/**
 * All log and evidence files of the run so far, the sandbox's and Temporal's logs among them. Other tests write at the same
 * time: a file that was there under its temporary name a moment ago has its own name now, or is gone.
 */
export function ownFiles(): OwnFile[] {
  const { directory } = testStack();
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name))
    .filter((file) => /^(logs|evidence)\b/.test(path.relative(directory, file)))
    .flatMap((file) => {
      const text = textIfThere(file);
      return text === undefined ? [] : [{ file, text }];
    });
}

function textIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'latin1');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
