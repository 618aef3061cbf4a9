/** Secrets of a change system: in files, which are read at each use, so that a new secret needs no restart. */
import { readFile } from 'node:fs/promises';
import { ChangeSystemAway } from './exchange';

/** The lines of a file that have something on them. @throws ChangeSystemAway when there are none */
export async function secretLines(file: string): Promise<readonly [string, ...string[]]> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    throw new ChangeSystemAway(`The worker cannot read its secret file (${(error as NodeJS.ErrnoException).code}).`);
  }
  const [first, ...rest] = text
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== '');
  if (first === undefined) throw new ChangeSystemAway('The secret file of the worker is empty.');
  return [first, ...rest];
}
