/**
 * What the whole test run shares: one Temporal dev server, one sandbox, one service.
 *
 * Jest's worker processes are started after this and inherit the environment: so the real Azure SDKs in the tests find
 * the sandbox, with its certificate authority, by default constructors.
 */
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { startStack, type Stack } from '../../launch/stack';
import { temporaryDirectory } from '../../cli/working-directory';
import type { Config } from '@jest/types';
import { ensureTools, type ToolName } from '../../tools';
import { TEST_STACK, type TestStackFacts } from './stack';

/** Kept for the teardown, which runs in this process too. */
declare global {
  var keyturnTestStack: { readonly stack: Stack; remove(): void } | undefined;
}

/** What only tests need: a build in the middle of one would run into its time limit. */
const TOOLS_OF_TESTS: readonly ToolName[] = [
  'kube-apiserver-1.26',
  'kube-apiserver-1.27',
  'temporal-server',
  'temporal-sql-tool',
];

/** @param project a configuration may name fewer tools, as the global `toolsOfTests` */
export default async function setup(
  _all: unknown,
  { globals }: { readonly globals: Config.ConfigGlobals },
): Promise<void> {
  const onProgress = (line: string): void => void process.stderr.write(`${line}\n`);
  const tools = (globals['toolsOfTests'] as readonly ToolName[] | undefined) ?? TOOLS_OF_TESTS;
  await ensureTools(tools, { onProgress });
  const directory = temporaryDirectory();
  keepCompiledCode(directory.path);
  const stack = await startStack({
    directory: directory.path,
    env: {
      ...process.env,
      KEYTURN_EVIDENCE_DIRECTORY: path.join(directory.path, 'evidence'),
      KEYTURN_EVIDENCE_KEY_FILE: path.join(directory.path, 'evidence-key.pem'),
      KEYTURN_API_SIGNING_KEY_FILE: path.join(directory.path, 'api-key.pem'),
      KEYTURN_RATE_LIMIT_PER_MINUTE: '100000',
      KEYTURN_MOUNT_FAILS_AFTER_SECONDS: '5',
    },
    sandbox: true,
    temporal: true,
    onProgress,
  });
  globalThis.keyturnTestStack = { stack, remove: () => directory.remove() };
  const { sandbox, temporal, service } = stack;
  if (!sandbox || !temporal) throw new Error('The tests need the sandbox and the embedded Temporal.');
  const facts: TestStackFacts = {
    directory: directory.path,
    sandbox: sandbox.facts,
    temporal: { address: temporal.address, namespace: temporal.namespace },
    apiUrl: service.apiUrl,
  };
  process.env[TEST_STACK] = JSON.stringify(facts);
  Object.assign(process.env, sandbox.env);
}

/** Has every process of Node.js that this run starts keep its compiled packages for the next one: compile-cache.js says why. */
function keepCompiledCode(directory: string): void {
  const folder = path.join(directory, 'compiled');
  mkdirSync(folder);
  process.env['KEYTURN_TEST_COMPILE_CACHE'] = folder;
  const given = process.env['NODE_OPTIONS'] ?? '';
  process.env['NODE_OPTIONS'] = `${given} --require ${JSON.stringify(path.join(__dirname, 'compile-cache.js'))}`.trim();
}
