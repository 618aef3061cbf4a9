import { afterEach, beforeEach, expect, it, jest } from '@jest/globals';
import { Meter } from '../../activities/secrets/meter';

beforeEach(() => {
  jest.useFakeTimers();
});
afterEach(() => {
  jest.useRealTimers();
});

/** So many in so many milliseconds. */
function count(meter: Meter, done: number, inMs: number): void {
  for (let index = 0; index < done; index++) meter.count();
  jest.advanceTimersByTime(inMs);
}

it('tells how fast it goes, and how much longer it takes', () => {
  const meter = new Meter(1_000);
  expect(meter.reading()).toEqual({ done: 0, total: 1_000, perSecond: 0 });
  count(meter, 200, 2_000);
  expect(meter.reading()).toEqual({ done: 200, total: 1_000, perSecond: 100, etaInSeconds: 8 });
});

it('goes by the last seconds, not by all of the time', () => {
  const meter = new Meter(1_000);
  count(meter, 500, 6_000);
  meter.reading();
  count(meter, 60, 6_000);
  meter.reading();
  count(meter, 10, 1_000);
  expect(meter.reading()).toEqual({ done: 570, total: 1_000, perSecond: 10, etaInSeconds: 43 });
});

it('is true where writes take long and end together, as behind a webhook that is down and fails open', () => {
  const meter = new Meter(100);
  const etas: (number | undefined)[] = [];
  // Ten at a time, each for thirty seconds: 300 s in all.
  for (let second = 1; second <= 120; second++) {
    jest.advanceTimersByTime(1_000);
    if (second % 30 === 0) for (let index = 0; index < 6; index++) meter.count();
    etas.push(meter.reading().etaInSeconds);
    // The others of the same ten end a moment later.
    if (second % 30 === 0) for (let index = 0; index < 4; index++) meter.count();
  }
  expect(etas.slice(0, 29).every((eta) => eta === undefined)).toBe(true);
  // Of the right size, and never unknown again.
  for (const [index, eta = 0] of etas.slice(35).entries()) {
    const left = 300 - (index + 36);
    expect(eta).toBeGreaterThan(left * 0.5);
    expect(eta).toBeLessThan(left * 3);
  }
});

it('has a total that is never less than what is done', () => {
  const meter = new Meter(3);
  count(meter, 5, 1_000);
  expect(meter.reading()).toEqual({ done: 5, total: 5, perSecond: 5, etaInSeconds: 0 });
});
