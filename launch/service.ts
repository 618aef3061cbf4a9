/** The service: one API process and one worker process, kept running. */
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { openSigningKey, publicKeyFile } from '../evidence/key';
import { freePort } from '../tools/ports';
import { nonEmpty } from '../settings/environment';
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
 * The heap may grow by so many per cent between two collections: many answers of Temporal, or a long rewrite, otherwise let much garbage
 * become old before V8 looks at it, and memory would seem to grow with the number of operations and Secrets (docs/benchmarks.md).
 */
const NODE_OPTIONS = ['--heap-growing-percent=20'];

const apiSaid = z.object({ url: z.string() });

/**
 * The key that the API signs with, and its public half, which the worker believes: on one machine both are made here. Where API and
 * worker are configured apart, a person gives the worker the public keys.
 */
async function apiKeys(env: NodeJS.ProcessEnv): Promise<NodeJS.ProcessEnv> {
  const keyFile = path.resolve(nonEmpty(env.KEYTURN_API_SIGNING_KEY_FILE) ?? path.join('.keyturn', 'api-key.pem'));
  await openSigningKey(keyFile, { create: true, use: 'api' });
  return {
    KEYTURN_API_SIGNING_KEY_FILE: keyFile,
    KEYTURN_API_PUBLIC_KEYS: nonEmpty(env.KEYTURN_API_PUBLIC_KEYS) ?? publicKeyFile(keyFile),
  };
}

/** Starts both processes; resolves when the API listens and the worker polls. */
export async function startService(options: ServiceOptions): Promise<Service> {
  mkdirSync(options.logDirectory, { recursive: true });
  const port = options.apiPort ?? (await freePort());
  const onRestart = options.onRestart ?? ((what) => console.error(what));
  const env = { ...options.env, KEYTURN_API_PORT: String(port), ...(await apiKeys(options.env)) };
  let apiUrl = '';
  const start = (name: 'api' | 'worker') => async () => {
    const ready = await startNodeProcess({
      name,
      script: path.join(name, 'main.js'),
      nodeOptions: NODE_OPTIONS,
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
