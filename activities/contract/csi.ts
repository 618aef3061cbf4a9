/** The activities that connect pods with vaults. Rules that hold for all activities: index.ts. */
import type { MountedFile } from '../../domain/csi/facts';
import type { Receipted } from '../../domain/trust/receipts';
import type { StepAttemptReference, StepReference } from './inputs';

/** The activities that connect pods with vaults. */
export interface CsiActivities {
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
}
