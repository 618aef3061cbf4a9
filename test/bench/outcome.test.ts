/** From measurements to what is printed. */
import { describe, expect, it } from '@jest/globals';
import { outcomeOf, percentilesOf, tableOf, type Measurements } from '../../bench/outcome';

const measured: Measurements = {
  secrets: 1_000,
  size: 1_024,
  keyturn: { seconds: 2, peakRssInBytes: 100 * 1024 * 1024, bytesReceived: 600_400, historyEvents: 170 },
  kubectl: { seconds: 12 },
  generatorRates: [450, 625],
};

describe('the outcome', () => {
  it('compares with the better run of the generator, and has exactly the members that other programs read', () => {
    expect(outcomeOf(measured)).toEqual({
      secrets: 1_000,
      size: 1_024,
      keyturn: { seconds: 2, perSecond: 500, peakRssMb: 100, bytesReceivedPerSecret: 600 },
      kubectl: { seconds: 12, perSecond: 83.3 },
      generator: { perSecond: 625 },
      ratioToGenerator: 0.8,
      speedupOverKubectl: 6,
      historyEvents: 170,
    });
  });

  it('takes ratios of exact numbers, not of rounded ones', () => {
    const { ratioToGenerator } = outcomeOf({ ...measured, keyturn: { ...measured.keyturn, seconds: 1.6004 } });
    expect(ratioToGenerator).toBe(1);
  });

  it('has what another client saw when that was measured', () => {
    const neighbours = { idle: { count: 300, p50: 1, p99: 4 }, during: { count: 200, p50: 3, p99: 10 } };
    expect(outcomeOf({ ...measured, neighbours }).neighbours).toEqual({ idleP99Ms: 4, duringP99Ms: 10, ratio: 2.5 });
  });

  it('is a table with both runs of the generator for people', () => {
    const text = tableOf(outcomeOf(measured), measured).join('\n');
    expect(text).toContain('Keyturn is 6 times as fast');
    expect(text).toContain('80 % of it (runs: 450, 625)');
  });
});

describe('percentiles', () => {
  it('are values that were measured, by nearest rank', () => {
    const values = Array.from({ length: 200 }, (_, index) => 200 - index);
    expect(percentilesOf(values)).toEqual({ count: 200, p50: 100, p99: 198 });
    expect(percentilesOf([7])).toEqual({ count: 1, p50: 7, p99: 7 });
  });

  it('of nothing are an error, not a good result', () => {
    expect(() => percentilesOf([])).toThrow('Nothing was measured');
  });
});
