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
import type { MountedFile } from '../domain/csi/facts';
import type { CsiInspection } from '../domain/csi/inspection';
import type { Change } from '../domain/change/change';
import type { ChangeAnswer } from '../domain/change/window';
import type { Census } from '../domain/census';
import type { Delivered } from '../domain/delivery';
import type { ClusterChange } from '../domain/cluster-change';
import type { Baseline, Convergence } from '../domain/convergence';
import type { MadeKeys } from '../domain/encryption';
import type { UnsealedRecord } from '../domain/evidence';
import type { ArmOperation } from '../domain/plan/outputs';
import type { Inspection } from '../domain/inspection';
import type { LedgerReport } from '../domain/ledger-report';
import type { WorkerReport } from '../domain/worker-report';
import type { KeyUsers } from '../domain/key-users';
import type { Ledger } from '../domain/ledger';
import type { Fault } from '../domain/errors';
import type { PlanPolicy, PlanResult } from '../domain/plan/plan';
import type { StepId } from '../domain/plan/steps';
import type { Proof, RewriteReport } from '../domain/proof';
import type { OperationRequest } from '../domain/request';
import type { Receipt, Receipted } from '../domain/trust/receipts';
import type { DecisionFacts, RequestFacts, StatementSignature, Verb } from '../domain/trust/statements';

/** The plan that an operation carries out, by its digest. The operation is the workflow that asks for the activity. */
export interface PlanReference {
  readonly planDigest: string;
}

/**
 * The step of that plan that an activity carries out. The activity reads the plan where the operation shows it, compares the
 * digest, and takes what it writes from the step: what was not approved cannot be asked for.
 */
export interface StepReference extends PlanReference {
  readonly step: StepId;
  /** The key ids that earlier steps made. */
  readonly made: MadeKeys;
}

/** One attempt of a step: each has objects of names of its own. */
export interface StepAttemptReference extends StepReference {
  /** 1 at first; one more each time a person asked for another try. */
  readonly attempt: number;
}

/** A request as the API signed it; it is of the operation that asks for the activity. */
export type SignedRequest = Omit<RequestFacts, 'operationId'> & { readonly signature?: StatementSignature };

/** A decision as the API signed it. */
export type SignedDecision = DecisionFacts & { readonly signature: StatementSignature };

/** What a rewrite or a proof is judged by, beside its step: what its convergence gave. */
export interface PassInput extends StepReference {
  readonly convergence: Convergence;
}

/** What steps of a retirement are judged by, beside the step. */
export interface RetirementInput extends StepReference {
  /** The last proof: a cluster that is older than its list was restored from a backup. */
  readonly proof: Proof;
  /** What the vault said when the operation had disabled the version; absent before. */
  readonly disabled?: Disabled;
}

/** A key version that was disabled. */
export interface Disabled {
  readonly keyId: string;
  /** When the vault says that the version was changed, ISO 8601. */
  readonly updatedOn?: string;
  readonly receipt?: Receipt;
}

/** What the rules of a kind say of a request. */
export interface RulesChecked {
  readonly faults: readonly Fault[];
  /** The provisioning state, when all that is wrong is that Azure is changing the cluster; null otherwise. */
  readonly busy: string | null;
  /** The cluster whose Secrets are to be looked at; null when the faults make that pointless. */
  readonly cluster: string | null;
  /** Secrets a second that a pass may ask for; null without a limit. */
  readonly perSecond: number | null;
  /** Names what ARM says of that cluster and its KMS: another text after every change. Absent where no Secrets are to be looked at. */
  readonly state?: string;
}

/** What a look at the connections of a cluster with vaults gives. */
export type CsiInspected =
  { readonly found: true; readonly inspection: CsiInspection } | { readonly found: false; readonly why: string };

/** What a look at a cluster says. */
export type Inspected =
  { readonly found: true; readonly inspection: Inspection } | { readonly found: false; readonly why: string };

/** What a look at the ledger of a cluster says. */
export type LedgerInspected =
  { readonly found: true; readonly inspection: LedgerReport } | { readonly found: false; readonly why: string };

/** What the planner says of a request. */
export type PlanMade = PlanResult & {
  /** As in `RulesChecked`: Azure may have begun to change the cluster since the rules were checked. */
  readonly busy?: string | null;
};

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

/** What came of the delivery of an event. */
export type EventDelivered =
  | { readonly kind: 'delivered'; readonly sequence: number; readonly delivered: Delivered }
  | {
      readonly kind: 'none';
      /** The place of the last event that there is. */
      readonly sequence: number;
      /** Whether none can follow. */
      readonly last: boolean;
    };
