/**
 * What the API needs of Temporal, in the API's own words.
 *
 * The implementation is `temporal-gateway.ts`. Every method throws `ApiError`: `TemporalUnavailable` when Temporal does
 * not answer, `WorkerUnavailable` when no worker does, and the code of the workflow's refusal when it refuses.
 */
import type { CsiInspected, Inspected, LedgerInspected } from '../activities/contract';
import type { AcceptanceDecision } from '../domain/acceptance';
import type { Decision } from '../domain/approval';
import type { KeyUsers } from '../domain/key-users';
import type { Cancellation, Operation } from '../domain/operation';
import type { ListedOperation } from '../domain/operation-memo';
import type { Actor } from '../domain/people';
import type { WorkerReport } from '../domain/worker-report';
import type { OperationInput, PlannedOnly, PlanOnlyInput } from '../workflows/messages';
import type { Filters } from './list-query';
import type { Place } from './newest-first';
import type { Grant } from './policy/decide';

/** An operation as Temporal stores it. */
export interface StoredOperation {
  /** The view that the workflow last wrote, with live progress; ended as Failed when the workflow was ended from outside. */
  readonly operation: Operation;
  /** `digestOf` the request that it was started with. */
  readonly fingerprint: string;
  /** Whether its workflow has ended: nothing changes any more. Absent where that is not known. */
  readonly closed?: boolean;
}

/** Which operations a list is to have. */
export interface WantedPage {
  readonly filters: Filters;
  /** What the caller may read; absent when that is everything. */
  readonly within?: readonly Grant[];
  /** How many, at most. */
  readonly size: number;
  /** Only operations after this one; absent for the first page. */
  readonly after?: Place;
}

/** A page of a list. */
export interface OperationsPage {
  readonly operations: readonly ListedOperation[];
  /** Operations of the page whose record cannot be read: another version of Keyturn may have written it. */
  readonly unreadable: readonly string[];
  /** The last place of the page; absent on the last page. */
  readonly next?: Place;
}

/** A new operation. */
export interface NewOperation {
  readonly operation: Operation;
  readonly fingerprint: string;
  readonly input: OperationInput;
}

/** A message to a running operation. The id makes a repeated message harmless: it counts once. */
export type Message =
  | { readonly type: 'approve' | 'deny'; readonly decision: Decision; readonly id: string }
  | { readonly type: 'cancel'; readonly cancellation: Cancellation; readonly id: string }
  | { readonly type: 'retry'; readonly by: Actor; readonly id: string }
  | { readonly type: 'pause'; readonly by: Actor; readonly reason?: string; readonly id: string }
  | { readonly type: 'resume'; readonly by: Actor; readonly id: string }
  | { readonly type: 'accept'; readonly decision: AcceptanceDecision; readonly id: string };

/** Something that operations need and that is missing. */
export interface Missing {
  readonly code: 'TemporalUnavailable' | 'WorkerUnavailable';
  /** One sentence: what is missing, and what to do. */
  readonly detail: string;
}

/** Temporal, as the API sees it. */
export interface OperationsGateway {
  /** The namespace that operations run in; part of links to the Temporal UI. */
  readonly namespace: string;

  /** The operation, or undefined when there is none, or none any more (the namespace's retention has passed). */
  find(id: string): Promise<StoredOperation | undefined>;

  /** A page of operations, the newest first. Temporal's lists lag behind by a moment. */
  list(wanted: WantedPage): Promise<OperationsPage>;

  /** How many operations have not ended, of a caller by object id or on a cluster. Temporal's counts lag behind by a moment. */
  countOpen(filters: Pick<Filters, 'requester' | 'cluster'>): Promise<number>;

  /** Starts an operation, at most once for its id ever. @returns `exists` when there was one with this id. */
  start(operation: NewOperation): Promise<'started' | 'exists'>;

  /** Has a worker make the plan of a request, and start nothing; 25 s at most. */
  plan(input: PlanOnlyInput): Promise<PlannedOnly>;

  /** The operation that executes on a cluster now, by the cluster's ARM resource id. */
  holderOf(cluster: string): Promise<string | undefined>;

  /**
   * Sends a message to an operation and waits until the operation has accepted it, 10 s at most.
   * @returns `ended` when the operation has ended, or does not exist.
   */
  tell(id: string, message: Message): Promise<'taken' | 'ended'>;

  /** Has a worker look at a cluster, by its ARM resource id; 25 s at most. `AzureUnavailable` when Azure or the cluster cannot say now. */
  inspect(cluster: string): Promise<Inspected>;

  /** The same for what connects its pods with vaults. */
  inspectCsi(cluster: string): Promise<CsiInspected>;

  /** The same for its ledger. */
  inspectLedger(cluster: string): Promise<LedgerInspected>;

  /** Has a worker look which clusters need a key version; 25 s at most. */
  keyUsers(keyId: string): Promise<KeyUsers>;

  /** Has a worker say what it has: clock, signing key, rights in Azure; 25 s at most. */
  examineWorker(): Promise<WorkerReport>;

  /** Search attributes that the namespace lacks, each with the command that adds it. */
  missingSearchAttributes(): Promise<readonly { readonly name: string; readonly command: string }[]>;

  /** What is missing for operations to run; empty when nothing is. Never throws. */
  missing(): Promise<readonly Missing[]>;
}
