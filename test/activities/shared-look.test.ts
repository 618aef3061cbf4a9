/** Looks that are shared: nobody gets an answer whose look began before the question. */
import { describe, expect, it } from '@jest/globals';
import { createSharedLooks } from '../../activities/shared-look';
import { testRunning } from './cluster-support';

/** Looks that end when the test says so: each gives its number. */
function looks() {
  const begun: { readonly end: () => void; readonly fail: () => void; readonly signal: AbortSignal }[] = [];
  const look = (signal: AbortSignal): Promise<number> =>
    new Promise((resolve, reject) => {
      const number = begun.length;
      begun.push({ end: () => resolve(number), fail: () => reject(new Error(`look ${number} failed`)), signal });
    });
  return { begun, look };
}

/** After all that is ready to run has run. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const HOUR_IN_MS = 3_600_000;

describe('shared looks', () => {
  it('begin at once, and once more for all who asked meanwhile', async () => {
    const shared = createSharedLooks(HOUR_IN_MS);
    const { begun, look } = looks();
    const { signal } = testRunning();
    const first = shared.of('c1', signal, look);
    const others = [1, 2, 3].map(() => shared.of('c1', signal, look));
    await settled();
    expect(begun).toHaveLength(1);
    begun[0]?.end();
    expect(await first).toBe(0);
    await settled();
    expect(begun).toHaveLength(2);
    begun[1]?.end();
    expect(await Promise.all(others)).toEqual([1, 1, 1]);
    // Nothing is kept: the next question is looked at anew.
    const later = shared.of('c1', signal, look);
    begun[2]?.end();
    expect(await later).toBe(2);
  });

  it('of other things do not wait for each other', async () => {
    const shared = createSharedLooks(HOUR_IN_MS);
    const { begun, look } = looks();
    const { signal } = testRunning();
    const asked = ['c1', 'c2'].map((key) => shared.of(key, signal, look));
    expect(begun).toHaveLength(2);
    for (const one of begun) one.end();
    expect(await Promise.all(asked)).toEqual([0, 1]);
  });

  it('do not wait long for one that hangs', async () => {
    const shared = createSharedLooks(1);
    const { begun, look } = looks();
    const { signal } = testRunning();
    const hanging = shared.of('c1', signal, look);
    const other = shared.of('c1', signal, async (given) => {
      const answer = look(given);
      begun[1]?.end();
      return await answer;
    });
    expect(await other).toBe(1);
    begun[0]?.end();
    expect(await hanging).toBe(0);
  });

  it('fail for those who waited, and for nobody later', async () => {
    const shared = createSharedLooks(HOUR_IN_MS);
    const { begun, look } = looks();
    const { signal } = testRunning();
    const first = shared.of('c1', signal, look);
    const second = shared.of('c1', signal, look);
    begun[0]?.fail();
    await expect(first).rejects.toThrow('look 0 failed');
    await settled();
    begun[1]?.end();
    expect(await second).toBe(1);
  });

  it('end when all who waited have given up, and not before', async () => {
    const shared = createSharedLooks(HOUR_IN_MS);
    const { begun, look } = looks();
    const [one, two, three] = [testRunning(), testRunning(), testRunning()];
    const first = shared.of('c1', three.signal, look);
    const waiting = [one, two].map(({ signal }) => shared.of('c1', signal, look));
    begun[0]?.end();
    expect(await first).toBe(0);
    await settled();
    one.abort(new Error('gone'));
    await expect(waiting[0]).rejects.toThrow('gone');
    expect(begun[1]?.signal.aborted).toBe(false);
    two.abort(new Error('gone too'));
    await expect(waiting[1]).rejects.toThrow('gone too');
    expect(begun[1]?.signal.aborted).toBe(true);
    begun[1]?.fail();
  });
});
