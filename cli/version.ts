/** Which Keyturn this is. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { z } from 'zod';

/**
 * The version in the package.json of Keyturn: the first one on the way up, since the code runs from `cli/` and from `dist/cli/`.
 * @throws Error when the code was taken out of its package
 */
export function ownVersion(from: string = __dirname): string {
  const manifest = join(from, 'package.json');
  if (existsSync(manifest))
    return z.object({ version: z.string() }).parse(JSON.parse(readFileSync(manifest, 'utf8'))).version;
  if (dirname(from) === from) throw new Error('There is no package.json above the programs of Keyturn.');
  return ownVersion(dirname(from));
}
