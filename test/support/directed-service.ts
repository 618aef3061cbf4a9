/** A service whose worker a test directs: it dies, or waits, at points of the test's choice, and is started again at once. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { startNodeProcess, type ReadyProcess } from '../../launch/node-process';
import { freePort } from '../../tools/ports';
import { eventually } from '../sandbox/cluster-support';
import { serviceEnvironment, testStack } from './stack';

const Crash = z.object({
  operation: z.string(),
  /** Before the first activity of a step; after the work of an activity, before Temporal hears of it. */
  when: z.enum(['before', 'after']),
  /** Null before and after the steps of a plan. */
  step: z.string().nullable(),
  activity: z.string().optional(),
});
/** A point at which a worker died. */
export type Crash = z.infer<typeof Crash>;

/** A running service, and what its worker is told. */
export interface DirectedService {
  readonly apiUrl: string;
  /**
   * From now on the worker dies once after the work of each activity that writes, before Temporal hears of it.
   * @param options.before also before the first activity of each step whose id it matches
   * @param options.after only in steps whose id it matches
   */
  crashEverywhere(options: { readonly before?: RegExp; readonly after?: RegExp }): void;
  /** Where workers died. */
  crashes(): Crash[];
  /** The next activity of this name waits; resolves when it does, with what lets it go on. */
  hold(activity: string): { readonly held: () => Promise<void>; readonly release: () => void };
  /** From now on each step waits before its first activity: tells at which, until `pass` lets it go on. */
  holdSteps(): { readonly heldAt: () => string | null; readonly pass: (step: string) => void };
  stop(): Promise<void>;
}

/** Starts an API and a worker with a task queue of their own. @param name of the queue, and of the folder */
export async function startDirectedService(name: string, more: NodeJS.ProcessEnv = {}): Promise<DirectedService> {
  const folder = path.join(testStack().directory, 'directions', name);
  const logs = path.join(testStack().directory, 'logs', name);
  for (const one of [folder, logs]) mkdirSync(one, { recursive: true });
  const at = (file: string): string => path.join(folder, file);
  const env = {
    ...serviceEnvironment(name),
    ...more,
    KEYTURN_API_PORT: String(await freePort()),
    KEYTURN_TEST_DIRECTIONS: folder,
  };
  const start = (role: 'api' | 'worker'): Promise<ReadyProcess> =>
    startNodeProcess({
      name: role,
      script: path.join(role, 'main.js'),
      nodeOptions: role === 'worker' ? ['--require', path.join(__dirname, 'directed-worker.js')] : [],
      env,
      logFile: path.join(logs, `${role}.log`),
    });
  const [api, first] = await Promise.all([start('api'), start('worker')]);
  let worker = first;
  let stopping = false;
  // Not launch/supervise.ts: its pauses grow, as they should for a worker that dies again and again.
  const kept = (async () => {
    for (;;) {
      await worker.child.exited;
      if (stopping) return;
      worker = await start('worker');
      if (stopping) await worker.child.stop();
    }
  })();

  return {
    apiUrl: z.object({ url: z.string() }).parse(api.said).url,
    crashEverywhere: ({ before, after }) => {
      if (before !== undefined) writeFileSync(at('crash-before'), before.source);
      writeFileSync(at('crash-after'), after?.source ?? '');
    },
    crashes: () =>
      existsSync(at('crashes'))
        ? readFileSync(at('crashes'), 'utf8')
            .trim()
            .split('\n')
            .map((line) => Crash.parse(JSON.parse(line)))
        : [],
    hold(activity) {
      writeFileSync(at(`hold-${activity}`), '');
      return {
        held: () => eventually(() => existsSync(at(`held-${activity}`))),
        release: () => rmSync(at(`hold-${activity}`), { force: true }),
      };
    },
    holdSteps() {
      writeFileSync(at('hold-steps'), '');
      return {
        heldAt: () => (existsSync(at('held-at')) ? readFileSync(at('held-at'), 'utf8') : null),
        pass(step) {
          rmSync(at('held-at'), { force: true });
          writeFileSync(at(`passed-${step}`), '');
        },
      };
    },
    async stop() {
      stopping = true;
      await Promise.all([api.child.stop(), worker.child.stop()]);
      await kept;
    },
  };
}
