/**
 * `npm run bench:api`: how fast the API answers four clients while thousands of operations wait for approval.
 *
 * Does: starts everything, has operations made on one small cluster of the sandbox, waits until each has its plan, and measures.
 * Never does: let an operation begin. Two approvals are required, and each operation gets one.
 */
import { Command, InvalidArgumentError } from 'commander';
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { cpus, loadavg } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { z } from 'zod';
import { runCommand, untilStopped } from '../cli/terminal';
import { temporaryDirectory } from '../cli/working-directory';
import { makeSandboxCluster } from '../launch/sandbox-cluster';
import { startStack, type Stack } from '../launch/stack';
import { apiTable, latencyOf, type ApiOutcome, type Latency } from './api-outcome';

const CLIENTS = 4;
/** Memory is compared with what it is when so many wait. */
const FIRST = 100;
/** Requests of each kind, at most: a small run is to be short. */
const MOST = { gets: 2_000, lists: 500, approvals: 500 };
const GETS_FOR_EACH = 4;
const LOOK_EVERY_IN_MS = 1_000;
/** What a shell reports of a program that Ctrl-C ended. */
const INTERRUPTED = 130;

const options = new Command('npm run bench:api --')
  .description('Measures the API while many operations wait for approval.')
  .option('--operations <number>', 'how many operations wait', wholeNumber, 5_000)
  .option('--json', 'print the outcome as one JSON object; nothing else is on standard output then')
  .parse()
  .opts<{ readonly operations: number; readonly json?: boolean }>();

/** For people. With `--json` on standard error: programs read standard output. */
const tell = options.json ? console.error : console.log;
const heading = (text: string): void => tell(`\n${text}`);
const say = (...lines: string[]): void => lines.forEach((line) => tell(`  ${line}`));

async function main(): Promise<number> {
  const temporary = temporaryDirectory();
  const stopped = untilStopped().then(() => 'stopped' as const);
  let stack: Stack | undefined;
  try {
    heading('Starting the sandbox, Temporal, the worker and the API');
    const starting = startStack({
      directory: temporary.path,
      env: {
        ...process.env,
        KEYTURN_EVIDENCE_DIRECTORY: path.join(temporary.path, 'evidence'),
        KEYTURN_EVIDENCE_KEY_FILE: path.join(temporary.path, 'evidence-key.pem'),
        KEYTURN_RATE_LIMIT_PER_MINUTE: '1000000',
        KEYTURN_APPROVALS_REQUIRED: '2',
        KEYTURN_OPEN_OPERATIONS_PER_CALLER: '1000000',
        KEYTURN_OPEN_OPERATIONS_PER_CLUSTER: '1000000',
        KEYTURN_API_SIGNING_KEY_FILE: path.join(temporary.path, 'api-key.pem'),
      },
      sandbox: true,
      temporal: true,
      onProgress: (line) => console.error(line),
    });
    const started = await Promise.race([starting, stopped]);
    if (started === 'stopped') return INTERRUPTED;
    stack = started;
    const outcome = await Promise.race([measure(stack, temporary.path), stopped]);
    if (outcome === 'stopped') return INTERRUPTED;
    heading(`${outcome.operations} operations wait for approval, ${CLIENTS} clients`);
    say(...apiTable(outcome), `load of the machine: ${loadavg()[0]?.toFixed(1)} on ${cpus().length} processors`);
    await stack.stop();
    if (options.json) console.log(JSON.stringify(outcome));
    return 0;
  } finally {
    await stack?.stop();
    temporary.remove();
  }
}