/** What a change system is asked. */
export interface ChangeQuestion {
  /** Null while a plan is made. */
  readonly operation: string | null;
  readonly kind: string;
  readonly cluster: string;
  readonly change: Change;
  /** The digest of the plan, and the step that is to begin; null before there is a plan. */
  readonly plan: string | null;
  readonly step: { readonly id: StepId; readonly title: string } | null;
}

/** What it said, and seconds until it may be asked again. */
export interface ChangeChecked {
  readonly answer: ChangeAnswer;
  readonly askEvery: number;
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

  /**
   * Carries out `create-key-version`: makes a new version like the step's, tagged with the operation id and the nonce. A version
   * with both tags, made since the step began, is returned instead of making a second.
   * Throws `KeyNotAsApproved`, non-retryable, when such a version is not like it; `CreateKeyRefused` when the vault refuses.
   */
  createKeyVersion(
    input: StepReference & {
      /** Made by the workflow for the step, the same for every try of it: an operation id alone may have been used before. */
      readonly nonce: string;
      /** ISO 8601: when the step began. */
      readonly since: string;
    },
  ): Promise<{ keyId: string; created: boolean }>;

  /** Carries out `take-baseline`: writes the operation's canaries, or finds them, and lists R0. Before the switch is asked for. */
  takeBaseline(input: StepReference): Promise<Receipted<Baseline>>;

  /**
   * Asks ARM for the change of a step, with one fenced PUT; for another key only when the ledger has the switch noted (K2); a stop or a start with one POST. Does nothing when ARM reports the change
   * already. While ARM is busy with something else it throws a retryable failure: call `awaitClusterIdle` before.
   * Throws, non-retryable, `ClusterChangedOutside` when the cluster is not what the step expects, and `WebhooksPreventStop` when a stop,
   * or what needs one, would not end well.
   * @returns the URL of ARM's long-running operation; without one the cluster itself is polled.
   */
  submitClusterChange(input: StepReference): Promise<{ operationUrl?: string; submitted: boolean }>;

  /**
   * Waits until ARM's operation has ended and the cluster shows the change of a step; heartbeats `WaitProgress`. Only reads, so
   * it may be interrupted. When the operation shows no end for minutes while the cluster rests, the cluster's own state decides.
   * Throws, non-retryable, `ArmOperationFailed` when it failed, `ChangeNotApplied` when the cluster does not show the change.
   */
  awaitClusterChange(input: StepReference & { readonly operationUrl?: string }): Promise<ArmOperation>;

  /**
   * Waits until Azure is not changing the cluster, whatever asked for it; heartbeats `WaitProgress`. Only reads.
   * @returns the resting provisioning state; `Deleted` when the cluster is gone
   */
  awaitClusterIdle(input: { readonly cluster: string }): Promise<{ provisioningState: string }>;

  /**
   * Carries out `converge`: waits until every API server writes with the step's target, by canaries, leases and metrics;
   * heartbeats `WaitProgress`.
   */
  awaitConvergence(
    input: StepReference & {
      /** Absent when no switch was made: then the API servers only have to agree. */
      readonly baseline?: Baseline;
    },
  ): Promise<Receipted<Convergence>>;

  /** Carries out `rewrite`: patches every Secret that is not proven yet; isolates refused ones; heartbeats `PassProgress`. */
  rewriteSecrets(input: PassInput): Promise<RewriteReport>;

  /** Carries out `prove`: a fresh metadata list of all Secrets judged by the proof rule, and convergence checked again. Heartbeats. */
  proveSecrets(input: PassInput): Promise<Receipted<Proof>>;

  /** Deletes the operation's canaries; those that are gone are fine. */
  removeCanaries(input: PlanReference): Promise<void>;

  /**
   * Reads the cluster once more. Throws `ClusterChangedOutside` or `KeyNotReported`, non-retryable, when it does not show the change or its state is not
   * Succeeded; while Azure is busy with it, a retryable failure: call `awaitClusterIdle` before.
   * @returns the key id, as it was asked for, null when KMS is off; the entity tag that the cluster had then
   */
  verifyCluster(input: {
    readonly cluster: string;
    readonly change: ClusterChange;
  }): Promise<{ keyId: string | null; provisioningState: string; eTag?: string }>;

