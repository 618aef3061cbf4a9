/**
 * Messages that a running operation accepts, and where its state is stored. Imported by the API and the workflow alike.
 *
 * The state is in the memo, not behind a query: a memo is read without a worker, also long after the operation has ended.
 * Live counts of a long step are in the heartbeat of its pending activity.
 */
import { defineSearchAttributeKey, SearchAttributeType } from '@temporalio/common';
import { defineSignal, defineUpdate } from '@temporalio/workflow';
import { z } from 'zod';
import type { AcceptanceDecision } from '../domain/acceptance';
import type { Decision } from '../domain/approval';
import { Actor } from '../domain/people';
import type { PlanPolicy } from '../domain/plan/plan';
import type { OperationRequest } from '../domain/request';
import type { RunState } from './operation-run';

/**
 * Type name of the workflow that runs operations of a kind: `rotateKey` for `rotate-key`, so that the Temporal UI says what runs. Its
 * workflow id is the operation id.
 */
export function workflowTypeOf(kind: string): string {
  return kind.replaceAll(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}
/** Type name of the workflow that is a cluster's lock; its workflow id is `clusterLockId(resourceId)`. */
export const CLUSTER_LOCK_WORKFLOW = 'clusterLock';

/** Type name of the workflow that looks at a cluster for the API. */
export const INSPECTION_WORKFLOW = 'inspectCluster';

/** What an operation is started with. */
export interface OperationInput {
  readonly request: OperationRequest;
  readonly requestedBy: Actor;
  /** ISO 8601. */
  readonly requestedAt: string;
  readonly policy: PlanPolicy;
  /** How long a plan waits for approval. */
  readonly approvalTimeoutInMs: number;
  /** What an earlier run of the same workflow had done, when it went on as a new one. */
  readonly continued?: RunState;
}

/** Custom search attributes, all Keyword: for lists and filters in the Temporal UI. */
export const SearchAttributes = {
  kind: defineSearchAttributeKey('KeyturnKind', SearchAttributeType.KEYWORD),
  status: defineSearchAttributeKey('KeyturnStatus', SearchAttributeType.KEYWORD),
  cluster: defineSearchAttributeKey('KeyturnCluster', SearchAttributeType.KEYWORD),
  change: defineSearchAttributeKey('KeyturnChange', SearchAttributeType.KEYWORD),
};

/** A retry of a blocked step, and the actor who asks for it. */
export const Retry = z.object({ by: Actor });
/** A retry of a blocked step. */
export type Retry = z.infer<typeof Retry>;

/** A cancellation, and the actor who asks for it. */
export const Cancellation = z.object({ by: Actor, comment: z.string().max(500).optional() });
/** A cancellation. */
export type Cancellation = z.infer<typeof Cancellation>;

/** Approve the plan that has the decision's digest. Rejected with an `ApplicationFailure` whose type is an error code. */
export const approve = defineUpdate<void, [Decision]>('approve');
/** Deny it: the operation ends Canceled. */
export const deny = defineUpdate<void, [Decision]>('deny');
/** Retry a blocked step. */
export const retry = defineUpdate<void, [Retry]>('retry');
/** Accept the Secrets that a blocked step waits for as they are. */
export const accept = defineUpdate<void, [AcceptanceDecision]>('accept');
/** Stop at the next safe point. */
export const cancel = defineUpdate<void, [Cancellation]>('cancel');
/** `approve` for the Temporal CLI and UI. A signal has no answer: a decision that does not count is logged and ignored. */
export const approveSignal = defineSignal<[Decision]>('approve-signal');
/** `deny` for the Temporal CLI and UI. */
export const denySignal = defineSignal<[Decision]>('deny-signal');
/** `cancel` for the Temporal CLI and UI, and for an operation that Temporal accepts no more updates for. */
export const cancelSignal = defineSignal<[Cancellation]>('cancel-signal');
