/**
 * `npm start`: the API and the worker, for real use. Settings come from the environment (docs/settings.md) and are
 * checked before anything is started. Without TEMPORAL_ADDRESS it starts a Temporal dev server with a database file; with
 * KEYTURN_SANDBOX=1 it starts the sandbox in place of Azure.
 */
import { Command } from 'commander';
import path from 'node:path';
import { readApiSettings } from '../api/settings';
import { startStack, type Stack } from '../launch/stack';
import { readTogether } from '../settings/environment';
import { readWorkerSettings } from '../worker/settings';
import { heading, runCommand, say, untilStopped } from './terminal';
import { stateDirectory, temporaryDirectory } from './working-directory';

new Command('npm start')
  .description('Runs the API and the worker. Settings come from the environment: see docs/settings.md.')
  .parse();

/** The sandbox has its own tenant; until it runs, any tenant id will do. */
const ANY_TENANT = '00000000-0000-0000-0000-000000000000';

async function main(): Promise<number> {
  const sandbox = process.env.KEYTURN_SANDBOX === '1';
  const env = sandbox ? { ...process.env, KEYTURN_TENANT_ID: ANY_TENANT } : process.env;
  const { api } = readTogether({ api: () => readApiSettings(env), worker: () => readWorkerSettings(env) });
  const temporalAddress = api.temporal.connection.address;
  const stopped = untilStopped().then(() => 'stopped' as const);
  const state = stateDirectory();
  const temporary = temporaryDirectory();
  let stack: Stack | undefined;
  try {
    heading(sandbox ? 'Starting Keyturn on the sandbox' : 'Starting Keyturn');
    const starting = startStack({
      directory: sandbox ? temporary.path : state,
      env: process.env,
      sandbox,
      temporal: temporalAddress === undefined,
      databaseFile: path.join(state, 'temporal.db'),
      apiPort: api.port === 0 ? undefined : api.port,
      onProgress: (line) => console.error(line),
    });
    const started = await Promise.race([starting, stopped]);
    // Child processes that are still starting die with this process.
    if (started === 'stopped') return 0;
    stack = started;
    say(
      `API                ${stack.service.apiUrl}  (documentation: ${stack.service.apiUrl}/docs)`,
      `Temporal           ${stack.temporal?.uiUrl ?? temporalAddress}`,
      ...(sandbox ? [`Sandbox            ${path.join(temporary.path, 'sandbox', 'sandbox.json')}`] : []),
      `Process ids        api ${stack.service.api.pid}, worker ${stack.service.worker.pid}`,
    );
    await stopped;
    return 0;
  } finally {
    await stack?.stop();
    temporary.remove();
  }
}

runCommand(main);