  /**
   * Notes in the ledger that the switch of a `set-kms` step is about to be asked for, or that it has happened. Before the switch it
   * reads what Azure reports; throws `ClusterChangedOutside`, non-retryable, when that is neither state of the step.
   */
  noteSwitch(input: StepReference & { readonly happened: boolean }): Promise<Ledger>;

  /**
   * Carries out `record-proof`: a proof that is not conclusive is not recorded as proven. Throws, non-retryable, `ProofOutdated` when it is
   * too old, by the time of its receipt too.
   */
  recordProof(
    input: StepReference & {
      readonly proof: Proof;
      /** ISO 8601: later than that the proof is void. */
      readonly validUntil: string;
    },
  ): Promise<Ledger>;

  /**
   * Carries out `check-key-unused`. Throws, non-retryable, `KeyInUse` when a cluster needs the key, `ResourceVersionWentBackwards`
   * or `ClusterChangedOutside` when this cluster is not what was proven, `KeyNotDisabled` when the version was enabled since the
   * operation disabled it.
   */
  checkKeyUnused(input: RetirementInput): Promise<{ at: string; users: KeyUsers }>;

  /** Carries out `disable-key-version`; looks once more before it writes. Throws as `checkKeyUnused`, and `DeleteKeyRefused`. */
  disableKeyVersion(input: RetirementInput): Promise<Receipted<Disabled>>;

  /**
   * Carries out `delete-key`: soft-deletes the key object if no version of it is needed, otherwise leaves it. Throws as
   * `disableKeyVersion`, and `KeyNotDisabled` when the version was enabled in the soak, even if it is disabled again; `SoakNotOver`,
   * retryable, when the soak of the plan has not passed since the receipt of `disabled`.
   */
  deleteFreeKey(
    input: RetirementInput,
  ): Promise<{ recoveryId: string | null; scheduledPurgeOn: string | null; needed: string[] }>;

  /**
   * Carries out `set-vault-network`, and waits until the vault shows it: an opened vault answers minutes later. Heartbeats
   * `WaitProgress`. Other members of the vault stay as they are. Throws, non-retryable, `VaultInUse` when another cluster needs the
   * public address that it closes, `ClusterChangedOutside` when this one does.
   */
  setVaultNetwork(input: StepReference): Promise<{ changed: boolean }>;

  /**
   * Carries out `grant-key-access`: gives the rights that are missing, by one write. Throws `GrantRefused`, non-retryable, when Azure
   * refuses, a deny assignment takes the rights, or identity or vault are not what was approved.
   */
  grantKeyAccess(input: StepReference): Promise<{ principalId: string; granted: boolean }>;

  /** Waits until Azure shows the rights that a `grant-key-access` step gave; heartbeats `WaitProgress`. Only reads. */
  awaitKeyAccess(input: StepReference & { readonly principalId: string }): Promise<void>;

  /**
   * Carries out one repair of a key, a vault or an identity: reads, writes once, and reads again until it shows. Heartbeats
   * `WaitProgress`. Throws `RepairRefused`, non-retryable, when Azure or the vault refuses.
   */
  repair(
    input: StepReference,
  ): Promise<{ readonly changed: boolean; readonly expiresOn?: string; readonly principalId?: string }>;

  /**
   * Carries out `await-kms`: waits until the API servers say that their KMS works; heartbeats `WaitProgress`. Only reads.
   * @returns how many health checks they passed
   */
  awaitKms(input: StepReference): Promise<{ answers: number }>;

  /**
   * Carries out `set-vault-diagnostics`. A setting that does it already is found instead. Throws, non-retryable, `DiagnosticSettingDiffers`
   * rather than overwrite one, `DiagnosticSinkTaken`, `VaultChangeRefused`.
   */
  setVaultDiagnostics(input: StepReference): Promise<{ settingName: string; created: boolean }>;

  /** Carries out `confirm-vault-diagnostics`. Only reads. Throws `VaultNotAsApproved`, non-retryable, when no setting does it. */
  confirmVaultDiagnostics(input: StepReference): Promise<{ settingName: string }>;

  /**
   * Carries out `create-vault`: makes the vault, tagged with operation and nonce, or checks the one that the plan found; a vault with both tags
   * is one that an earlier try made. Throws, non-retryable, `VaultNotAsApproved`, `VaultChangeRefused`.
   */
  createVault(input: StepReference & { readonly nonce: string }): Promise<{ vaultId: string; created: boolean }>;

  /**
   * Carries out `create-key`, likewise; through ARM where the vault does not answer. Throws, non-retryable, `KeyNotAsApproved`,
   * `CreateKeyRefused` with what gives the rights.
   */
  createKey(
    input: StepReference & { readonly nonce: string },
  ): Promise<{ keyId: string; created: boolean; through?: 'arm' }>;

