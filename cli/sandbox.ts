/**
 * `npm run sandbox`: the sandbox and the service, until stopped, for any client that honours HTTPS_PROXY and a CA file.
 * Writes `.keyturn/sandbox.json`: everything that such a client needs.
 */
import { Command } from 'commander';
import { rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { makeSampleCluster, SAMPLE_SECRET_COUNT, startSandboxStack, type SandboxStack } from './sandbox-stack';
import { heading, runCommand, say, untilStopped } from './terminal';
import { stateDirectory, temporaryDirectory } from './working-directory';

const options = new Command('npm run sandbox --')
  .description('Runs a local Azure with one AKS cluster, and Keyturn with it, until stopped.')
  .option('--secrets <number>', 'how many Secrets the cluster has', String(SAMPLE_SECRET_COUNT))
  .parse()
  .opts<{ secrets: string }>();

async function main(): Promise<number> {
  const count = Number(options.secrets);
  if (!Number.isInteger(count) || count < 0) throw new Error('--secrets wants a whole number.');
  const stopped = untilStopped().then(() => 'stopped' as const);
  const state = stateDirectory();
  const file = path.join(state, 'sandbox.json');
  const temporary = temporaryDirectory();
  let stack: SandboxStack | undefined;
  try {
    const started = await Promise.race([startSandboxStack(temporary.path), stopped]);
    // Child processes that are still starting die with this process.
    if (started === 'stopped') return 0;
    stack = started;
    writeFileSync(file, `${JSON.stringify(await describe(stack, temporary.path, count), null, 2)}\n`, { mode: 0o600 });
    heading('Ready, until Ctrl-C');
    say(
      `What clients need  ${file}`,
      `API                ${stack.service.apiUrl}  (documentation: ${stack.service.apiUrl}/docs)`,
      `Temporal UI        ${stack.temporal.uiUrl}`,
      `Logs               ${path.join(temporary.path, 'logs')}`,
    );
    await stopped;
    return 0;
  } finally {
    rmSync(file, { force: true });
    await stack?.stop();
    temporary.remove();
  }
}

async function describe(stack: SandboxStack, directory: string, count: number): Promise<unknown> {
  const { sandbox, temporal, service } = stack;
  const { facts } = sandbox;
  const { resourceId, kubeconfig, etcd } = await makeSampleCluster(stack, directory, count);
  const { requester, approver1, approver2, reader } = facts.people;
  return {
    azure: {
      proxy: facts.proxyUrl,
      caFile: facts.caFile,
      tenantId: facts.tenantId,
      subscriptionId: facts.subscriptionId,
      clientId: facts.clientId,
      clientSecret: facts.clientSecret,
    },
    api: { url: service.apiUrl },
    temporal: { address: temporal.address, namespace: temporal.namespace, uiUrl: temporal.uiUrl },
    clusters: [{ resourceId, kubeconfig, etcd }],
    people: {
      requester: requester.token,
      approver1: approver1.token,
      approver2: approver2.token,
      reader: reader.token,
    },
    serviceNow: facts.serviceNow,
    control: facts.control,
  };
}

runCommand(main);
