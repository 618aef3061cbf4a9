/** From measurements to what is printed. */
import { describe, expect, it } from '@jest/globals';
import { outcomeOf, percentilesOf, tableOf, type Measurements } from '../../bench/outcome';

const measured: Measurements = {
  secrets: 1_000,
  size: 1_024,
  keyturn: [
    { seconds: 1.5, peakRssInBytes: 100 * 1024 * 1024, bytesReceived: 600_400, historyEvents: 170 },
    { seconds: 2.5, peakRssInBytes: 90 * 1024 * 1024, bytesReceived: 500_400, historyEvents: 171 },
  ],
  kubectlSeconds: [11, 13],
  // 1.5, 1 and 2 s.
  generatorRates: [1_000 / 1.5, 1_000, 500],
  requests: 2_095,
};

describe('the outcome', () => {
  it('has the mean times of all runs, the median of all pairs, and exactly the members that other programs read', () => {
    expect(outcomeOf(measured)).toEqual({
      secrets: 1_000,
      size: 1_024,
      keyturn: { seconds: 2, perSecond: 500, peakRssMb: 100, bytesReceivedPerSecret: 600 },
      kubectl: { seconds: 12, perSecond: 83.3 },
      generator: { perSecond: 666.7 },
      // The pairs: 1.25 to 1.5 s, and 1.5 to 2.5 s.
      ratioToGenerator: 0.717,
      speedupOverKubectl: 6,
      requestsPerSecret: 2.095,
      historyEvents: 171,
    });
  });

  it('lets one pair in a bad minute decide nothing', () => {
    const [run] = measured.keyturn;
    const keyturn = run ? [1, 1, 10, 1.1, 1].map((seconds) => ({ ...run, seconds })) : [];
    const generatorRates = [1_000, 1_000, 1_000, 1_000, 1_000, 1_000];
    expect(outcomeOf({ ...measured, keyturn, generatorRates }).ratioToGenerator).toBe(1);
  });

  it('takes ratios of exact numbers, not of rounded ones', () => {
    const [run] = measured.keyturn;
    const { ratioToGenerator } = outcomeOf({ ...measured, keyturn: run ? [{ ...run, seconds: 1.2504 }] : [] });
    expect(ratioToGenerator).toBe(1);
  });

  it('has what another client saw when that was measured', () => {
    const otherClients = { idle: { count: 300, p50: 1, p99: 4 }, during: { count: 200, p50: 3, p99: 10 } };
    expect(outcomeOf({ ...measured, otherClients }).otherClients).toEqual({
      idleP99Ms: 4,
      duringP99Ms: 10,
      ratio: 2.5,
    });
  });

  it('is a table with every run for people', () => {
    const text = tableOf(outcomeOf(measured), measured).join('\n');
    expect(text).toContain('Keyturn is 6 times as fast');
    expect(text).toContain('(runs: 666.7, 400)');
    expect(text).toContain('71.7 % of it, by the median of all pairs (runs: 666.7, 1000, 500)');
    expect(text).toContain('Pairs: 83.3 %, 60 %; the bound for the median of five is 90 %');
    expect(text).toContain('2.095 per Secret');
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
