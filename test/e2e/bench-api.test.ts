/** The benchmark of the API at its smallest size: it runs, and says what it promises. `npm test` compiles it. */
import { afterAll, describe, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import { COMPILED } from '../../launch/node-process';

const run = promisify(execFile);
/** Only what ends a run that hangs: nothing here is about speed. */
const LONGEST_IN_MS = 900_000;

const Latency = z.strictObject({
  p50: z.number().positive(),
  p95: z.number().positive(),
  p99: z.number().positive(),
  perSecond: z.number().positive(),
});
const Outcome = z.strictObject({
  operations: z.literal(100),
  get: Latency,
  list: Latency,
  create: Latency,
  approve: Latency,
  apiRssMb: z.number().positive(),
  workerRssMb: z.number().positive(),
  apiRssMbAtFirst: z.number().positive(),
  workerRssMbAtFirst: z.number().positive(),
});

describe('npm run bench:api', () => {
  const cwd = mkdtempSync(path.join(tmpdir(), 'keyturn-bench-test-'));
  afterAll(() => rmSync(cwd, { recursive: true }));

  it(
    'prints one JSON object and nothing else on standard output, and ends well',
    async () => {
      const { PATH, HOME, XDG_CACHE_HOME } = process.env;
      const { stdout } = await run(
        process.execPath,
        [path.join(COMPILED, 'bench/api.js'), '--operations', '100', '--json'],
        { cwd, env: { PATH, HOME, XDG_CACHE_HOME, TMPDIR: cwd } },
      );
      expect(Outcome.safeParse(JSON.parse(stdout)).error).toBeUndefined();
    },
    LONGEST_IN_MS,
  );

  it('is the program that is tested here', () => {
    const { scripts } = z
      .object({ scripts: z.record(z.string(), z.string()) })
      .parse(JSON.parse(readFileSync(path.join(__dirname, '../../package.json'), 'utf8')));
    expect(scripts['bench:api']).toMatch(/ && node dist\/bench\/api\.js$/);
  });
});
