/**
 * Everything together: tools, sandbox, Temporal, service. What `npm run demo`, `npm start` and `npm run sandbox` start,
 * and what the tests run against.
 */
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { ensureTools } from '../tools';
import { startSandboxProcess, type SandboxProcess } from './sandbox';
import { startService, type Service } from './service';
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
  await ensureTools([...(options.temporal ? (['temporal'] as const) : []), ...(options.sandbox ? (['etcd', 'kube-apiserver-1.34'] as const) : [])], {
    onProgress,
  });

  const stops: (() => Promise<void>)[] = [];
  const stop = async (): Promise<void> => {
    for (const stopOne of stops.splice(0).reverse()) await stopOne();
  };
  try {
    const [sandbox, temporal] = await settleAll([
      options.sandbox
        ? startSandboxProcess({ directory: path.join(directory, 'sandbox'), logFile: path.join(logDirectory, 'sandbox.log') })
        : undefined,
      options.temporal
        ? startTemporal({
            logFile: path.join(logDirectory, 'temporal.log'),
            databaseFile: options.databaseFile,
            onProgress,
          })
        : undefined,
    ]);
    if (sandbox) stops.push(() => sandbox.child.stop());
    if (temporal) stops.push(() => temporal.child.stop());
    const service = await startService({
      env: {
        ...options.env,
        ...(sandbox ? sandbox.env : {}),
        ...(temporal ? { TEMPORAL_ADDRESS: temporal.address, TEMPORAL_NAMESPACE: temporal.namespace, KEYTURN_TEMPORAL_UI_URL: temporal.uiUrl } : {}),
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

/** `Promise.all` that waits for all before it rejects, so that nothing is left running unseen. */
async function settleAll<A extends { child: { stop(): Promise<void> } }, B extends { child: { stop(): Promise<void> } }>(
  started: [Promise<A> | undefined, Promise<B> | undefined],
): Promise<[A | undefined, B | undefined]> {
  const [a, b] = await Promise.allSettled(started);
  if (a.status === 'fulfilled' && b.status === 'fulfilled') return [a.value, b.value];
  for (const result of [a, b]) if (result.status === 'fulfilled') await result.value?.child.stop();
  throw a.status === 'rejected' ? a.reason : b.status === 'rejected' ? b.reason : new Error('unreachable');
}
