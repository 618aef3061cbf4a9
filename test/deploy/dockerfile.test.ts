/** The Dockerfile copies what is there, lays it out as the rehearsal does, and agrees with docker-compose.yml. */
import { describe, expect, it } from '@jest/globals';
import { DockerfileParser } from 'dockerfile-ast';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { composeAsWritten, ROOT } from './compose-file';

const read = (file: string): string => readFileSync(path.join(ROOT, file), 'utf8');
const dockerfile = DockerfileParser.parse(read('Dockerfile'));
const instructions = dockerfile.getInstructions().map((each) => ({
  name: each.getKeyword(),
  words: each.getArguments().map((word) => word.getValue()),
}));
const of = (name: string): string[][] => instructions.filter((each) => each.name === name).map(({ words }) => words);
const allowed = read('.dockerignore')
  .split('\n')
  .flatMap((line) => (line.startsWith('!') ? [line.slice(1)] : []));

describe('the Dockerfile', () => {
  it('stands on Node.js on Debian with glibc, which the core bridge needs', () => {
    expect(new Set(of('FROM').map(([image]) => image))).toEqual(new Set(['node:24-bookworm-slim']));
  });

  it('runs as the user of docker-compose.yml, and its volumes belong to that user', () => {
    const { api, worker } = composeAsWritten().services;
    expect(of('USER')).toEqual([[api?.user]]);
    const volumes = [...(api?.volumes ?? []), ...(worker?.volumes ?? [])].map((volume) => volume.split(':')[1] ?? '');
    const run = of('RUN').at(-1)?.join(' ');
    for (const folder of volumes) expect(run).toMatch(new RegExp(`install .*--owner=keyturn .*${folder}`));
  });

  it('copies what is there, and what .dockerignore lets in', () => {
    const copied = of('COPY')
      .filter((words) => !words.some((word) => word.startsWith('/') || word === '.'))
      .flatMap((words) => words.slice(0, -1));
    expect(copied.length).toBeGreaterThan(3);
    for (const file of copied) {
      expect({ file, exists: existsSync(path.join(ROOT, file)) }).toEqual({ file, exists: true });
      expect(allowed).toContain(file);
    }
  });

  it('gets the code that the build compiles, and nothing else', () => {
    const { include } = JSON.parse(read('tsconfig.build.json')) as { include: string[] };
    const files = ['package.json', 'package-lock.json', '.npmrc', 'LICENSE', 'tsconfig.json', 'tsconfig.build.json'];
    expect([...allowed].sort()).toEqual([...files, ...include].sort());
  });
});
