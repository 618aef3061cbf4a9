/**
 * What the API needs of Temporal, in the API's own words.
 *
 * The implementation is `temporal-gateway.ts`. Every method throws `ApiError`: `TemporalUnavailable` when Temporal does
 * not answer, `WorkerUnavailable` when no worker does, and the code of the workflow's refusal when it refuses.
 */
import type { Inspected } from '../activities/contract';
import type { AcceptanceDecision } from '../domain/acceptance';
import type { Decision } from '../domain/approval';
import type { Operation } from '../domain/operation';
import type { Actor } from '../domain/people';
import type { OperationInput } from '../workflows/messages';

/** An operation as Temporal stores it. */
export interface StoredOperation {
  /** The view that the workflow last wrote, with live progress; ended as Failed when the workflow was ended from outside. */
  readonly operation: Operation;
  /** `digestOf` the request that it was started with. */
  readonly fingerprint: string;
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
  | { readonly type: 'cancel'; readonly by: Actor; readonly comment?: string; readonly id: string }
  | { readonly type: 'retry'; readonly by: Actor; readonly id: string }
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

  /** Starts an operation, at most once for its id ever. @returns `exists` when there was one with this id. */
  start(operation: NewOperation): Promise<'started' | 'exists'>;

  /** The operation that executes on a cluster now, by the cluster's ARM resource id. */
  holderOf(cluster: string): Promise<string | undefined>;

  /**
   * Sends a message to an operation and waits until the operation has accepted it, 10 s at most.
   * @returns `ended` when the operation has ended, or does not exist.
   */
  tell(id: string, message: Message): Promise<'taken' | 'ended'>;

  /** Has a worker look at a cluster, by its ARM resource id; 25 s at most. `AzureUnavailable` when Azure or the cluster cannot say now. */
  inspect(cluster: string): Promise<Inspected>;

  /** What is missing for operations to run; empty when nothing is. Never throws. */
  missing(): Promise<readonly Missing[]>;
}
