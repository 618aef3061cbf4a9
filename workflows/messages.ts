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
import { type PauseRequest, type ResumeRequest } from '../domain/pause';
import { Actor } from '../domain/people';
import type { Cancellation, StoredFault } from '../domain/operation';
import type { Plan, PlanPolicy } from '../domain/plan/plan';
import type { OperationRequest } from '../domain/request';
import type { ClusterId } from '../domain/resource-ids';
import type { StatementSignature } from '../domain/trust/statements';
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

/** Type names of the workflows that look at a cluster for the API: at its encryption, and at what connects its pods with vaults. */
export const INSPECTION_WORKFLOW = 'inspectCluster';
export const CSI_INSPECTION_WORKFLOW = 'inspectCsi';
export const LEDGER_INSPECTION_WORKFLOW = 'inspectLedger';
/** Type name of the workflow that looks which clusters need a key version. */
export const KEY_USERS_WORKFLOW = 'findKeyUsers';
/** Type name of the workflow that asks a worker for its clock, its key and its rights. */
export const EXAMINATION_WORKFLOW = 'examineWorker';

/** Type name of the workflow that makes a plan and ends. */
export const PLAN_ONLY_WORKFLOW = 'planOnly';

/** Type name of the workflow that seals what was ended from outside; a schedule starts it. */
export const SWEEPER_WORKFLOW = 'sweepOperations';

/** What a plan alone is made from. */
export interface PlanOnlyInput {
  readonly request: OperationRequest;
  readonly policy: PlanPolicy;
}

/** What a plan alone gives. */
export interface PlannedOnly {
  /** Null when it is refused. */
  readonly plan: Plan | null;
  readonly faults: readonly StoredFault[];
  /** Whether every Secret was looked at; false when there was no time for that. Null when the kind needs no look, or a refusal came first. */
  readonly censusTaken: boolean | null;
}

/** What an operation is started with. */
export interface OperationInput {
  readonly request: OperationRequest;
  readonly requestedBy: Actor;
  /** ISO 8601. */
  readonly requestedAt: string;
  readonly policy: PlanPolicy;
  /** How long a plan waits for approval. */
  readonly approvalTimeoutInMs: number;
  /** The API's, of all of the above. */
  readonly signature: StatementSignature;
  /** Whether there are webhooks to tell; absent for no. */
  readonly webhooks?: boolean;
  /** What an earlier run of the same workflow had done, when it went on as a new one. */
  readonly continued?: RunState;
}

/** Custom search attributes: for lists and filters of the API and in the Temporal UI. */
export const SearchAttributes = {
  kind: defineSearchAttributeKey('KeyturnKind', SearchAttributeType.KEYWORD),
  status: defineSearchAttributeKey('KeyturnStatus', SearchAttributeType.KEYWORD),
  cluster: defineSearchAttributeKey('KeyturnCluster', SearchAttributeType.KEYWORD),
  change: defineSearchAttributeKey('KeyturnChange', SearchAttributeType.KEYWORD),
  /** The object id in Entra, in lower case: no name, since search attributes are never encrypted. */
  requester: defineSearchAttributeKey('KeyturnRequester', SearchAttributeType.KEYWORD),
  /** Not Temporal's own start time, which is another one when an operation goes on in a fresh run of its workflow. */
  requestedAt: defineSearchAttributeKey('KeyturnRequestedAt', SearchAttributeType.DATETIME),
};

/** The types of the search attributes, as Temporal's commands name them. */
export const SEARCH_ATTRIBUTE_TYPES = {
  [SearchAttributeType.KEYWORD]: 'Keyword',
  [SearchAttributeType.DATETIME]: 'Datetime',
} as const;

/** How a cluster is named in its search attribute. Its resource id can be longer than the 255 characters that there is room for in SQL visibility. */
export function clusterAttribute({ subscriptionId, resourceGroup, name }: ClusterId): string {
  return [subscriptionId, resourceGroup, name].join('/').toLowerCase();
}

/** The command that adds a search attribute to a namespace. */
export function commandFor(
  { name, type }: (typeof SearchAttributes)[keyof typeof SearchAttributes],
  namespace: string,
): string {
  return `temporal operator search-attribute create --namespace ${namespace} --name ${name} --type ${SEARCH_ATTRIBUTE_TYPES[type]}`;
}

/** A retry of a blocked step, and the actor who asks for it. */
export const Retry = z.object({ by: Actor });
/** A retry of a blocked step. */
export type Retry = z.infer<typeof Retry>;

/** Approve the plan that has the decision's digest. Rejected with an `ApplicationFailure` whose type is an error code. */
export const approve = defineUpdate<void, [Decision]>('approve');
/** Deny it: the operation ends Canceled. */
export const deny = defineUpdate<void, [Decision]>('deny');
/** Retry a blocked step. */
export const retry = defineUpdate<void, [Retry]>('retry');
/** Accept the Secrets that a blocked step waits for as they are. */
export const accept = defineUpdate<void, [AcceptanceDecision]>('accept');
/** Pause at the next safe point. */
export const pause = defineUpdate<void, [PauseRequest]>('pause');
/** Go on after a pause. */
export const resume = defineUpdate<void, [ResumeRequest]>('resume');
/** Stop at the next safe point. */
export const cancel = defineUpdate<void, [Cancellation]>('cancel');
/** `pause` for the Temporal CLI and UI. */
export const pauseSignal = defineSignal<[PauseRequest]>('pause-signal');
/** `resume` for the Temporal CLI and UI. */
export const resumeSignal = defineSignal<[ResumeRequest]>('resume-signal');
/** `cancel` for the Temporal CLI and UI, where nobody can sign, and for an operation that Temporal accepts no more updates for. */
export const cancelSignal = defineSignal<[Cancellation]>('cancel-signal');
