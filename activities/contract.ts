/**
 * What workflows may ask of the outside world. Every activity is idempotent: it may be run again after a crash, from the
 * start or from its last heartbeat, and beside an earlier try that is still running.
 *
 * Faults: an activity throws `ApplicationFailure` with a code of domain/errors.ts as its type. Non-retryable means that a
 * person must decide (the operation becomes blocked); anything else is retried by Temporal.
 */
import type { Census } from '../domain/census';
import type { ClusterChange, KmsProfile } from '../domain/cluster-change';
import type { Baseline, Convergence } from '../domain/convergence';
import type { EncryptionTarget } from '../domain/encryption';
import type { EvidenceRecord } from '../domain/evidence';
import type { ArmOperation } from '../domain/plan/outputs';
import type { Generation, Ledger } from '../domain/ledger';
import type { Fault } from '../domain/errors';
import type { PlanPolicy, PlanResult } from '../domain/plan/plan';
import type { Proof, ProofBounds, RewriteReport } from '../domain/proof';
import type { OperationRequest } from '../domain/request';

/** Memo key on the workflow that is a cluster's lock: the operation id of its holder. */
export const HOLDER_MEMO = 'holder';

/** One change of the ledger. `reconcile` first makes it agree with the key id that Azure reports. */
export type LedgerChange =
  | { readonly type: 'reconcile'; readonly operationId?: string }
  | { readonly type: 'activating'; readonly keyId: string | null; readonly operationId: string }
  | { readonly type: 'activated'; readonly keyId: string | null }
  | {
      readonly type: 'proven';
      readonly keyId: string | null;
      readonly proof: Omit<NonNullable<Generation['proof']>, 'at'>;
    };

/** Where a rewrite or a proof works. */
export interface PassInput {
  readonly cluster: string;
  readonly operationId: string;
  /** What every Secret must be stored under afterwards. */
  readonly target: EncryptionTarget;
  readonly bounds: ProofBounds;
  /** Secrets a second, at most; null when nobody limits it. */
  readonly perSecond: number | null;
}

/** What the rules of a kind say of a request. */
export interface RulesChecked {
  readonly faults: readonly Fault[];
  /** The provisioning state, when all that is wrong is that Azure is changing the cluster; null otherwise. */
  readonly busy: string | null;
  /** The cluster whose Secrets are to be looked at; null when the faults make that pointless. */
  readonly cluster: string | null;
  /** Secrets a second that may be asked; null when nobody limits it. */
  readonly perSecond: number | null;
}

/** The heartbeat of `takeCensus`, `rewriteSecrets` and `proveSecrets`; the API reads it for live progress. */
export interface PassProgress {
  readonly done: number;
  readonly total: number;
  readonly perSecond: number;
  /** What is left at that rate; absent while nothing is done. */
  readonly etaInSeconds?: number;
}

/** The heartbeat of `awaitConvergence`, `awaitClusterChange` and `awaitClusterIdle`; the API reads it for what is waited for. */
export interface WaitProgress {
  /** Completes "waiting for …": the API servers by name, where they can be known; what Azure reports. */
  readonly waitsFor: string;
}

/** The activities of the worker. */
export interface Activities {
  /** Reads Azure and the keys that matter, and checks the rules of the request's kind. Writes nothing. */
  checkRules(input: { readonly request: OperationRequest }): Promise<RulesChecked>;

  /** Reads Azure, the keys that matter and the ledger, and makes the plan: its result is history, so it is never made anew in a replay. */
  makePlan(input: {
    readonly request: OperationRequest;
    readonly policy: PlanPolicy;
    readonly census: Census | null;
  }): Promise<PlanResult>;

  /** What can be known of the rewrite, Secret by Secret. Stores nothing; heartbeats `PassProgress`. */
  takeCensus(input: {
    readonly cluster: string;
    readonly perSecond: number | null;
    /** The census of before: where it found nothing, only what has changed since is asked again. */
    readonly earlier?: Census;
  }): Promise<Census>;

  /**
   * Makes a new version like `basedOn`, tagged with the operation id and the nonce. A version with both tags, made since the
   * step began, is returned instead of making a second.
   * Throws `KeyNotAsApproved`, non-retryable, when such a version is not like `basedOn`; `CreateKeyRefused` when the vault refuses.
   */
  createKeyVersion(input: {
    readonly operationId: string;
    readonly basedOn: string;
    /** Made by the workflow, the same for every try of its step: an operation id alone may have been used before. */
    readonly nonce: string;
    /** ISO 8601: when the step began. */
    readonly since: string;
  }): Promise<{ keyId: string; created: boolean }>;

