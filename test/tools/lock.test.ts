import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findTool } from '../../tools';
import { withLock } from '../../tools/lock';
import {
  compileTools,
  makePlace,
  nodePath,
  publishTemporal,
  startOrigin,
  TEMPORAL_PATH,
  type Origin,
  type Place,
} from './support';

let origin: Origin;
let place: Place;

beforeEach(async () => {
  origin = await startOrigin();
  place = makePlace(origin.url);
});

afterEach(async () => {
  place.remove();
  await origin.close();
});

const downloads = (): number => origin.requests.filter((path) => path === TEMPORAL_PATH).length;

/** Lets the origin answer once somebody has said that it waits for another. */
function answerOnceOneWaits(): (line: string) => void {
  let go = (): void => undefined;
  origin.until = new Promise<void>((resolve) => (go = resolve));
  return (line) => {
    if (line.includes('waiting for')) go();
  };
}

describe('two who want the same tool', () => {
  test('in one process cause one download', async () => {
    await publishTemporal(origin, place);
    const heard = answerOnceOneWaits();
    const onProgress = (line: string): void => {
      place.lines.push(line);
      heard(line);
    };
    const find = (): Promise<string> => findTool('temporal', { ...place.options, onProgress });
    const paths = await Promise.all([find(), find()]);
    expect(paths[0]).toBe(paths[1]);
    expect(downloads()).toBe(1);
    expect(place.lines.join('\n')).toContain('waiting for another call in this process, fetching temporal since');
  });

  test('in two processes cause one download, and the second says whom it waits for', async () => {
    await publishTemporal(origin, place);
    const heard = answerOnceOneWaits();
    const main = join(compileTools(place), 'main.js');
    const start = (): { pid: number | undefined; done: Promise<{ code: number; said: string }> } => {
      const child = spawn(process.execPath, [main, 'temporal'], { env: { ...place.env, NODE_PATH: nodePath } });
      let said = '';
      for (const stream of [child.stdout, child.stderr]) {
        stream.on('data', (chunk) => {
          said += String(chunk);
          heard(said);
        });
      }
      return { pid: child.pid, done: once(child, 'close').then(([code]: unknown[]) => ({ code: Number(code), said })) };
    };
    const runs = [start(), start()];
    const results = await Promise.all(runs.map(({ done }) => done));
    expect(results.map(({ code }) => code)).toEqual([0, 0]);
    expect(downloads()).toBe(1);
    const waited = results.findIndex(({ said }) => said.includes('waiting for process'));
    expect(results[waited]?.said).toContain(`waiting for process ${runs[1 - waited]?.pid}, fetching temporal since`);
  });
});

describe('the lock', () => {
  const options = (): Parameters<typeof withLock<string>>[0] => ({
    directory: join(place.directory, 'locks'),
    id: 'thing',
    doing: 'fetching thing',
    say: (line) => void place.lines.push(line),
    already: async () => undefined,
    staleAfterInMs: 2_000,
  });

  test('of a killed process is taken over', async () => {
    const lock = join(compileTools(place), 'lock.js');
    const code = `require(${JSON.stringify(lock)}).withLock(
      { ...${JSON.stringify(options())}, say: () => {}, already: async () => undefined },
      () => { console.log('held'); return new Promise(() => setInterval(() => {}, 1000)); })`;
    const holder = spawn(process.execPath, ['-e', code], { env: { ...place.env, NODE_PATH: nodePath } });
    await once(holder.stdout, 'data');
    holder.kill('SIGKILL');
    await once(holder, 'exit');
    const start = Date.now();
    expect(await withLock(options(), async () => 'mine')).toBe('mine');
    expect(Date.now() - start).toBeLessThan(10_000);
    expect(place.lines[0]).toContain(`process ${holder.pid}, which was fetching thing, is gone`);
  });

  test('of a live holder outlasts the time after which a dead one would lose it', async () => {
    const order: string[] = [];
    const first = withLock(options(), async () => {
      await sleep(4_500);
      order.push('first');
      return '';
    });
    await sleep(100);
    await Promise.all([first, withLock(options(), async () => String(order.push('second')))]);
    expect(order).toEqual(['first', 'second']);
  });

  test('is given back when the work fails', async () => {
    const failing = withLock(options(), () => Promise.reject(new Error('no luck')));
    await expect(failing).rejects.toThrow('no luck');
    expect(await withLock(options(), async () => 'next')).toBe('next');
    expect(place.lines).toEqual([]);
  });

  test('is no reason to work when somebody finished just before it was had', async () => {
    const answers = [undefined, 'there'];
    const already = async (): Promise<string | undefined> => answers.shift();
    expect(await withLock({ ...options(), already }, async () => 'did it again')).toBe('there');
  });

  test('is not waited for by somebody whose result has appeared meanwhile', async () => {
    const results: string[] = [];
    let finish = (): void => undefined;
    const holder = withLock(options(), () => new Promise<string>((resolve) => (finish = () => resolve('held'))));
    await sleep(200);
    const waiter = withLock({ ...options(), already: async () => results[0] }, async () => 'did it again');
    await sleep(200);
    results.push('there');
    expect(await waiter).toBe('there');
    finish();
    await holder;
  });
});
