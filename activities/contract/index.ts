/**
 * What workflows may ask of the outside world. Every activity is idempotent: it may be run again after a crash, from the
 * start or from its last heartbeat, and beside an earlier try that is still running.
 *
 * Receipts: what an activity proves with is signed by the worker that found it, and verified where another activity builds on it;
 * `OutputNotSigned`, non-retryable, when it is not (domain/trust/receipts.ts).
 *
 * Faults: an activity throws `ApplicationFailure` with a code of domain/errors.ts as its type. Non-retryable means that a
 * person must decide (the operation becomes blocked); anything else is retried by Temporal.
 */
import type { Census } from '../../domain/census';
import type { UnsealedRecord } from '../../domain/evidence';
import type { KeyUsers } from '../../domain/key-users';
import type { PlanPolicy } from '../../domain/plan/plan';
import type { OperationRequest } from '../../domain/request';
import type { Verb } from '../../domain/trust/statements';
import type { WorkerReport } from '../../domain/worker-report';
import type {
  ChangeChecked,
  ChangeQuestion,
  CsiInspected,
  EventDelivered,
  Inspected,
  LedgerInspected,
  PlanMade,
  RulesChecked,
  SignedDecision,
  SignedRequest,
} from './inputs';
import type { ProofActivities } from './proof';
import type { AzureActivities } from './azure';
import type { CsiActivities } from './csi';

export type * from './inputs';

/** The activities of the worker. */
export interface Activities extends ProofActivities, AzureActivities, CsiActivities {
  /** Reads Azure and the keys that matter, and checks the rules of the request's kind. Writes nothing. */
  checkRules(input: { readonly request: OperationRequest }): Promise<RulesChecked>;

  /** Reads Azure, the keys that matter and the ledger, and makes the plan: its result is history, so it is never made anew in a replay. */
  makePlan(input: {
    readonly request: OperationRequest;
    readonly policy: PlanPolicy;
    readonly census: Census | null;
  }): Promise<PlanMade>;

  /** What can be known of the rewrite, Secret by Secret. Stores nothing; heartbeats `PassProgress`. */
  takeCensus(input: {
    readonly cluster: string;
    readonly perSecond: number | null;
    /** The census of before: where it found nothing, only what has changed since is asked again. */
    readonly earlier?: Census;
    /** `RulesChecked.state`, before people approve: plans of the same state may share a census. Absent: it is taken for this plan alone. */
    readonly state?: string;
  }): Promise<Census>;

  /** Looks at the encryption of a cluster. */
  inspectCluster(input: { readonly cluster: string }): Promise<Inspected>;

  /** Looks at the connections between the pods of a cluster and vaults. */
  inspectCsi(input: { readonly cluster: string }): Promise<CsiInspected>;

  /** Reads the ledger of a cluster. */
  inspectLedger(input: { readonly cluster: string }): Promise<LedgerInspected>;

  /** Looks which clusters need a key version; clusters that do not answer in some seconds are unread. */
  findKeyUsers(input: { readonly keyId: string }): Promise<KeyUsers>;

  /** What the worker says of its clock, its key and its rights. */
  examineWorker(): Promise<WorkerReport>;

  /**
   * Lets an operation begin. Throws `NotSigned`, non-retryable, when the API did not sign the request for it, `EvidenceExists` when
   * there is evidence of its id already.
   */
  admitOperation(input: { readonly request: SignedRequest }): Promise<void>;

  /** Whether the API signed a decision on the operation; a local activity. Throws `NotSigned`, non-retryable. */
  verifyDecision(input: {
    readonly verb: Verb;
    readonly decision: SignedDecision;
    /** What the person wrote. */
    readonly words?: string;
  }): Promise<void>;

  /**
   * Signs a record and writes the evidence file. Nothing is ever overwritten: a file with the same record is returned as it is;
   * throws `EvidenceExists`, non-retryable, when it has another record. Writes the outcome into the audit log. What nobody signed or approved is not sealed: `NotSigned`,
   * tried again for as long as it takes, since a key of the API may be missing in the settings of the worker.
   */
  sealEvidence(input: {
    readonly record: Omit<UnsealedRecord, 'swept'>;
  }): Promise<{ file: string; digest: string; signingKeyId: string }>;

  /** Starts the deliveries of the operation's events to the endpoints that hear of its cluster, or tells them that there are new ones. */
  announceEvents(input: { readonly cluster: string }): Promise<void>;

  /**
   * Delivers the first event after a place that the endpoint wants. Throws `WebhookNotDelivered` with the time of the next try;
   * `WebhookGone`, non-retryable, when the receiver answers 410 or the endpoint is not configured any more.
   */
  deliverNextEvent(input: {
    readonly endpoint: string;
    readonly operationId: string;
    readonly after: number;
  }): Promise<EventDelivered>;

  /**
   * Seals the evidence of operations of this task queue whose workflow was ended from outside: from what they showed last. What has
   * evidence already, or runs again, is left alone.
   */
  sweepOperations(input: Record<string, never>): Promise<{ sealed: string[] }>;

  /** Asks the change system whether a step may begin. Only reads; a system that does not answer is an answer, not a failure. */
  checkChange(input: ChangeQuestion): Promise<ChangeChecked>;

  /** The operation that executes on a cluster now; null when none does. */
  readClusterHolder(input: { readonly cluster: string }): Promise<{ operationId: string | null }>;
}
