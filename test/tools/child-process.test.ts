import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startChild } from '../../tools/child-process';
import { isAlive } from '../../tools/program';
import { compileTools, makePlace, nodePath, type Place } from './support';

let place: Place;

beforeEach(() => {
  place = makePlace();
});

afterEach(() => place.remove());

/** Resolves to whether the process went away in time. */
async function isGone(pid: number, withinMs: number): Promise<boolean> {
  for (const end = Date.now() + withinMs; Date.now() < end; await sleep(20)) if (!isAlive(pid)) return true;
  return false;
}

/** Resolves to whether the process ended in time; one that nobody has asked about yet (a zombie) has ended. */
async function hasEnded(pid: number, withinMs: number): Promise<boolean> {
  const state = (): string => spawnSync('ps', ['-o', 'stat=', '-p', String(pid)], { encoding: 'utf8' }).stdout.trim();
  for (const end = Date.now() + withinMs; Date.now() < end; await sleep(20)) if (/^Z|^$/.test(state())) return true;
  return false;
}

const shell = (script: string): { name: string; command: string; args: string[] } => ({
  name: 'a shell',
  command: '/bin/sh',
  args: ['-c', script],
});

describe('a child', () => {
  test.each([
    ['an ordinary environment', process.env],
    ['a PATH that leads nowhere', { PATH: '/nonexistent' }],
  ])('dies when its parent is killed, with %s', async (_, env) => {
    const module = join(compileTools(place), 'child-process.js');
    const code = `const { startChild } = require(${JSON.stringify(module)});
      const child = startChild({ name: 'sleeper', command: '/bin/sleep', args: ['1000'], env: ${JSON.stringify(env)} });
      console.log(child.pid);`;
    const parent = spawn(process.execPath, ['-e', code], { env: { ...process.env, NODE_PATH: nodePath } });
    const [said] = (await once(parent.stdout, 'data')) as unknown[];
    const pid = Number(String(said));
    await sleep(300);
    expect(isAlive(pid)).toBe(true);
    parent.kill('SIGKILL');
    expect(await isGone(pid, 5_000)).toBe(true);
  });

  test('takes what it started along when its parent is killed, and when it ends by itself, if asked to', async () => {
    const module = join(compileTools(place), 'child-process.js');
    const script = 'sleep 1000 & echo $!; wait';
    const code = `const { startChild } = require(${JSON.stringify(module)});
      startChild({ name: 'shell', command: '/bin/sh', args: ['-c', ${JSON.stringify(script)}], withDescendants: true,
        onStdout: (chunk) => console.log(chunk.trim()) });`;
    const parent = spawn(process.execPath, ['-e', code], { env: { ...process.env, NODE_PATH: nodePath } });
    const [said] = (await once(parent.stdout, 'data')) as unknown[];
    expect(isAlive(Number(String(said)))).toBe(true);
    parent.kill('SIGKILL');
    expect(await hasEnded(Number(String(said)), 5_000)).toBe(true);

    let left = '';
    const child = startChild({
      ...shell('sleep 1000 >/dev/null & echo $!'),
      withDescendants: true,
      onStdout: (chunk) => (left += chunk),
    });
    await child.exited;
    while (left === '') await sleep(10);
    expect(await hasEnded(Number(left), 5_000)).toBe(true);
  });

  test('has the pid of the program itself, not of a shell around it', async () => {
    const child = startChild({ ...shell('echo $$; exec sleep 1000'), onStdout: (chunk) => (said += chunk) });
    let said = '';
    while (said === '') await sleep(10);
    expect(Number(said)).toBe(child.pid);
    await child.stop();
  });

  test('can be stopped twice, at once and later', async () => {
    const child = startChild({ name: 'sleeper', command: 'sleep', args: ['1000'] });
    await Promise.all([child.stop(), child.stop()]);
    await child.stop();
    expect(await child.exited).toEqual({ code: null, signal: 'SIGTERM' });
    expect(isAlive(child.pid)).toBe(false);
  });

  test('that ignores SIGTERM is killed after the grace period', async () => {
    const child = startChild({
      ...shell('trap "" TERM; echo ready; while :; do sleep 0.1; done'),
      onStdout: () => (up = true),
    });
    let up = false;
    while (!up) await sleep(10);
    await child.stop({ graceInMs: 300 });
    expect(await child.exited).toEqual({ code: null, signal: 'SIGKILL' });
  });

  test('that does not exist ends with 127 and says so', async () => {
    const child = startChild({ name: 'nobody', command: '/nonexistent/program', args: [] });
    expect(await child.exited).toEqual({ code: 127, signal: null });
    expect(child.tail()).toContain('/nonexistent/program');
  });

  test('of a folder that does not exist is an error, and only one', async () => {
    expect(() => startChild({ ...shell('true'), cwd: '/nonexistent' })).toThrow('/nonexistent is missing');
    await sleep(50); // An uncaught 'error' event would end the run here.
  });

  test('writes to its log file what it prints on both streams', async () => {
    const logFile = join(place.directory, 'log');
    await startChild({ ...shell('echo out; echo err >&2; exit 3'), logFile }).exited;
    await startChild({ ...shell('echo more'), logFile }).exited;
    expect(readFileSync(logFile, 'utf8').split('\n').sort()).toEqual(['', 'err', 'more', 'out']);
  });

  test.each(['a pipe', 'a log file'])('keeps the end of a long output to %s', async (kind) => {
    const logFile = kind === 'a pipe' ? undefined : join(place.directory, 'log');
    const script = 'i=0; while [ $i -lt 5000 ]; do echo "line $i"; i=$((i+1)); done; echo last words';
    const child = startChild({ ...shell(script), logFile });
    await child.exited;
    expect(child.tail()).toContain('last words');
    expect(child.tail().length).toBeLessThanOrEqual(16 * 1024);
  });
});
