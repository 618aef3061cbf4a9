/**
 * Seals operations that were ended from outside: terminated, timed out, canceled or failed in Temporal before they could do it.
 *
 * Does: makes the record from the memo, which is all that is left; the outcome comes into the audit log.
 * Never does: seal an operation that runs, that has evidence, that runs again after a reset, or that the API did not sign the request of.
 */
import type { Client } from '@temporalio/client';
import { endedFromOutside } from '../domain/ended-outside';
import { isFinal, OperationStatus } from '../domain/operation';
import { MemoKey, operationInMemo } from '../domain/operation-memo';
import { RequestSeal } from '../domain/trust/statements';
import type { UnsealedRecord } from '../domain/evidence';
import { recordFaults, type RecordChecks } from '../domain/trust/record-check';
import { evidenceName, sealEvidence, type EvidenceStore } from './evidence';

/** What the sweeper works with. */
export interface Sweeping {
  readonly client: Client;
  readonly evidence: EvidenceStore;
  readonly trust: RecordChecks;
  /** Only operations that ran on it. */
  readonly taskQueue: string;
}

/** Seals what can be sealed now. @returns the operation ids */
export async function sweepOperations(
  { client, evidence, trust, taskQueue }: Sweeping,
  signal: AbortSignal,
): Promise<{ sealed: string[] }> {
  const sealed: string[] = [];
  for await (const { workflowId } of client.workflow.list({ query: queryOf(taskQueue) })) {
    signal.throwIfAborted();
    if (await evidence.store.has(evidenceName(workflowId))) continue;
    const record = await lastRecord(client, workflowId);
    if (record === undefined || recordFaults(record, trust).length > 0) continue;
    await sealEvidence(record, evidence, undefined, signal);
    sealed.push(workflowId);
  }
  return { sealed };
}

/** Closed, and not by an end that the operation itself would have shown. An operation is known by its kind. */
function queryOf(taskQueue: string): string {
  const going = Object.values(OperationStatus).filter((status) => !isFinal(status));
  const open = going.map((status) => `"${status}"`).join(', ');
  return (
    `TaskQueue = "${taskQueue}" AND KeyturnKind IS NOT NULL AND (ExecutionStatus IN ("Terminated", "TimedOut", "Canceled", "Failed") ` +
    `OR (ExecutionStatus = "Completed" AND KeyturnStatus IN (${open})))`
  );
}

/** What the newest run showed last; undefined while it runs, or when its memo is not one of an operation. */
async function lastRecord(client: Client, workflowId: string): Promise<UnsealedRecord | undefined> {
  const { status, memo, closeTime } = await client.workflow.getHandle(workflowId).describe();
  if (status.name === 'RUNNING') return undefined;
  try {
    const shown = operationInMemo(memo);
    // Nobody but this operation is sealed under this id.
    if (shown.id !== workflowId || shown.evidence !== null) return undefined;
    const operation = endedFromOutside(shown, status.name, closeTime?.toISOString()) ?? shown;
    return { operation, outputs: {}, seal: RequestSeal.parse(memo?.[MemoKey.Seal]), swept: true };
  } catch {
    return undefined;
  }
}
