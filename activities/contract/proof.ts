/** The activities that rewrite, prove and retire keys on a proof. Rules that hold for all activities: index.ts. */
import type { Baseline, Convergence } from '../../domain/convergence';
import type { KeyUsers } from '../../domain/key-users';
import type { Ledger } from '../../domain/ledger';
import type { Proof, RewriteReport } from '../../domain/proof';
import type { Receipted } from '../../domain/trust/receipts';
import type { Disabled, PassInput, PlanReference, RetirementInput, StepReference } from './inputs';

/** The activities that rewrite, prove and retire keys on a proof. */
export interface ProofActivities {
  /** Carries out `take-baseline`: writes the operation's canaries, or finds them, and lists R0. Before the switch is asked for. */
  takeBaseline(input: StepReference): Promise<Receipted<Baseline>>;

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
}