  /** Writes the operation's canaries, or finds them, and lists R0. Must be called before the switch is asked for. */
  takeBaseline(input: { readonly cluster: string; readonly operationId: string }): Promise<Baseline>;

  /**
   * Asks ARM for one change, with one fenced PUT of the whole cluster as ARM gave it. Does nothing when ARM reports the change
   * already. While ARM is busy with something else it throws a retryable failure: call `awaitClusterIdle` before.
   * @returns the URL of ARM's long-running operation; without one the cluster itself is polled.
   */
  submitClusterChange(input: {
    readonly cluster: string;
    readonly change: ClusterChange;
    /** What the cluster must report before; anything else means that somebody else changed it. */
    readonly expect: KmsProfile;
  }): Promise<{ operationUrl?: string; submitted: boolean }>;

  /**
   * Waits until ARM's operation has ended and the cluster shows the change; heartbeats `WaitProgress`. Only reads, so it
   * may be interrupted. When the operation shows no end for minutes while the cluster rests, the cluster's own state decides.
   * Throws, non-retryable, `ArmOperationFailed` when it failed, `ChangeNotApplied` when the cluster does not show the change.
   */
  awaitClusterChange(input: {
    readonly cluster: string;
    readonly change: ClusterChange;
    readonly operationUrl?: string;
  }): Promise<ArmOperation>;

  /**
   * Waits until Azure is not changing the cluster, whoever asked for it; heartbeats `WaitProgress`. Only reads.
   * @returns the resting provisioning state; `Deleted` when the cluster is gone
   */
  awaitClusterIdle(input: { readonly cluster: string }): Promise<{ provisioningState: string }>;

  /** Waits until every API server writes with the target, by canaries, leases and metrics; heartbeats `WaitProgress`. */
  awaitConvergence(input: {
    readonly cluster: string;
    readonly target: EncryptionTarget;
    /** Absent when no switch was made: then the servers only have to agree, and nobody needs to be seen switching. */
    readonly baseline?: Baseline;
    readonly operationId: string;
  }): Promise<Convergence>;

  /** Patches every Secret that is not proven yet; isolates those that are refused; heartbeats `PassProgress`. */
  rewriteSecrets(input: PassInput): Promise<RewriteReport>;

  /** A fresh metadata list of all Secrets judged by the proof rule, and a second look at convergence. Heartbeats. */
  proveSecrets(input: PassInput & { readonly convergence: Convergence }): Promise<Proof>;

  /** Deletes the operation's canaries; those that are gone are fine. */
  removeCanaries(input: { readonly cluster: string; readonly operationId: string }): Promise<void>;

  /**
   * Reads the cluster once more. Throws `KeyNotReported`, non-retryable, when it does not show the change or its state is not
   * Succeeded; while Azure is busy with it, a retryable failure: call `awaitClusterIdle` before.
   * @returns the key id, as it was asked for, null when KMS is off; the entity tag that the cluster had then
   */
  verifyCluster(input: {
    readonly cluster: string;
    readonly change: ClusterChange;
  }): Promise<{ keyId: string | null; provisioningState: string; eTag?: string }>;

  /** Reads, changes and writes the ledger in the cluster, fenced by its resource version. */
  changeLedger(input: {
    readonly cluster: string;
    /** Null: Azure reports that KMS is off. */
    readonly reportedKeyId: string | null;
    readonly changes: readonly LedgerChange[];
  }): Promise<Ledger>;

  /** Throws `EvidenceExists`, non-retryable, when there is an evidence file of this operation id already. */
  refuseUsedOperationId(input: { readonly operationId: string }): Promise<void>;

  /**
   * Signs a record and writes the evidence file. Nothing is ever overwritten: a file with the same record is returned as it is;
   * throws `EvidenceExists`, non-retryable, when it has another record.
   */
  sealEvidence(input: {
    readonly record: Omit<EvidenceRecord, 'sealedAt' | 'format'>;
  }): Promise<{ file: string; digest: string; signingKeyId: string }>;
}
