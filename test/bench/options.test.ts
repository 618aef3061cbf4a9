/** The command line of the benchmark. */
import { describe, expect, it } from '@jest/globals';
import { Command } from 'commander';
import { readOptions, type BenchOptions } from '../../bench/options';

/** Reads a command line; what would end the process is thrown, and what would be printed is in its message. */
function read(...args: string[]): BenchOptions {
  const said: string[] = [];
  const command = new Command().exitOverride().configureOutput({ writeErr: (text) => said.push(text.trim()) });
  try {
    return readOptions(['node', 'rewrite.js', ...args], command);
  } catch (error) {
    throw new Error(said.join('\n'), { cause: error });
  }
}

describe('the command line', () => {
  it('without anything measures 1,000 Secrets of 1 KiB, with the guard for others off as in the load generator', () => {
    expect(read()).toEqual({
      secrets: 1_000,
      size: 1_024,
      rounds: 3,
      json: false,
      neighbours: false,
      latencyLimit: 'off',
      generatorWorkers: 64,
    });
  });

  it("leaves the guard as the service has it when another client's latency is measured, unless it is told", () => {
    expect(read('--neighbours').latencyLimit).toBeUndefined();
    expect(read('--neighbours', '--latency-limit', '3').latencyLimit).toBe('3');
    expect(read('--latency-limit', '1.5').latencyLimit).toBe('1.5');
  });

  it('runs several rounds, and one where that is long enough or only another client matters', () => {
    expect(read('--secrets', '19999').rounds).toBe(3);
    expect(read('--secrets', '20000').rounds).toBe(1);
    expect(read('--neighbours').rounds).toBe(1);
    expect(read('--secrets', '20000', '--rounds', '2').rounds).toBe(2);
  });

  it.each([
    [['--rounds', '0'], "'0' is invalid. It must be a whole number from 1 to 20."],
    [['--secrets', 'many'], "'many' is invalid. It must be a whole number from 1 to 1000000."],
    [['--secrets', '0'], "'0' is invalid. It must be a whole number from 1 to 1000000."],
    [['--size', '1e3'], "'1e3' is invalid. It must be a whole number from 1 to 1000000."],
    [['--in-flight', '257'], "'257' is invalid. It must be a whole number from 1 to 256."],
    [['--latency-limit', '0.5'], '\'0.5\' is invalid. It must be "off" or a number of at least 1.'],
    [['--secret', '5'], "unknown option '--secret'"],
    [['5'], 'too many arguments'],
  ])('%j is refused with one clear sentence', (args, sentence) => {
    expect(() => read(...args)).toThrow(sentence);
  });
});
