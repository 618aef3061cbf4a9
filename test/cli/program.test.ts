/** The tree of commands: each is documented and has an example; its completion works in a real bash. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import type { Command } from 'commander';
import { requestOf } from '../../cli/commands/request';
import { completionScript } from '../../cli/completion';
import { createProgram } from '../../cli/program';

const leaves = (command: Command, path: string[] = []): [string, Command][] =>
  command.commands.flatMap((one): [string, Command][] =>
    one.commands.length > 0 ? leaves(one, [...path, one.name()]) : [[[...path, one.name()].join(' '), one]],
  );

describe('the commands', () => {
  it('are all in docs/cli.md, and say what they do', () => {
    const text = readFileSync(join(__dirname, '../../docs/cli.md'), 'utf8');
    for (const [path, command] of leaves(createProgram())) {
      expect(text).toContain(`\`keyturn ${path}`);
      expect(command.description()).toMatch(/\.$/);
      for (const { long } of command.options) expect([path, text.includes(String(long))]).toEqual([path, true]);
    }
  });
});

it('says which version it is', () => {
  const program = createProgram().exitOverride();
  let said = '';
  program.configureOutput({ writeOut: (text) => (said += text) });
  expect(() => program.parse(['node', 'keyturn', '--version'])).toThrow();
  const { version } = JSON.parse(readFileSync(join(__dirname, '../../package.json'), 'utf8')) as { version: string };
  expect(said).toBe(`${version}\n`);
});

describe('completion', () => {
  const complete = (line: string): string[] => {
    const words = line.split(' ');
    const script = `${completionScript('bash', createProgram())}
COMP_WORDS=(${words.map((word) => `"${word}"`).join(' ')}); COMP_CWORD=${words.length - 1}; _keyturn; printf '%s\\n' "\${COMPREPLY[@]}"`;
    return execFileSync('bash', ['--norc', '-c', script], { encoding: 'utf8' }).split('\n').filter(Boolean);
  };

  it('in bash offers commands, kinds, options and their choices', () => {
    expect(complete('keyturn ap')).toEqual(['approve']);
    expect(complete('keyturn cluster ')).toEqual(expect.arrayContaining(['inspect', 'ledger', 'csi']));
    expect(complete('keyturn run rot')).toEqual(['rotate-key']);
    expect(complete('keyturn list --status B')).toEqual(['Blocked']);
    expect(complete('keyturn --output json list --out')).toEqual(['--output']);
    expect(complete('keyturn show op-1 --output ')).toEqual(['table', 'json']);
  });

  it('for zsh is the same function', () => {
    expect(completionScript('zsh', createProgram())).toMatch(
      /^#compdef keyturn\n.*\n.*compinit; \}\n.*bashcompinit\n_keyturn\(\)/,
    );
  });
});

describe('a request', () => {
  it('is made of options, which replace members of the file', () => {
    const made = requestOf('rotate-key', {
      cluster: '/c',
      change: 'CHG1',
      parameter: ['keyId=https://kv/keys/k/1', 'soakInSeconds=60', 'text="5"'],
      approvalTimeout: '60',
    });
    expect(made).toEqual({
      kind: 'rotate-key',
      cluster: '/c',
      change: { number: 'CHG1' },
      parameters: { keyId: 'https://kv/keys/k/1', soakInSeconds: 60, text: '5' },
      approvalTimeoutInSeconds: 60,
    });
  });

  it('that lacks something names all of it', () => {
    expect(() => requestOf(undefined, {})).toThrow('Name the kind, --cluster, --change');
  });
});
