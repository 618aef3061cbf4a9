import { describe, expect, it } from '@jest/globals';
import { latencyOf } from '../../bench/api-outcome';

describe('the latency of requests', () => {
  it('is that of requests that were measured, by nearest rank', () => {
    const times = Array.from({ length: 100 }, (_, at) => 100 - at);
    expect(latencyOf(times, 4)).toEqual({ p50: 50, p95: 95, p99: 99, perSecond: 25 });
    expect(latencyOf([7], 1)).toEqual({ p50: 7, p95: 7, p99: 7, perSecond: 1 });
  });
});
