/** Files that settings name. */
import { readFileSync } from 'node:fs';
import { SettingsError } from './environment';

/** The text of a file that a variable names. @throws SettingsError that names both */
export function readSettingsFile(variable: string, file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new SettingsError([
      `${variable} names ${JSON.stringify(file)}, which cannot be read (${code ?? 'unknown'}).`,
    ]);
  }
}
