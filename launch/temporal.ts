/**
 * The embedded Temporal dev server: one process with its web UI and, if wanted, a database file.
 *
 * For trying Keyturn and for its tests. For real use point TEMPORAL_ADDRESS at a Temporal of your own.
 */
import { Connection } from '@temporalio/client';
import { setTimeout as sleep } from 'node:timers/promises';
import { startChild, type Child } from '../tools/child-process';
import { findTool } from '../tools';
import { freePort } from '../tools/ports';
import { SEARCH_ATTRIBUTE_TYPES, SearchAttributes } from '../workflows/messages';

/** A running dev server. */
export interface TemporalServer {
  readonly address: string;
  readonly namespace: string;
  readonly uiUrl: string;
  readonly child: Child;
}

/** How to start it. */
export interface TemporalOptions {
  /** SQLite file that keeps operations over restarts; in memory when absent. */
  readonly databaseFile?: string;
  readonly logFile: string;
  /** Free ones are found when absent. */
  readonly port?: number;
  readonly uiPort?: number;
  readonly onProgress?: (line: string) => void;
}

const PASSED_ON = ['PATH', 'HOME', 'TMPDIR', 'LANG', 'TZ'];
const NAMESPACE = 'default';
const READY_TIMEOUT_IN_MS = 60_000;

/** Starts the dev server; resolves when it answers. @throws Error with the end of its log when it does not get ready. */
export async function startTemporal(options: TemporalOptions): Promise<TemporalServer> {
  const command = await findTool('temporal', { onProgress: options.onProgress });
  const port = options.port ?? (await freePort());
  const uiPort = options.uiPort ?? (await freePort());
  const searchAttributes = Object.values(SearchAttributes).flatMap(({ name, type }) => [
    '--search-attribute',
    `${name}=${SEARCH_ATTRIBUTE_TYPES[type]}`,
  ]);
  const database = options.databaseFile === undefined ? [] : ['--db-filename', options.databaseFile];
  const child = startChild({
    name: 'temporal',
    command,
    args: [
      ...[
        'server',
        'start-dev',
        '--ip',
        '127.0.0.1',
        '--port',
        String(port),
        '--ui-ip',
        '127.0.0.1',
        '--ui-port',
        String(uiPort),
      ],
      ...['--log-level', 'error', '--namespace', NAMESPACE, ...searchAttributes, ...database],
      // The dev server reads the table of search attributes anew for each operation of a list, which is most of the time of a list.
      // All that we have are given above, so the default of a real server will do.
      ...['--dynamic-config-value', 'system.forceSearchAttributesCacheRefreshOnRead=false'],
    ],
    logFile: options.logFile,
    env: temporalEnvironment(process.env),
  });
  const address = `127.0.0.1:${port}`;
  await answering(address, child, options.logFile);
  return { address, namespace: NAMESPACE, uiUrl: `http://127.0.0.1:${uiPort}`, child };
}

/** What the program needs of our environment. Credentials for Azure, and the secrets of Keyturn's settings, are none of its business. */
export function temporalEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(PASSED_ON.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]])));
}

async function answering(address: string, child: Child, logFile: string): Promise<void> {
  let ended = false;
  void child.exited.then(() => (ended = true));
  const deadline = Date.now() + READY_TIMEOUT_IN_MS;
  for (;;) {
    try {
      const connection = await Connection.connect({ address, connectTimeout: '2 seconds' });
      await connection.workflowService.describeNamespace({ namespace: NAMESPACE });
      await connection.close();
      return;
    } catch (error) {
      if (ended || Date.now() > deadline) {
        await child.stop();
        throw new Error(`The Temporal dev server at ${address} did not get ready. Its log is ${logFile}.`, {
          cause: error,
        });
      }
      await sleep(100);
    }
  }
}
