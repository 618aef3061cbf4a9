import { it } from '@jest/globals';
import fc from 'fast-check';
import { AS_PRODUCT } from './behaviour';
import { play, stories } from './stories';
it('ends', () => {
  const t0 = Date.now();
  const all = fc.sample(stories(), { numRuns: 300, seed: 2 });
  const t = Date.now();
  const ended = all.flatMap((s) => play(s, AS_PRODUCT).ended);
  console.log(t - t0, Date.now() - t, ended.length);
});
