/**
 * The yardstick: a load generator (vegeta) that sends the very patches that Keyturn sends, one per Secret, as fast as it can.
 *
 * It knows every Secret and its resource version beforehand and does nothing with the answers, so it shows what the API
 * server can take. What Keyturn does beyond that (listing, judging, proving) has to fit into the difference.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { fencedPatch, type SecretMetadata } from '../activities/kubernetes/metadata';
import { listSecretPages } from '../activities/kubernetes/secret-list';
import { startChild } from '../tools/child-process';
import { connectCluster, readAccess } from './cluster-access';
import type { Rig } from './rig';

const ANSWER_TIMEOUT = '65s';

/**
 * Patches every Secret of the rig once.
 * @param vegeta path of the program
 * @param workers connections, each with one request under way
 * @returns patches per second, from the first request to the last answer
 * @throws Error unless every answer was 200
 */
export async function runGenerator(vegeta: string, rig: Rig, workers: number): Promise<number> {
  const access = readAccess(rig.cluster.kubeconfig);
  const file = (name: string): string => path.join(rig.directory, `vegeta-${name}`);
  const pems = { 'ca.pem': access.ca, 'cert.pem': access.cert ?? '', 'key.pem': access.key ?? '' };
  for (const [name, pem] of Object.entries(pems)) writeFileSync(file(name), pem, { mode: 0o600 });
  await writeTargets(rig, file('targets.json'));
  await run(vegeta, file('log'), [
    'attack',
    ...['-format=json', '-lazy', `-targets=${file('targets.json')}`, `-output=${file('results.bin')}`],
    // No rate: each worker sends its next request when it has the answer to its last.
    ...['-rate=0', `-workers=${workers}`, `-max-workers=${workers}`, `-connections=${workers}`],
    ...['-http2=false', '-max-body=0', `-timeout=${ANSWER_TIMEOUT}`, '-redirects=-1'],
    ...[`-root-certs=${file('ca.pem')}`, `-cert=${file('cert.pem')}`, `-key=${file('key.pem')}`],
  ]);
  await run(vegeta, file('log'), ['report', '-type=json', `-output=${file('report.json')}`, file('results.bin')]);
  return rateOf(JSON.parse(readFileSync(file('report.json'), 'utf8')), rig.secrets);
}

const NANOSECONDS = 1e9;
const Report = z.object({
  /** Nanoseconds from the first request to the last one. */
  duration: z.number(),
  /** Nanoseconds from the last request to the last answer. */
  wait: z.number(),
  status_codes: z.record(z.string(), z.int()),
  errors: z.array(z.string()).nullable(),
});

/** A worker that finds no target any more ends the attack; vegeta lists that as a result, with code 0 and these words. */
const END_OF_TARGETS = 'no targets to attack';

/**
 * The rate in vegeta's own report.
 * @param report as `vegeta report -type=json` prints it
 * @returns patches per second, from the first request to the last answer
 * @throws Error unless there was an answer for every Secret, and every answer was 200
 */
export function rateOf(report: unknown, secrets: number): number {
  const { duration, wait, status_codes, errors } = Report.parse(report);
  const { 0: _ends, ...answers } = status_codes;
  const faults = (errors ?? []).filter((error) => error !== END_OF_TARGETS);
  if (answers['200'] !== secrets || Object.keys(answers).length > 1 || faults.length > 0) {
    throw new Error(
      `The load generator got ${JSON.stringify(answers)} as answers for ${secrets} Secrets, and the errors ` +
        `${JSON.stringify(faults.slice(0, 3))}. Its rate means nothing, so the run ends here.`,
    );
  }
  return secrets / ((duration + wait) / NANOSECONDS);
}

/** The patch that Keyturn sends, in vegeta's JSON format. @param server `https://HOST:PORT` */
export function targetLine(server: string, secret: SecretMetadata): string {
  const { method, path: at, body, accept = '', contentType = '' } = fencedPatch(secret);
  return JSON.stringify({
    method,
    url: `${server}${at}`,
    body: Buffer.from(JSON.stringify(body)).toString('base64'),
    header: { Accept: [accept], 'Content-Type': [contentType], 'User-Agent': ['keyturn'] },
  });
}

async function writeTargets({ cluster, namespaces }: Rig, file: string): Promise<void> {
  const connection = connectCluster(cluster.kubeconfig);
  const output = await open(file, 'w', 0o600);
  try {
    for await (const { items } of listSecretPages(connection, {})) {
      const seeded = items.filter(({ namespace }) => namespaces.includes(namespace));
      await output.write(seeded.map((secret) => `${targetLine(connection.server, secret)}\n`).join(''));
    }
  } finally {
    await output.close();
    await connection.close();
  }
}

/** @throws Error with the end of the output when it fails */
async function run(command: string, logFile: string, args: readonly string[]): Promise<void> {
  const child = startChild({ name: 'vegeta', command, args, logFile });
  const { code, signal } = await child.exited;
  if (code !== 0) throw new Error(`vegeta ${args[0]} failed (${signal ?? `code ${code}`}): ${child.tail()}`);
}
