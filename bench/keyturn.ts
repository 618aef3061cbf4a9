/**
 * The contestant: one `rotate-key` operation through the API, run to its end by the real worker.
 *
 * Its time is that of the rewrite and the proof of the turned key, as Temporal's history has it. What comes before (plan,
 * proof of the current key, the turn itself, convergence) has no counterpart in the other contestants.
 */
import { Client, Connection } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils';
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { ApiClient, type OperationAnswer } from '../cli/api-client';
import { isFinal } from '../domain/operation';
import type { Stack } from '../launch/stack';
import type { TemporalServer } from '../launch/temporal';
import { readRewriteHistory, secondsOf, type ActivitySpan } from './history';
import { watchMemory } from './peak-memory';
import { expectAllUnder, type Rig } from './rig';
import { bytesDuring, watchTraffic } from './traffic';

/** Seldom, and no long poll: for that the API would ask Temporal all the time, on processors that the rewrite needs. */
const LOOK_EVERY_IN_MS = 2_000;

/** What Keyturn did. */
export interface KeyturnRun {
  /** Rewrite and proof. */
  readonly seconds: number;
  readonly spans: readonly ActivitySpan[];
  /** Of the worker process, over its life. */
  readonly peakRssInBytes: number;
  /** By the worker and every other client, from the start of the rewrite to the end of the proof. */
  readonly bytesReceived: number;
  readonly historyEvents: number;
}

/** Turns the key with Keyturn. @param onProgress told of each step that runs @throws Error unless the operation succeeds and every Secret moved */
export async function runKeyturn(
  { service, temporal }: Pick<Stack, 'service'> & { readonly temporal: TemporalServer },
  rig: Rig,
  onProgress: (line: string) => void,
): Promise<KeyturnRun> {
  const workerPid = service.worker.pid;
  const memory = watchMemory(workerPid);
  const traffic = watchTraffic(rig.facts.control, rig.name);
  const operation = await rotate(service.apiUrl, rig, onProgress);
  const looks = await traffic.stop();
  const peakRssInBytes = await memory.stop();
  if (service.worker.pid !== workerPid) throw new Error('The worker ended during the operation and was started again.');
  if (operation.status !== 'Succeeded' || !operation.result) {
    throw new Error(`Keyturn's operation ended ${operation.status}: ${operation.reason?.detail ?? 'no reason given'}`);
  }
  const { currentKeyId, rewrite } = operation.result;
  if (rewrite === null || currentKeyId === null) throw new Error('The operation was no rotation.');
  if (rewrite.rewritten < rig.secrets) {
    throw new Error(`Keyturn rewrote ${rewrite.rewritten} of ${rig.secrets} Secrets; was somebody else at work?`);
  }
  await expectAllUnder(rig, currentKeyId, 'Keyturn');
  const { spans, events } = readRewriteHistory(await historyOf(operation.id, temporal));
  const startedAt = Math.min(...spans.map((span) => span.startedAt));
  const endedAt = Math.max(...spans.map((span) => span.endedAt));
  return {
    seconds: secondsOf(spans),
    spans,
    peakRssInBytes,
    bytesReceived: bytesDuring(looks, startedAt, endedAt),
    historyEvents: events,
  };
}

async function rotate(
  apiUrl: string,
  { facts, cluster }: Rig,
  onProgress: (line: string) => void,
): Promise<OperationAnswer> {
  const requester = new ApiClient(apiUrl, facts.people.requester.token);
  const approver = new ApiClient(apiUrl, facts.people.approver1.token);
  const body = { kind: 'rotate-key', cluster: cluster.resourceId, change: { number: 'CHG-BENCH' } };
  let { operation } = await requester.create(body, randomUUID());
  const next = async (): Promise<OperationAnswer> => {
    await sleep(LOOK_EVERY_IN_MS);
    return await requester.get(operation.id);
  };
  while (!operation.offers.includes('approve')) {
    if (isFinal(operation.status)) return operation;
    operation = await next();
  }
  await approver.approve(operation.id, operation.plan?.digest ?? '');
  let shown: string | undefined;
  // The evidence is sealed right after the end.
  while (!isFinal(operation.status) || operation.evidence === null) {
    operation = await next();
    const running = operation.steps.find(({ status }) => status === 'running')?.title;
    if (running !== undefined && running !== shown) onProgress(running);
    shown = running;
    if (operation.status === 'Blocked') {
      throw new Error(`Keyturn's operation waits for a person: ${operation.reason?.detail ?? operation.progressText}`);
    }
  }
  return operation;
}

async function historyOf(operationId: string, { address, namespace }: TemporalServer): Promise<unknown> {
  const connection = await Connection.connect({ address });
  try {
    const handle = new Client({ connection, namespace }).workflow.getHandle(operationId);
    // The last event is there when the workflow has closed.
    await handle.result();
    return JSON.parse(historyToJSON(await handle.fetchHistory())) as unknown;
  } finally {
    await connection.close();
  }
}
