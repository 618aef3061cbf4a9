/** The service: one API process and one worker process, kept running. */
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { freePort } from '../tools/ports';
import { startNodeProcess } from './node-process';
import { startBoth } from './start-both';
import { supervise, type Supervised } from './supervise';

/** What a service is started with. */
export interface ServiceOptions {
  /** Environment of both processes: Azure, Temporal and Keyturn settings (docs/settings.md). */
  readonly env: NodeJS.ProcessEnv;
  /** Folder of the log files. */
  readonly logDirectory: string;
  /** A free one is found when absent. */
  readonly apiPort?: number;
  /** Told of processes that ended and were started again. */
  readonly onRestart?: (what: string) => void;
}

/** A running service. */
export interface Service {
  readonly apiUrl: string;
  readonly api: Supervised;
  readonly worker: Supervised;
  stop(): Promise<void>;
}

/**
 * The worker's heap may grow by so many per cent between two collections: a long rewrite otherwise lets much garbage become old
 * before V8 looks at it, and its memory would seem to grow with the number of Secrets (docs/benchmarks.md).
 */
const NODE_OPTIONS = { api: [], worker: ['--heap-growing-percent=20'] };

const apiSaid = z.object({ url: z.string() });

/** Starts both processes; resolves when the API listens and the worker polls. */
export async function startService(options: ServiceOptions): Promise<Service> {
  mkdirSync(options.logDirectory, { recursive: true });
  const port = options.apiPort ?? (await freePort());
  const onRestart = options.onRestart ?? ((what) => console.error(what));
  const env = { ...options.env, KEYTURN_API_PORT: String(port) };
  let apiUrl = '';
  const start = (name: 'api' | 'worker') => async () => {
    const ready = await startNodeProcess({
      name,
      script: path.join(name, 'main.js'),
      nodeOptions: NODE_OPTIONS[name],
      env,
      logFile: path.join(options.logDirectory, `${name}.log`),
    });
    if (name === 'api') apiUrl = apiSaid.parse(ready.said).url;
    return ready;
  };
  const [api, worker] = await startBoth(
    supervise(start('api'), onRestart),
    supervise(start('worker'), onRestart),
    (started) => started.stop(),
  );
  return { apiUrl, api, worker, stop: async () => void (await Promise.all([api.stop(), worker.stop()])) };
}
