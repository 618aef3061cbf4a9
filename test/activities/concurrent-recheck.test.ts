/** When the second look may begin: not before everything that it vouches for was stored. */
import { describe, expect, it } from '@jest/globals';
import type { Running } from '../../activities/running';
import { ConcurrentRecheck } from '../../activities/secrets/concurrent-recheck';
import type { Recheck } from '../../activities/convergence-recheck';
import { testRunning } from './cluster-support';

const HOLDS: Recheck = { holds: true, weaknesses: [] };

/** Looks that end when the test says so, or are aborted. */
function looks(running = testRunning()) {
  const taken: { readonly running: Running; end(look: Recheck): void; fail(error: Error): void }[] = [];
  const look = new ConcurrentRecheck(
    (looking) =>
      new Promise((resolve, reject) => {
        looking.signal.addEventListener('abort', () => reject(looking.signal.reason as Error));
        taken.push({ running: looking, end: resolve, fail: reject });
      }),
    running,
  );
  return { look, taken, running };
}

describe('the second look', () => {
  it('begins with the first page of the list, once', async () => {
    const { look, taken } = looks();
    look.listed('10');
    look.listed('10');
    expect(taken).toHaveLength(1);
    taken[0]?.end(HOLDS);
    expect(await look.result()).toBe(HOLDS);
    expect(taken).toHaveLength(1);
  });

  it('begins anew when the list had to go on with a later resource version', async () => {
    const { look, taken } = looks();
    look.listed('10');
    look.listed('20');
    expect(taken.map(({ running }) => running.signal.aborted)).toEqual([true, false]);
    taken[1]?.end(HOLDS);
    expect(await look.result()).toBe(HOLDS);
  });

  it('is taken after everything when a Secret had to be asked', async () => {
    const { look, taken } = looks();
    look.listed('10');
    taken[0]?.end({ holds: true, weaknesses: ['of the early one'] });
    look.asked();
    look.listed('10');
    expect(taken).toHaveLength(1);
    const result = look.result();
    expect(taken).toHaveLength(2);
    taken[1]?.end(HOLDS);
    expect(await result).toBe(HOLDS);
  });

  it('is taken at the end when there was no page', async () => {
    const { look, taken } = looks();
    const result = look.result();
    taken[0]?.end(HOLDS);
    expect(await result).toBe(HOLDS);
  });

  it('tells its failure to whoever asks for the result, and to nobody else', async () => {
    const { look, taken } = looks();
    look.listed('10');
    taken[0]?.fail(new Error('refused'));
    // An unhandled rejection would end the process in between.
    await new Promise(setImmediate);
    await expect(look.result()).rejects.toThrow('refused');
  });

  it('ends with whoever stops it, and with the work that it belongs to', async () => {
    const stopped = looks();
    stopped.look.listed('10');
    await stopped.look.stop();
    expect(stopped.taken[0]?.running.signal.aborted).toBe(true);

    const canceled = looks();
    canceled.look.listed('10');
    canceled.running.abort(new Error('canceled'));
    await expect(canceled.look.result()).rejects.toThrow('canceled');
  });

  it('goes on to say what the list said last', () => {
    const { look, taken, running } = looks();
    look.running.heartbeat({ done: 10, total: 10 });
    look.listed('10');
    taken[0]?.running.heartbeat({ waitsFor: 'an answer' });
    expect(running.heartbeats).toEqual([
      { done: 10, total: 10 },
      { done: 10, total: 10 },
    ]);
  });
});
