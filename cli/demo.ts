/**
 * `npm run demo`: the main job of Keyturn, on the sandbox, from nothing to one proven key rotation.
 *
 * Does: starts everything, makes a cluster with Secrets, asks for a rotation as a change-management system would, lets a second
 * person approve it, follows it, and reads raw etcd before and after.
 * Never does: touch Azure, or leave a process behind.
 */
import { Command } from 'commander';
import path from 'node:path';
import type { SandboxClusterFacts } from '../launch/sandbox-cluster';
import { clusterWrites, SandboxControl } from '../launch/sandbox-control';
import { countByKey, readSecretRecords, type KeyCount } from '../sandbox/cluster/raw-records';
import { rotateAndFollow } from './demo-rotation';
import { makeSampleCluster, SAMPLE_SECRET_COUNT, startSandboxStack, type SandboxStack } from './sandbox-stack';
import { heading, isInteractive, runCommand, say, untilStopped } from './terminal';
import { temporaryDirectory } from './working-directory';

const command = new Command('npm run demo --')
  .description('Rotates the key under a sample AKS cluster in the sandbox, and proves that every Secret followed.')
  .option('--yes', 'approve the plan as the second person, without asking')
  .option('--json', 'print the outcome as one JSON object on the last line')
  .option('--keep', 'leave everything running until Ctrl-C')
  .option('--secrets <number>', 'how many Secrets the cluster has', String(SAMPLE_SECRET_COUNT))
  .parse();
/** What a shell reports of a program that Ctrl-C ended. */
const INTERRUPTED = 130;
const options = command.opts<{ yes?: true; json?: true; keep?: true; secrets: string }>();

async function main(): Promise<number> {
  const secrets = Number(options.secrets);
  if (!Number.isInteger(secrets) || secrets < 1) throw new Error('--secrets wants a whole number, at least 1.');
  if (!options.yes && !isInteractive())
    throw new Error(
      'This is not an interactive terminal, so the demo cannot ask. Run it with --yes to approve as the second person.',
    );
  const startedAt = Date.now();
  const temporary = temporaryDirectory();
  const stopped = untilStopped().then(() => 'stopped' as const);
  let stack: SandboxStack | undefined;
  try {
    const started = await Promise.race([startSandboxStack(temporary.path), stopped]);
    // Child processes that are still starting die with this process.
    if (started === 'stopped') return INTERRUPTED;
    stack = started;
    const outcome = await Promise.race([runDemo(stack, temporary.path, secrets, startedAt), stopped]);
    if (outcome === 'stopped') return INTERRUPTED;
    if (options.keep) {
      heading('Everything is left running until Ctrl-C');
      await stopped;
    }
    await stack.stop();
    if (options.json) console.log(JSON.stringify(outcome));
    return outcome.status === 'Succeeded' ? 0 : 1;
  } finally {
    await stack?.stop();
    temporary.remove();
  }
}

/** What `--json` prints. */
interface Outcome {
  readonly status: string;
  readonly operationId: string;
  readonly secrets: number;
  readonly rewritten: number;
  readonly unproven: number;
  readonly etcd: Omit<KeyCount, 'other'>;
  readonly armWrites: number;
  readonly seconds: number;
  readonly evidence: string | null;
}

async function runDemo(stack: SandboxStack, directory: string, secrets: number, startedAt: number): Promise<Outcome> {
  const { sandbox, temporal, service } = stack;
  say(`Temporal UI        ${temporal.uiUrl}`, `API documentation  ${service.apiUrl}/docs`);

  heading(`Making an AKS cluster with KMS v2 and ${secrets} Secrets`);
  const cluster = await makeSampleCluster(stack, directory, secrets);
  const before = await lookIntoEtcd(cluster, cluster.keyId);
  say(
    `Cluster  ${cluster.resourceId}`,
    `Key      ${cluster.keyId}`,
    `etcd     ${before.newKey} Secrets under this key, ${before.plaintext} in plaintext`,
  );

  const control = new SandboxControl(sandbox.facts.control);
  const writesBefore = clusterWrites(await control.journal(), cluster.resourceId);
  const operation = await rotateAndFollow({
    apiUrl: service.apiUrl,
    people: sandbox.facts.people,
    cluster: cluster.resourceId,
    yes: options.yes === true,
  });
  const armWrites = clusterWrites(await control.journal(), cluster.resourceId) - writesBefore;

  const newKeyId = operation.result?.currentKeyId ?? cluster.keyId;
  const after = await lookIntoEtcd(cluster, newKeyId, cluster.keyId);
  heading('The proof');
  if (operation.result) {
    const { rewrite, proof } = operation.result;
    say(
      `Secrets rewritten  ${rewrite?.rewritten ?? 0} of ${proof.secrets}`,
      `Resource versions  R0 ${proof.bounds.baselineRv} (before the switch), Rc ${proof.bounds.convergedRv} (all servers switched), final list ${proof.finalRv}`,
      `Not proven         ${proof.unproven}`,
      `Raw etcd before    ${before.newKey} under the old key, 0 under the new key, ${before.plaintext} in plaintext`,
      `Raw etcd after     ${after.oldKey} under the old key, ${after.newKey} under the new key, ${after.plaintext} in plaintext`,
      `Writes to ARM      ${armWrites}`,
    );
  } else {
    say(`There is none: the operation is ${operation.status}. ${operation.reason?.detail ?? ''}`);
  }
  heading('Where to look');
  say(
    `Temporal UI        ${operation.links.temporalUi ?? temporal.uiUrl}`,
    `API documentation  ${service.apiUrl}/docs`,
    `Evidence           ${operation.evidence?.file ?? 'none'}`,
    ...(operation.evidence
      ? [`Check it           npm run verify-evidence -- ${path.relative('.', operation.evidence.file)}`]
      : []),
  );
  return {
    status: operation.status,
    operationId: operation.id,
    secrets: operation.result?.proof.secrets ?? 0,
    rewritten: operation.result?.rewrite?.rewritten ?? 0,
    unproven: operation.result?.proof.unproven ?? secrets,
    etcd: { newKey: operation.result ? after.newKey : 0, oldKey: after.oldKey, plaintext: after.plaintext },
    armWrites,
    seconds: Math.round((Date.now() - startedAt) / 100) / 10,
    evidence: operation.evidence?.file ?? null,
  };
}

/** The auditor's view: reads the stored records from etcd, not through the API server. */
async function lookIntoEtcd({ etcd }: SandboxClusterFacts, newKeyId: string, oldKeyId?: string): Promise<KeyCount> {
  return await countByKey(readSecretRecords(etcd), { newKeyId, oldKeyId });
}

runCommand(main);
