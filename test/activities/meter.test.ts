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
  count(meter, 10, 1_000);
  expect(meter.reading()).toEqual({ done: 510, total: 1_000, perSecond: 10, etaInSeconds: 49 });
});

it('has a total that is never less than what is done', () => {
  const meter = new Meter(3);
  count(meter, 5, 1_000);
  expect(meter.reading()).toEqual({ done: 5, total: 5, perSecond: 5, etaInSeconds: 0 });
});
