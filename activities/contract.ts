/**
 * What workflows may ask of the outside world. Every activity is idempotent: it may be run again after a crash, from the
 * start or from its last heartbeat, and beside an earlier try that is still running.
 *
 * Faults: an activity throws `ApplicationFailure` with a code of domain/errors.ts as its type. Non-retryable means that a
 * person must decide (the operation becomes blocked); anything else is retried by Temporal.
 */
import type { Census } from '../domain/census';
import type { Baseline, Convergence } from '../domain/convergence';
import type { EncryptionTarget } from '../domain/encryption';
import type { ArmOperation, EvidenceRecord } from '../domain/evidence';
import type { Generation, Ledger } from '../domain/ledger';
import type { Observation } from '../domain/observed';
import type { Proof, ProofBounds, RewriteReport } from '../domain/proof';
import type { OperationRequest } from '../domain/request';

/** Memo key on the workflow that is a cluster's lock: the operation id of its holder. */
export const HOLDER_MEMO = 'holder';

/** One change of the ledger. `reconcile` first makes it agree with the key id that Azure reports. */
export type LedgerChange =
  | { readonly type: 'reconcile'; readonly operationId?: string }
  | { readonly type: 'activating'; readonly keyId: string; readonly operationId: string }
  | { readonly type: 'activated'; readonly keyId: string }
  | { readonly type: 'proven'; readonly keyId: string; readonly proof: Omit<NonNullable<Generation['proof']>, 'at'> };

/** Where a rewrite or a proof works. */
export interface RewriteInput {
  readonly cluster: string;
  readonly operationId: string;
  /** What every Secret must be stored under afterwards. */
  readonly target: EncryptionTarget;
  readonly bounds: ProofBounds;
  /** Secrets a second, at most; null when nobody limits it. */
  readonly perSecond: number | null;
}

/** The heartbeat of `takeCensus`, `rewriteSecrets` and `proveSecrets`; the API reads it for live progress. */
export interface RewriteHeartbeat {
  readonly done: number;
  readonly total: number;
  readonly perSecond: number;
  /** What is left at that rate; absent while nothing is done. */
  readonly etaInSeconds?: number;
}

/** The heartbeat of `awaitConvergence`; the API reads it for what is waited for. */
export interface ConvergenceHeartbeat {
  /** Completes "waiting for …": the API servers by name, where they can be known. */
  readonly waitsFor: string;
}

/** The activities of the worker. */
export interface Activities {
  /** Reads Azure, the keys that matter and the ledger. Writes nothing. */
  observe(input: { readonly request: OperationRequest }): Promise<Observation>;

  /** A dry run of the rewrite: what would be refused, Secret by Secret. Stores nothing; heartbeats `RewriteHeartbeat`. */
  takeCensus(input: { readonly cluster: string; readonly perSecond: number | null }): Promise<Census>;

  /** Makes a new version like `basedOn`, tagged with the operation id; a version with that tag is returned instead of making a second. */
  createKeyVersion(input: {
    readonly operationId: string;
    readonly basedOn: string;
  }): Promise<{ keyId: string; created: boolean }>;

  /** Writes the operation's canaries, or finds them, and lists R0. Must be called before the switch is asked for. */
  takeBaseline(input: { readonly cluster: string; readonly operationId: string }): Promise<Baseline>;

  /**
   * Sets the cluster's KMS key with one fenced PUT of the whole cluster as ARM gave it. Does nothing when ARM reports the
   * key already. While ARM is busy with something else it throws a retryable failure.
   * @returns the URL of ARM's long-running operation; without one the resource itself is to be polled.
   */
  submitKey(input: {
    readonly cluster: string;
    readonly keyId: string;
    /** The key that must be current before; another one means that somebody else changed the cluster. */
    readonly expectedKeyId: string;
  }): Promise<{ operationUrl?: string; submitted: boolean }>;

  /** Polls until ARM's operation has ended; heartbeats. Throws `ArmOperationFailed`, non-retryable, when it failed. */
  awaitKey(input: {
    readonly cluster: string;
    readonly keyId: string;
    readonly operationUrl?: string;
  }): Promise<ArmOperation>;

  /** Waits until every API server writes with the target, by canaries, leases and metrics; heartbeats `ConvergenceHeartbeat`. */
  awaitConvergence(input: {
    readonly cluster: string;
    readonly target: EncryptionTarget;
    /** Absent when no switch was made: then the servers only have to agree, and nobody needs to be seen switching. */
    readonly baseline?: Baseline;
    readonly operationId: string;
  }): Promise<Convergence>;

  /** Patches every Secret that is not proven yet; isolates those that are refused; heartbeats `RewriteHeartbeat`. */
  rewriteSecrets(input: RewriteInput): Promise<RewriteReport>;

  /** A fresh metadata list of all Secrets judged by the proof rule, and a second look at convergence. Heartbeats. */
  proveSecrets(input: RewriteInput & { readonly convergence: Convergence }): Promise<Proof>;

  /** Deletes the operation's canaries; those that are gone are fine. */
  removeCanaries(input: { readonly cluster: string; readonly operationId: string }): Promise<void>;

  /** Reads what ARM reports of the cluster's key. Throws `KeyNotReported`, non-retryable, when it is another key or the state is not Succeeded. */
  verifyKey(input: {
    readonly cluster: string;
    readonly keyId: string;
  }): Promise<{ keyId: string; provisioningState: string }>;

  /** Reads, changes and writes the ledger in the cluster, fenced by its resource version. */
  changeLedger(input: {
    readonly cluster: string;
    readonly reportedKeyId: string;
    readonly changes: readonly LedgerChange[];
  }): Promise<Ledger>;

  /** Signs a record and writes the evidence file. The same operation id overwrites its own file only. */
  sealEvidence(input: {
    readonly record: Omit<EvidenceRecord, 'sealedAt' | 'format'>;
  }): Promise<{ file: string; digest: string; signingKeyId: string }>;
}
