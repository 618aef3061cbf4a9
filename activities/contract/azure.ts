/** The activities that change clusters, vaults, keys and identities in Azure, and wait for that. Rules that hold for all activities: index.ts. */
import type { ClusterChange } from '../../domain/cluster-change';
import type { Ledger } from '../../domain/ledger';
import type { ArmOperation } from '../../domain/plan/outputs';
import type { StepReference } from './inputs';

/** The activities that change clusters, vaults, keys and identities in Azure, and wait for that. */
export interface AzureActivities {
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
   * Reads the cluster once more. Throws `ClusterChangedOutside` or `KeyNotReported`, non-retryable, when it does not show the change or its state is not
   * Succeeded; while Azure is busy with it, a retryable failure: call `awaitClusterIdle` before.
   * @returns the key id, as it was asked for, null when KMS is off; the entity tag that the cluster had then
   */
  verifyCluster(input: {
    readonly cluster: string;
    readonly change: ClusterChange;
  }): Promise<{ keyId: string | null; provisioningState: string; eTag?: string }>;

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
}