async function measure({ sandbox, service }: Stack, directory: string): Promise<ApiOutcome> {
  if (!sandbox) throw new Error('The stack came without its sandbox.');
  const { people } = sandbox.facts;
  const cluster = await makeSandboxCluster(sandbox.facts, { name: 'bench', vaultName: 'keyturn-bench', directory });
  const body = JSON.stringify({ kind: 'rotate-key', cluster: cluster.resourceId, change: { number: 'CHG-BENCH' } });
  const call = caller(service.apiUrl);
  const ids: string[] = [];
  const create = async (): Promise<void> => {
    const answer = await call('POST', '/v1/operations', people.requester.token, body, randomUUID());
    ids.push(z.object({ id: z.string() }).parse(answer).id);
  };
  const memory = async () => ({ api: await residentMb(service.api.pid), worker: await residentMb(service.worker.pid) });

  const operations = Math.max(options.operations, FIRST);
  heading(`Making ${operations} operations`);
  const first = await timed(FIRST, create);
  await untilPlanned(call, people.reader.token);
  const atFirst = await memory();
  // The first ones pay for the start of the processes: with more, only those after them count.
  const made = operations > FIRST ? await timed(operations - FIRST, create) : first;
  say(`made, ${made.perSecond}/s; waiting for their plans`);
  await untilPlanned(call, people.reader.token);

  const digests = new Map<string, string>();
  const Planned = z.object({ plan: z.object({ digest: z.string() }) });
  const get = await timed(Math.min(MOST.gets, GETS_FOR_EACH * operations), async (at) => {
    const id = nth(ids, at);
    const answer = Planned.parse(await call('GET', `/v1/operations/${id}`, people.reader.token));
    digests.set(id, answer.plan.digest);
  });
  const list = await timed(Math.min(MOST.lists, operations), async () => {
    await call('GET', '/v1/operations?waitingForPeople=true&pageSize=50', people.reader.token);
  });
  const [...planned] = digests;
  const approve = await timed(Math.min(MOST.approvals, planned.length), async (at) => {
    const [id, planDigest] = nth(planned, at);
    await call('POST', `/v1/operations/${id}:approve`, people.approver1.token, JSON.stringify({ planDigest }));
  });
  const now = await memory();
  return {
    operations,
    get,
    list,
    create: made,
    approve,
    apiRssMb: now.api,
    workerRssMb: now.worker,
    apiRssMbAtFirst: atFirst.api,
    workerRssMbAtFirst: atFirst.worker,
  };
}

type CallApi = (method: string, at: string, token: string, body?: string, key?: string) => Promise<unknown>;

/** Plain HTTP: what a client of ours checks in an answer would count as the API's time. */
function caller(apiUrl: string): CallApi {
  return async (method, at, token, body, key) => {
    const response = await fetch(apiUrl + at, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(key === undefined ? {} : { 'idempotency-key': key }),
      },
      body,
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`The API answered ${method} ${at} with ${response.status}: ${text}`);
    return JSON.parse(text) as unknown;
  };
}

/** Requests by all clients, each with one under way. @param request gets the number of the request, from 0 */
async function timed(count: number, request: (at: number) => Promise<void>): Promise<Latency> {
  const times: number[] = [];
  let next = 0;
  const client = async (): Promise<void> => {
    while (next < count) {
      const sent = performance.now();
      await request(next++);
      times.push(performance.now() - sent);
    }
  };
  const started = performance.now();
  await Promise.all(Array.from({ length: CLIENTS }, client));
  return latencyOf(times, (performance.now() - started) / 1000);
}

async function untilPlanned(call: CallApi, token: string): Promise<void> {
  const Page = z.object({ operations: z.array(z.unknown()) });
  for (;;) {
    const page = Page.parse(await call('GET', '/v1/operations?status=Planning&pageSize=1', token));
    if (page.operations.length === 0) return;
    await sleep(LOOK_EVERY_IN_MS);
  }
}

async function residentMb(pid: number): Promise<number> {
  const { stdout } = await promisify(execFile)('ps', ['-o', 'rss=', '-p', String(pid)]);
  return Math.round(Number(stdout.trim()) / 1024);
}

function nth<T>(all: readonly T[], at: number): T {
  const found = all[at % all.length];
  if (found === undefined) throw new Error('There is nothing to ask for.');
  return found;
}

function wholeNumber(text: string): number {
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It must be a whole number from 1 to 999999.');
}

runCommand(main);
