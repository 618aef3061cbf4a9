/**
 * The bundle of workflow code that the worker runs, made at build time.
 *
 * `node dist/worker/bundle.js` makes it when its sources changed since the last time, which webpack itself cannot tell
 * without doing the work. The bundle must come from the same exact version of @temporalio/worker that runs it.
 */
import { bundleWorkflowCode } from '@temporalio/worker';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { version as workerVersion } from '@temporalio/worker/package.json';

const DIST = path.resolve(__dirname, '..');
const FINGERPRINT = path.join(DIST, 'workflow-bundle.sources');

/** The bundle's file. */
export const WORKFLOW_BUNDLE = path.join(DIST, 'workflow-bundle.js');

const FOLDERS = ['domain', 'workflows', 'activities'];
const OUR_MODULES = FOLDERS.map((folder) => path.join(DIST, folder));
const LOADER = path.join(__dirname, 'share-module.js');

/** Makes the bundle, unless it is there and its sources are what they were. */
export async function makeWorkflowBundle(): Promise<void> {
  const sources = fingerprintOfSources();
  if (existsSync(WORKFLOW_BUNDLE) && existsSync(FINGERPRINT) && readFileSync(FINGERPRINT, 'utf8') === sources) return;
  const workflowsPath = path.join(DIST, 'workflows', 'index.js');
  const { code } = await bundleWorkflowCode({
    workflowsPath,
    // All operations share these modules, which keep no state. Loaded once for each operation they are most of its memory and of a replay.
    preloadModules: [workflowsPath],
    webpackConfigHook: (config) => ({
      ...config,
      module: { ...config.module, rules: [...(config.module?.rules ?? []), { include: OUR_MODULES, use: [LOADER] }] },
    }),
    logger: { ...console, trace: () => undefined, debug: () => undefined, info: () => undefined, log: () => undefined },
  });
  writeFileSync(WORKFLOW_BUNDLE, code);
  writeFileSync(FINGERPRINT, sources);
}

function fingerprintOfSources(): string {
  const hash = createHash('sha256').update(workerVersion);
  for (const file of [__filename, LOADER]) hash.update(readFileSync(file));
  for (const folder of FOLDERS) {
    const files = readdirSync(path.join(DIST, folder), { recursive: true, encoding: 'utf8' }).filter((file) =>
      file.endsWith('.js'),
    );
    for (const file of files.sort()) hash.update(file).update(readFileSync(path.join(DIST, folder, file)));
  }
  return hash.digest('hex');
}

if (require.main === module) {
  makeWorkflowBundle().catch((error: unknown) => {
    console.error('The workflow bundle could not be made.', error);
    process.exitCode = 1;
  });
}
