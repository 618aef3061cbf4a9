/** The map of the house (eslint.config.mjs) holds: every import is looked up in it, and the map itself has no way round. */
import { beforeAll, describe, expect, it } from '@jest/globals';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import ts from 'typescript';

const ROOT = path.join(__dirname, '..');
const house: Record<string, string[]> = {};

function importsOf(file: string): string[] {
  return ts.preProcessFile(readFileSync(file, 'utf8'), true, true).importedFiles.map(({ fileName }) => fileName);
}

/** Every import of one room from another: `workflows/gate.ts -> domain`. */
function crossings(room: string): { file: string; to: string }[] {
  const folder = path.join(ROOT, room);
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .flatMap((file) =>
      importsOf(path.join(folder, file))
        .filter((name) => name.startsWith('.'))
        .map((name) => path.relative(ROOT, path.resolve(folder, path.dirname(file), name)).split(path.sep)[0] ?? '')
        .filter((to) => to !== room)
        .map((to) => ({ file: path.join(room, file), to })),
    );
}

describe('the map of the house', () => {
  beforeAll(() => {
    const config = readFileSync(path.join(ROOT, 'eslint.config.mjs'), 'utf8');
    const map = /export const HOUSE = (\{[^]*?\n\});/.exec(config)?.[1];
    if (map === undefined) throw new Error('eslint.config.mjs has no HOUSE.');
    for (const [, room = '', others = ''] of map.matchAll(/^ {2}(\w+): \[(.*)\]/gm)) {
      house[room] = [...others.matchAll(/'(\w+)'/g)].map(([, name = '']) => name);
    }
  });

  it('has every folder of code', () => {
    const folders = JSON.parse(readFileSync(path.join(ROOT, 'tsconfig.json'), 'utf8')) as { include: string[] };
    expect(Object.keys(house).sort()).toEqual(
      folders.include.filter((name) => name !== 'test' && name !== 'bench').sort(),
    );
  });

  it('has no way round: no folder reaches itself', () => {
    const reaches = (from: string, seen: string[] = []): string[] =>
      (house[from] ?? []).flatMap((to) => (seen.includes(to) ? [to] : [to, ...reaches(to, [...seen, to])]));
    for (const room of Object.keys(house))
      expect({ room, reaches: reaches(room) }).not.toMatchObject({ reaches: expect.arrayContaining([room]) });
  });

  it('is what the code does', () => {
    const wrong = Object.entries(house).flatMap(([room, allowed]) =>
      crossings(room)
        .filter(({ to }) => !allowed.includes(to))
        .map(({ file, to }) => `${file} -> ${to}`),
    );
    expect(wrong).toEqual([]);
  });

  it('domain imports nothing but pure libraries: schemas, a hash function, YAML', () => {
    const folder = path.join(ROOT, 'domain');
    const packages = readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts'))
      .flatMap((file) => importsOf(path.join(folder, file)).filter((name) => !name.startsWith('.')));
    expect([...new Set(packages)].sort()).toEqual(['@noble/hashes/sha2.js', '@noble/hashes/utils.js', 'yaml', 'zod']);
  });
});
