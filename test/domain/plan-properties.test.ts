import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import { AS_PRODUCT } from './plan-model/behaviour';
import { breachesOf, play, stories } from './plan-model/stories';

it('holds', () => {
  fc.assert(
    fc.property(stories(), (story) => {
      expect(breachesOf(story, AS_PRODUCT)).toEqual([]);
    }),
    { numRuns: 3000, seed: 1 },
  );
});
it('ends', () => {
  const t = Date.now();
  const ended = fc.sample(stories(), { numRuns: 1000, seed: 2 }).flatMap((s) => play(s, AS_PRODUCT).ended);
  console.log(Date.now() - t, ended.length, ended.filter((x) => x === 'Succeeded').length);
});
