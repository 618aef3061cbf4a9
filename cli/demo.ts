/**
 * `npm run demo`: a job of Keyturn, on the sandbox, from nothing to the proof: a rotation, or another journey.
 *
 * Does: starts everything, makes a cluster with Secrets, asks for the operation as a change-management system would, lets a second
 * person approve each gate, follows it, and reads raw etcd before and after.
 * Never does: touch Azure, or leave a process behind.
 */
import { Command, Option } from 'commander';
import path from 'node:path';
import type { KmsScheme } from '../domain/encryption';
import { clusterWrites, SandboxControl } from '../launch/sandbox-control';
import { lookIntoEtcd, type EtcdCount } from './demo-etcd';
import { JOURNEYS, keyObjectExists } from './demo-journeys';
import { askAndFollow } from './demo-operation';
import { makeSampleCluster, SAMPLE_SECRET_COUNT, startSandboxStack, type SandboxStack } from './sandbox-stack';
import { heading, isInteractive, runCommand, say, untilStopped } from './terminal';
import { temporaryDirectory } from './working-directory';

/** What shells' own programs report when they are called in a wrong way. */
const WRONG_USAGE = 2;
const names = JOURNEYS.map(({ name }) => name);
const command = new Command('npm run demo --')
  .description(
    'Shows one operation on a sample AKS cluster in the sandbox, and proves that every Secret followed: a key rotation, or another journey.',
  )
  .addOption(new Option('--journey <name>', 'which operation to show').choices(names).default(JOURNEYS[0].name))
  .option('--yes', 'approve each gate of the plan as the second person, without asking')
  .option('--json', 'print the outcome as one JSON object on the last line')
  .option('--keep', 'leave everything running until Ctrl-C')
  .option('--secrets <number>', 'how many Secrets the cluster has', String(SAMPLE_SECRET_COUNT))
  .addHelpText('after', journeysHelp())
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : WRONG_USAGE))
  .parse();
/** What a shell reports of a program that Ctrl-C ended. */
const INTERRUPTED = 130;
const options = command.opts<{ journey: string; yes?: true; json?: true; keep?: true; secrets: string }>();
const journey = JOURNEYS.find(({ name }) => name === options.journey) ?? JOURNEYS[0];

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
  readonly kind: string;
  readonly status: string;
  readonly operationId: string;
  readonly secrets: number;
  readonly rewritten: number;
  readonly unproven: number;
  readonly etcd: EtcdCount;
  readonly armWrites: number;
  readonly seconds: number;
  readonly evidence: string | null;
}

async function runDemo(stack: SandboxStack, directory: string, secrets: number, startedAt: number): Promise<Outcome> {
  const { sandbox, temporal, service } = stack;
  say(`Temporal UI        ${temporal.uiUrl}`, `API documentation  ${service.apiUrl}/docs`);

  const { before: scheme, after: newScheme } = journey.schemes;
  heading(`Making an AKS cluster with ${inWords(scheme)} and ${secrets} Secrets`);
  const cluster = await makeSampleCluster(stack, directory, secrets, journey.cluster);
  const old = { scheme, keyId: cluster.keyId };
  const before = await lookIntoEtcd(cluster, { old });
  say(
    `Cluster  ${cluster.resourceId}`,
    `Key      ${cluster.keyId}`,
    `etcd     ${before.oldKey} Secrets under this key with ${inWords(scheme)}, ${before.plaintext} in plaintext`,
  );

  const control = new SandboxControl(sandbox.facts.control);
  const parameters = await journey.prepare(sandbox.facts, cluster);
  const writesBefore = clusterWrites(await control.journal(), cluster.resourceId);
  const operation = await askAndFollow({
    apiUrl: service.apiUrl,
    people: sandbox.facts.people,
    cluster: cluster.resourceId,
    kind: journey.kind,
    parameters,
    reason: journey.reason,
    yes: options.yes === true,
  });
  const armWrites = clusterWrites(await control.journal(), cluster.resourceId) - writesBefore;

  const newKeyId = operation.result?.currentKeyId;
  const under = newKeyId ? { scheme: newScheme, keyId: newKeyId } : undefined;
  const after = await lookIntoEtcd(cluster, { old, new: under });
  heading('The proof');
  if (operation.result?.proof) {
    const { rewrite, proof } = operation.result;
    const [from, to] = scheme === newScheme ? ['the old key', 'the new key'] : [inWords(scheme), inWords(newScheme)];
    say(
      `Secrets rewritten  ${rewrite?.rewritten ?? 0} of ${proof.secrets}`,
      `Resource versions  R0 ${proof.bounds.baselineRv} (before the switch), Rc ${proof.bounds.convergedRv} (all servers switched), final list ${proof.finalRv}`,
      `Not proven         ${proof.unproven}`,
      `Raw etcd before    ${before.oldKey} under ${from}, 0 under ${to}, ${before.plaintext} in plaintext`,
      `Raw etcd after     ${after.oldKey} under ${from}, ${after.newKey} under ${to}, ${after.plaintext} in plaintext`,
      `Writes to ARM      ${armWrites}`,
      `The old key        ${(await keyObjectExists(sandbox.facts, cluster.keyId)) ? 'the vault has it' : 'the vault shows it as deleted'}`,
    );
  } else if (operation.status === 'Succeeded') {
    // The last step of a kind that proves no Secret says what it showed.
    say(operation.steps.at(-1)?.result ?? '', `Writes to ARM      ${armWrites}`);
  } else {
    say(`There is none: the operation is ${operation.status}. ${operation.reason?.detail ?? ''}`);
  }
  heading('Where to look');
  say(
    `Temporal UI        ${operation.links.temporalUi ?? temporal.uiUrl}`,
    `API documentation  ${service.apiUrl}/docs`,
    `Evidence           ${operation.evidence?.file ?? 'none'}`,
    ...(options.keep === true ? [`Go on with         npx keyturn --url ${service.apiUrl} show ${operation.id}`] : []),
    ...(operation.evidence
      ? [`Check it           npm run verify-evidence -- ${path.relative('.', operation.evidence.file)}`]
      : []),
  );
  return {
    kind: operation.kind,
    status: operation.status,
    operationId: operation.id,
    secrets: operation.result?.proof?.secrets ?? 0,
    rewritten: operation.result?.rewrite?.rewritten ?? 0,
    unproven: operation.result?.proof?.unproven ?? (operation.status === 'Succeeded' ? 0 : secrets),
    etcd: after,
    armWrites,
    seconds: Math.round((Date.now() - startedAt) / 100) / 10,
    evidence: operation.evidence?.file ?? null,
  };
}

/** `KMS v2`, as people write it. */
function inWords(scheme: KmsScheme): string {
  return scheme.replace('kms-v', 'KMS v');
}

function journeysHelp(): string {
  const width = Math.max(...names.map((name) => name.length));
  return ['', 'Journeys:', ...JOURNEYS.map(({ name, does }) => `  ${name.padEnd(width)}  ${does}`)].join('\n');
}

runCommand(main);
