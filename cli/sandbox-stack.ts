/** What the demo and `npm run sandbox` have in common: everything on the sandbox, with evidence below `.keyturn`. */
import path from 'node:path';
import { makeSandboxCluster, type SandboxClusterFacts, type SandboxClusterOptions } from '../launch/sandbox-cluster';
import { SandboxControl } from '../launch/sandbox-control';
import type { SandboxProcess } from '../launch/sandbox';
import { startStack, type Stack } from '../launch/stack';
import type { TemporalServer } from '../launch/temporal';
import { heading } from './terminal';
import { stateDirectory } from './working-directory';

/** The Secrets that the sample cluster is filled with: several namespaces, some immutable, some large. */
const SAMPLE_SECRETS = {
  namespaces: ['payments', 'shop', 'reports', 'default'],
  immutableEvery: 10,
  largeEvery: 50,
  largeSizeInBytes: 100 * 1024,
} as const;

/** How many Secrets the sample cluster has by default. */
export const SAMPLE_SECRET_COUNT = 500;

const CLUSTER_NAME = 'demo';
const VAULT_NAME = 'keyturn-demo';

/** A stack that surely has a sandbox and a Temporal of its own. */
export type SandboxStack = Stack & { readonly sandbox: SandboxProcess; readonly temporal: TemporalServer };

/** Starts sandbox, Temporal, worker and API. @param directory for what does not stay; its path must be short */
export async function startSandboxStack(directory: string): Promise<SandboxStack> {
  heading('Starting the sandbox, Temporal, the worker and the API');
  const state = stateDirectory();
  const stack = await startStack({
    directory,
    env: {
      ...process.env,
      KEYTURN_EVIDENCE_DIRECTORY: path.join(state, 'evidence'),
      KEYTURN_EVIDENCE_KEY_FILE: path.join(state, 'evidence-key.pem'),
      KEYTURN_API_SIGNING_KEY_FILE: path.join(state, 'api-key.pem'),
    },
    sandbox: true,
    temporal: true,
    onProgress: (line) => console.error(line),
  });
  const { sandbox, temporal } = stack;
  if (!sandbox || !temporal) throw new Error('The stack came without its sandbox or its Temporal.');
  return { ...stack, sandbox, temporal };
}

/** Makes the sample cluster and fills it. @param secrets how many; 0 leaves it empty */
export async function makeSampleCluster(
  { sandbox: { facts } }: SandboxStack,
  directory: string,
  secrets: number,
  options: Pick<SandboxClusterOptions, 'kubernetesVersion'> = {},
): Promise<SandboxClusterFacts> {
  const cluster = await makeSandboxCluster(facts, { ...options, name: CLUSTER_NAME, vaultName: VAULT_NAME, directory });
  if (secrets > 0) await new SandboxControl(facts.control).seed(CLUSTER_NAME, { count: secrets, ...SAMPLE_SECRETS });
  return cluster;
}
