/**
 * The sandbox as a process: `node dist/sandbox/main.js --directory DIR`.
 *
 * Needs: etcd and kube-apiserver, as tools/ finds them.
 * Does: starts a sandbox with real clusters and their nodes, prints one line of JSON (sandbox.json) when it is ready, and stays until
 *       SIGTERM or SIGINT; then ends the clusters and itself. A second signal ends it at once.
 * Never does: print anything else on standard output.
 */
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { createCluster } from './cluster/cluster';
import { seedSecrets } from './cluster/seed';
import { messageOf } from './message-of';
import { createNodeSides } from './node-sides';
import { startSandbox } from './sandbox';

const USAGE = 'Usage: node dist/sandbox/main.js --directory DIR [--authority DIR] [--retry-after SECONDS]';

/** The body of `POST /clusters/{name}/seed`. */
const seedSchema = z.strictObject({
  count: z.int().min(0).max(1_000_000),
  namespaces: z.array(z.string().min(1)).min(1).default(['default']),
  immutableEvery: z.int().min(1).optional(),
  largeEvery: z.int().min(1).optional(),
  largeSizeInBytes: z.int().min(1).max(1_000_000).optional(),
  marker: z.string().optional(),
});

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      directory: { type: 'string' },
      authority: { type: 'string' },
      'retry-after': { type: 'string', default: '1' },
    },
  });
  const retryAfterInSeconds = Number(values['retry-after']);
  if (values.directory === undefined || !Number.isInteger(retryAfterInSeconds) || retryAfterInSeconds < 0) {
    throw new Error(USAGE);
  }

  const stopped = untilSignal();
  const sandbox = await startSandbox({
    directory: values.directory,
    authorityDirectory: values.authority,
    retryAfterInSeconds,
    clusterFactory: createCluster,
    seed: (cluster, body) => seedSecrets(cluster.adminKubeconfig, seedSchema.parse(body)),
  });
  const { proxyUrl, caFile, tenantId, instanceIdentities, proxyUrlForNodes } = sandbox;
  const nodes = createNodeSides({
    directory: values.directory,
    azure: { proxyUrl, caFile },
    tenantId,
    instanceIdentities,
    proxyUrlForNodes,
  });
  sandbox.onNodeFeatures(nodes.apply);
  process.stdout.write(`${JSON.stringify(sandbox.describe())}\n`);
  await stopped;
  await nodes.close();
  await sandbox.close();
}

/** Resolves at the first SIGTERM or SIGINT; the second one ends the process. */
function untilSignal(): Promise<void> {
  return new Promise((resolve) => {
    let signalled = false;
    const onSignal = (): void => {
      if (signalled) process.exit(1);
      signalled = true;
      resolve();
    };
    process.on('SIGTERM', onSignal);
    process.on('SIGINT', onSignal);
  });
}

main().then(
  () => process.exit(0),
  (error: unknown) => {
    process.stderr.write(`The sandbox ended: ${messageOf(error)}\n`);
    process.exit(1);
  },
);