  /**
   * Carries out `create-identity`; one with the tags of operation and nonce is one that an earlier try made. Throws
   * `IdentityNotAsApproved`, non-retryable.
   */
  createIdentity(input: StepReference & { readonly nonce: string }): Promise<{ principalId: string }>;

  /** Carries out `grant-endpoint-approval`. Throws, non-retryable, `GrantRefused`, `IdentityNotAsApproved`. */
  grantEndpointApproval(input: StepReference): Promise<{ principalId: string; granted: boolean }>;

  /** Waits until Azure shows the right; heartbeats `WaitProgress`. Only reads. */
  awaitEndpointApproval(input: StepReference & { readonly principalId: string }): Promise<void>;

  /**
   * Asks ARM for the cluster of a `create-cluster` step, with one PUT that makes a cluster and changes none. A cluster with the tags of
   * operation and nonce is one that an earlier try asked for. Throws `ClusterNotAsApproved`, non-retryable, when there is another one.
   */
  submitNewCluster(
    input: StepReference & { readonly nonce: string },
  ): Promise<{ operationUrl?: string; submitted: boolean }>;

  /** As `awaitClusterChange`, for the cluster of a `create-cluster` step. @returns the version that AKS chose, too */
  awaitNewCluster(
    input: StepReference & { readonly operationUrl?: string },
  ): Promise<{ operation: ArmOperation; version: string }>;

  /** Begins the ledger of the new cluster: its key is in the first slot, and the second is empty. */
  noteCreation(input: StepReference): Promise<Ledger>;

  /**
   * Carries out `await-api-servers`: waits until the API servers answer, their KMS works and konnectivity-agent is gone; heartbeats
   * `WaitProgress`. Only reads. @returns how many health checks they passed
   */
  awaitApiServers(input: StepReference): Promise<{ answers: number }>;
  /** Carries out `assign-node-identity`: adds the identity to each scale set that lacks it, and waits until it shows. Throws `ConnectionRefused`, non-retryable. */
  assignNodeIdentity(input: StepReference): Promise<{ changed: boolean; nodes: readonly string[] }>;

  /**
   * Carries out `create-federated-credential` with the issuer that the cluster has now. Throws, non-retryable, `ConnectionNotAsApproved` when
   * one of the name says something else, `ConnectionRefused`.
   */
  createFederatedCredential(input: StepReference): Promise<{ changed: boolean; issuer: string }>;

  /** Carries out `grant-vault-read`. Throws, non-retryable, `ReadGrantRefused`, `IdentityNotAsApproved`. */
  grantVaultRead(input: StepReference): Promise<{ changed: boolean; principalIds: readonly string[] }>;

  /** Waits until Azure shows the rights; heartbeats `WaitProgress`. Only reads. */
  awaitVaultRead(input: StepReference & { readonly principalIds: readonly string[] }): Promise<void>;

  /** Carries out `create-service-connection`, and waits for its end; heartbeats. Throws `ConnectionRefused`, `ConnectionNotAsApproved`, non-retryable. */
  createServiceConnection(input: StepReference): Promise<{ changed: boolean }>;

  /**
   * Makes or removes one part of a connection: a service account, a SecretProviderClass, a federated credential or a connection. What
   * others made is never overwritten or removed: `ConnectionNotAsApproved`, non-retryable. What is to be removed and is not there is no error.
   */
  changeConnectionPart(input: StepReference): Promise<{ changed: boolean }>;

  /**
   * Carries out `prove-mount`: makes a pod that mounts the class and compares, waits for its end, and removes it; heartbeats. Throws
   * `MountFailed` and `MountDiffers`, non-retryable, with the words of driver and provider and with names only.
   */
  proveMount(input: StepReference): Promise<Receipted<{ files: readonly MountedFile[] }>>;

  /**
   * Carries out `prove-rotation`: makes a probe in the vault, a class and a pod, then a second version, and waits until the pod's file is that
   * one; heartbeats. Leaves all of it for `removeRotation`. Throws `RotationFailed`, `RotationProbeRefused` and `MountFailed`, non-retryable.
   */
  proveRotation(input: StepAttemptReference): Promise<Receipted<{ probe: string; from: string; to: string }>>;

  /** Removes what `proveRotation` made in the same attempt; the probe is soft-deleted. Needs no lock. */
  removeRotation(input: StepAttemptReference): Promise<void>;

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
