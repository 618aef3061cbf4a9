/**
 * Everything together: tools, sandbox, Temporal, service. What `npm run demo`, `npm start` and `npm run sandbox` start,
 * and what the tests run against.
 */
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { ensureTools } from '../tools';
import { startSandboxProcess, type SandboxProcess } from './sandbox';
import { startService, type Service } from './service';
import { startBoth } from './start-both';
import { startTemporal, type TemporalServer } from './temporal';

/** What to start. */
export interface StackOptions {
  /** Folder for data and logs. */
  readonly directory: string;
  /** Base environment of the service. */
  readonly env: NodeJS.ProcessEnv;
  readonly sandbox: boolean;
  /** Start the dev server; false when TEMPORAL_ADDRESS names one. */
  readonly temporal: boolean;
  /** File that keeps operations over restarts; they are in memory when absent. */
  readonly databaseFile?: string;
  readonly apiPort?: number;
  readonly onProgress?: (line: string) => void;
}

/** What runs. */
export interface Stack {
  readonly sandbox?: SandboxProcess;
  readonly temporal?: TemporalServer;
  readonly service: Service;
  stop(): Promise<void>;
}

/** Starts what was asked for, in parallel where nothing depends on another. On a fault everything is stopped again. */
export async function startStack(options: StackOptions): Promise<Stack> {
  const { directory, onProgress } = options;
  const logDirectory = path.join(directory, 'logs');
  mkdirSync(logDirectory, { recursive: true });
  await ensureTools(
    [
      ...(options.temporal ? (['temporal'] as const) : []),
      ...(options.sandbox ? (['etcd', 'kube-apiserver-1.34'] as const) : []),
    ],
    {
      onProgress,
    },
  );

  const stops: (() => Promise<void>)[] = [];
  const stop = async (): Promise<void> => {
    for (const stopOne of stops.splice(0).reverse()) await stopOne();
  };
  try {
    const [sandbox, temporal] = await startBoth(
      options.sandbox
        ? startSandboxProcess({
            directory: path.join(directory, 'sandbox'),
            logFile: path.join(logDirectory, 'sandbox.log'),
          })
        : Promise.resolve(undefined),
      options.temporal
        ? startTemporal({
            logFile: path.join(logDirectory, 'temporal.log'),
            databaseFile: options.databaseFile,
            onProgress,
          })
        : Promise.resolve(undefined),
      (started) => started?.child.stop(),
    );
    if (sandbox) stops.push(() => sandbox.child.stop());
    if (temporal) stops.push(() => temporal.child.stop());
    const service = await startService({
      env: {
        // A person started all of it by one command; a worker alone makes no key unless it is told to.
        KEYTURN_EVIDENCE_KEY_CREATE: 'true',
        ...options.env,
        ...(sandbox ? sandbox.env : {}),
        ...(temporal
          ? {
              TEMPORAL_ADDRESS: temporal.address,
              TEMPORAL_NAMESPACE: temporal.namespace,
              KEYTURN_TEMPORAL_UI_URL: temporal.uiUrl,
            }
          : {}),
      },
      logDirectory,
      apiPort: options.apiPort,
      onRestart: onProgress,
    });
    stops.push(() => service.stop());
    return { sandbox, temporal, service, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
