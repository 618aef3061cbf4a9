/** Follows an operation to its end, or until people must act; outages of the API on the way are waited out. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Changes } from './client/changes';
import { answerOf, type Api, type Operation } from './client/client';
import { CommandFailed, ExitCode } from './exit-codes';
import type { Output } from './output/output';
import { LiveView } from './output/live';

/** When to stop following. */
export const UNTIL = ['ended', 'blocked', 'people'] as const;
/** One of them: `blocked` also ends at a block, `people` also at a wait for approval. */
export type Until = (typeof UNTIL)[number];

/** How to follow. */
export interface FollowOptions {
  readonly until: Until;
  /** Undefined waits for as long as it takes. */
  readonly timeoutInSeconds?: number;
  readonly signal: AbortSignal;
}

/** The API asks its clients to wait so long between two reads of a running operation. */
const POLL_AFTER_IN_MS = 2_000;
/** The longest wait that the API grants. */
const LONG_POLL_IN_SECONDS = 20;
/** An operation that was ended in Temporal from outside may never get evidence. */
const READS_FOR_EVIDENCE = 10;
const AFTER_OUTAGE_IN_MS = 3_000;
const FINAL = new Set<Operation['status']>(['Succeeded', 'Failed', 'Canceled']);

/** Follows an operation and shows it. @returns the operation as it was at the end, and the exit code */
export async function follow(
  api: Api,
  output: Output,
  id: string,
  { until, timeoutInSeconds, signal }: FollowOptions,
): Promise<{ readonly operation: Operation; readonly exitCode: ExitCode }> {
  const timeout = new AbortController();
  const timer =
    timeoutInSeconds === undefined ? undefined : setTimeout(() => timeout.abort(), timeoutInSeconds * 1000).unref();
  const stopped = AbortSignal.any([signal, timeout.signal]);
  const view = new LiveView(output);
  const changes = new Changes(api, id);
  try {
    // An operation that is not there, or a token that is not accepted, is an error at once: only later outages are waited out.
    let operation = await read(api, id, 0, signal);
    view.show(operation);
    changes.start();
    let readsAtEnd = 0;
    while (!isDone(operation, until) && !stopped.aborted) {
      if (FINAL.has(operation.status) && ++readsAtEnd > READS_FOR_EVIDENCE) break;
      if (changes.listening || isMoving(operation)) await changes.next(POLL_AFTER_IN_MS, stopped);
      if (stopped.aborted) break;
      const waitInSeconds = changes.listening || isMoving(operation) ? 0 : LONG_POLL_IN_SECONDS;
      operation = (await readOrWait(api, output, id, waitInSeconds, stopped)) ?? operation;
      view.show(operation);
    }
    return { operation, exitCode: exitCodeFor(operation, signal.aborted) };
  } finally {
    clearTimeout(timer);
    changes.stop();
    view.end();
  }
}

/** Steps and counts change without a change of the status, which is all that a long poll waits for. */
function isMoving({ status, evidence }: Operation): boolean {
  return status === 'Running' || status === 'Planning' || (FINAL.has(status) && evidence === null);
}

/** An operation that has ended is followed until its evidence is sealed. */
function isDone({ status, evidence }: Operation, until: Until): boolean {
  if (FINAL.has(status)) return evidence !== null;
  if (until !== 'ended' && status === 'Blocked') return true;
  return until === 'people' && status === 'AwaitingApproval';
}

function exitCodeFor({ status }: Operation, interrupted: boolean): ExitCode {
  if (status === 'Succeeded') return ExitCode.Ok;
  if (FINAL.has(status)) return ExitCode.Refused;
  if (interrupted) return ExitCode.Interrupted;
  return status === 'Blocked' || status === 'AwaitingApproval' ? ExitCode.WaitsForPeople : ExitCode.TimedOut;
}

async function read(api: Api, id: string, waitInSeconds: number, signal: AbortSignal): Promise<Operation> {
  const answer = api.client.GET('/v1/operations/{id}', {
    params: { path: { id }, ...(waitInSeconds > 0 ? { header: { Prefer: `wait=${waitInSeconds}` } } : {}) },
    signal,
  });
  return await answerOf(api, answer);
}

async function readOrWait(
  api: Api,
  output: Output,
  id: string,
  waitInSeconds: number,
  signal: AbortSignal,
): Promise<Operation | undefined> {
  try {
    return await read(api, id, waitInSeconds, signal);
  } catch (error) {
    if (signal.aborted) return undefined;
    if (!(error instanceof CommandFailed) || error.exitCode !== ExitCode.Unavailable) throw error;
    output.note(`${error.message}\nThe operation does not depend on that. Reading it again.`);
    await sleep(AFTER_OUTAGE_IN_MS, undefined, { signal }).catch(() => undefined);
    return undefined;
  }
}
