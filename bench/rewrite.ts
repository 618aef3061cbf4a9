/**
 * `npm run bench:rewrite`: how fast Secrets are stored anew after a key was turned, by three ways, in one run, on the same
 * cluster and the same Secrets.
 *
 * Does: starts everything, fills a cluster, and lets each contestant move every Secret to a new key; looks into raw etcd
 *       after each of them. Keyturn and the load generator take turns, and kubectl runs in between, since etcd grows and
 *       machines vary: pairs are compared. At the end it counts what a whole operation asks the API servers.
 * Never does: touch Azure, or leave a process behind.
 */
import { arch, cpus, platform, release, totalmem } from 'node:os';
import path from 'node:path';
import { heading, runCommand, say, untilStopped } from '../cli/terminal';
import { temporaryDirectory } from '../cli/working-directory';
import { SandboxControl } from '../launch/sandbox-control';
import { startStack, type Stack } from '../launch/stack';
import { ensureTools } from '../tools';
import { runGenerator } from './generator';
import { runKeyturn, type KeyturnRun } from './keyturn';
import { runKubectl } from './kubectl';
import { startOtherClient, type OtherClient } from './other-clients';
import { kubectlRunsIn, readOptions, type BenchOptions } from './options';
import { outcomeOf, tableOf, type Measurements, type OtherClientLatency } from './outcome';
import { expectAllUnder, makeRig, turnKey, type Rig } from './rig';

/** What a shell reports of a program that Ctrl-C ended. */
const INTERRUPTED = 130;

async function main(): Promise<number> {
  const options = readOptions(process.argv);
  const temporary = temporaryDirectory();
  const stopped = untilStopped().then(() => 'stopped' as const);
  let stack: Stack | undefined;
  try {
    const starting = start(options, temporary.path);
    const started = await Promise.race([starting, stopped]);
    // What was being started dies with this process.
    if (started === 'stopped') return INTERRUPTED;
    stack = started.stack;
    const measured = await Promise.race([measure(started, temporary.path, options), stopped]);
    if (measured === 'stopped') return INTERRUPTED;
    await stack.stop();
    const outcome = outcomeOf(measured);
    heading(`${outcome.secrets} Secrets with a value of ${outcome.size} bytes`);
    say(...tableOf(outcome, measured));
    if (options.json) console.log(JSON.stringify(outcome));
    return 0;
  } finally {
    await stack?.stop();
    temporary.remove();
  }
}

/** What a run needs. */
interface Started {
  readonly stack: Stack;
  readonly kubectl: string;
  readonly vegeta: string;
}

async function start(options: BenchOptions, directory: string): Promise<Started> {
  heading('Starting the sandbox, Temporal, the worker and the API');
  const [cpu] = cpus();
  say(
    `${cpus().length} x ${cpu?.model.trim() ?? 'unknown processor'}, ${Math.round(totalmem() / 1024 ** 3)} GiB, ${platform()} ${release()} ${arch()}, Node.js ${process.version}`,
  );
  const onProgress = (line: string): void => console.error(line);
  const { kubectl, vegeta } = await ensureTools(['kubectl', 'vegeta'], { onProgress });
  const stack = await startStack({
    directory,
    env: {
      ...process.env,
      KEYTURN_EVIDENCE_DIRECTORY: path.join(directory, 'evidence'),
      KEYTURN_EVIDENCE_KEY_FILE: path.join(directory, 'evidence-key.pem'),
      KEYTURN_API_SIGNING_KEY_FILE: path.join(directory, 'api-key.pem'),
      ...(options.inFlight === undefined ? {} : { KEYTURN_REWRITE_IN_FLIGHT: String(options.inFlight) }),
      ...(options.latencyLimit === undefined ? {} : { KEYTURN_REWRITE_LATENCY_LIMIT: options.latencyLimit }),
    },
    sandbox: true,
    temporal: true,
    onProgress,
  });
  return { stack, kubectl, vegeta };
}

async function measure(
  { stack, kubectl, vegeta }: Started,
  directory: string,
  options: BenchOptions,
): Promise<Measurements> {
  const { secrets, size, rounds, generatorWorkers } = options;
  const { sandbox, temporal, service } = stack;
  if (!sandbox || !temporal) throw new Error('The stack came without its sandbox or its Temporal.');
  heading(`Making an AKS cluster with ${secrets} Secrets`);
  const onProgress = (line: string): void => say(line);
  const rig = await makeRig(sandbox.facts, { directory, secrets, size, onProgress });

  const generator = async (): Promise<number> => {
    const rate = await onNewKey(rig, 'the load generator', () => runGenerator(vegeta, rig, generatorWorkers));
    say(`${Math.round(rate)} patches per second with ${generatorWorkers} connections`);
    return rate;
  };
  const replacing = async (): Promise<number> => {
    const { seconds, conflicts } = await onNewKey(rig, 'kubectl', () => runKubectl(kubectl, rig));
    say(`${seconds.toFixed(2)} s, ${conflicts} conflicts`);
    return seconds;
  };

  heading('The load generator, before Keyturn');
  const generatorRates = [await generator()];

  const keyturn: KeyturnRun[] = [];
  const kubectlSeconds: number[] = [];
  let otherClients: OtherClientLatency | undefined;
  for (let round = 1; round <= rounds; round++) {
    heading(rounds === 1 ? 'Keyturn' : `Keyturn, run ${round} of ${rounds}`);
    const otherClient = options.otherClients && round === 1 ? await idleOtherClient(rig) : undefined;
    const run = await runKeyturn({ service, temporal }, rig, onProgress);
    for (const { activity, startedAt, endedAt } of run.spans) say(`${activity} ${(endedAt - startedAt) / 1000} s`);
    say(`the worker's memory: ${Math.round(run.peakRssInBytes / 1024 ** 2)} MB at most`);
    otherClients ??= await otherClient?.stop(run.spans);
    keyturn.push(run);

    heading('The load generator, after Keyturn');
    generatorRates.push(await generator());

    if (kubectlRunsIn(round, rounds)) {
      heading('kubectl get | kubectl replace');
      kubectlSeconds.push(await replacing());
    }
  }

  heading('Counting the requests of a whole operation');
  const requests = await countRequests(rig, () => runKeyturn({ service, temporal }, rig, onProgress));
  say(`${requests} requests about Secrets`);
  return { secrets, size, keyturn, kubectlSeconds, generatorRates, requests, otherClients };
}

/** What the API servers count while an operation runs whose current key an operation before has proven. */
async function countRequests(rig: Rig, operate: () => Promise<unknown>): Promise<number> {
  const control = new SandboxControl(rig.facts.control);
  const counted = async (): Promise<number> =>
    Object.values(await control.secretRequests(rig.name)).reduce((sum, count) => sum + count, 0);
  await operate();
  const before = await counted();
  await operate();
  return (await counted()) - before;
}

/** Makes every Secret stale, lets somebody move them, and sees in etcd that they moved. */
async function onNewKey<T>(rig: Rig, who: string, move: () => Promise<T>): Promise<T> {
  const keyId = await turnKey(rig);
  const result = await move();
  await expectAllUnder(rig, keyId, who);
  return result;
}

async function idleOtherClient(rig: Rig): Promise<OtherClient> {
  const otherClient = await startOtherClient(rig);
  say('Another client reads one ConfigMap 20 times a second; first it is measured alone.');
  await otherClient.idle();
  return otherClient;
}

runCommand(main);
