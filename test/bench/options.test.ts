/** The command line of the benchmark. */
import { describe, expect, it } from '@jest/globals';
import { Command } from 'commander';
import { kubectlRunsIn, readOptions, type BenchOptions } from '../../bench/options';

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
      rounds: 5,
      json: false,
      otherClients: false,
      latencyLimit: 'off',
      generatorWorkers: 64,
    });
  });

  it("leaves the guard as the service has it when another client's latency is measured, unless it is told", () => {
    expect(read('--other-clients').latencyLimit).toBeUndefined();
    expect(read('--other-clients', '--latency-limit', '3').latencyLimit).toBe('3');
    expect(read('--latency-limit', '1.5').latencyLimit).toBe('1.5');
  });

  it('runs several rounds, and one where that is long enough or only another client matters', () => {
    expect(read('--secrets', '19999').rounds).toBe(5);
    expect(read('--secrets', '20000').rounds).toBe(1);
    expect(read('--secrets', '511', '--size', '102400').rounds).toBe(5);
    expect(read('--secrets', '512', '--size', '102400').rounds).toBe(1);
    expect(read('--other-clients').rounds).toBe(1);
    expect(read('--secrets', '20000', '--rounds', '2').rounds).toBe(2);
  });

  it('lets kubectl run in every second round, and at least once', () => {
    const roundsOfKubectl = (rounds: number): number[] =>
      Array.from({ length: rounds }, (_, index) => index + 1).filter((round) => kubectlRunsIn(round, rounds));
    expect(roundsOfKubectl(1)).toEqual([1]);
    expect(roundsOfKubectl(2)).toEqual([2]);
    expect(roundsOfKubectl(5)).toEqual([2, 4]);
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
