import { describe, expect, test } from '@jest/globals';
import { duration, reasonOf } from '../../tools/report';

describe('a reason', () => {
  test('goes down to the cause at the bottom, and says nothing twice', () => {
    const refused = new Error('connect ECONNREFUSED 127.0.0.1:1');
    const both = new AggregateError([refused, new Error('connect ECONNREFUSED ::1:1')]);
    const outer = new Error('fetch failed', { cause: new Error('fetch failed', { cause: both }) });
    expect(reasonOf(outer)).toBe('fetch failed: connect ECONNREFUSED 127.0.0.1:1');
  });

  test('is there even when what was thrown is no error', () => {
    expect([reasonOf('broken'), reasonOf(undefined), reasonOf(new Error(''))]).toEqual([
      "'broken'",
      'unknown error',
      'unknown error',
    ]);
  });
});

test('a duration is in minutes from the first full minute on', () => {
  expect([duration(0), duration(59_400), duration(59_600), duration(410_073)]).toEqual([
    '0 s',
    '59 s',
    '1 min 0 s',
    '6 min 50 s',
  ]);
});
