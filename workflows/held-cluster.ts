/**
 * The cluster that an executing operation holds.
 *
 * Does: stops the operation's writes when the lock is lost, takes the lock again, waits for it when another operation has it,
 *       and then compares what Azure reports with what this operation expects.
 * Never does: let a step go on as if nothing had happened. A step that lost the lock is begun again.
 */
import { OperationStatus } from '../domain/operation';
import { lasting, quick, stopping } from './activities';
import type { ClusterLockGuard } from './cluster-lock';
import { awaitClusterFree } from './cluster-wait';
import type { KmsProfile } from '../domain/cluster-change';
import { OperationEnds } from './endings';
import type { OperationRun, StepLock } from './operation-run';

/** The lock as the steps of a run see it. */
export class HeldCluster implements StepLock {
  /** Whether the lock was lost since the cluster was last compared with what is expected. */
  private unverified = false;
  private anotherHeldIt = false;
  /** Whether the approved plan may go on after another operation: once a step has changed the cluster, or looks at it itself. */
  private mayGoOn = false;
  private released = false;

  /** @param expected what Azure has to report, as long as the operation changes nothing */
  constructor(
    private readonly run: OperationRun,
    private readonly guard: ClusterLockGuard,
    private readonly cluster: string,
    private expected: KmsProfile | null,
  ) {
    guard.onLost = () => {
      this.unverified = true;
      run.lockWasLost();
    };
  }

  get lost(): boolean {
    return this.guard.lost;
  }

  check(): void {
    this.guard.check();
  }

  expect(profile: KmsProfile | null): void {
    this.mayGoOn = true;
    this.expected = profile;
  }

  async takeAgain(): Promise<boolean> {
    const taken = await this.guard.take();
    if (!taken) this.anotherHeldIt = true;
    return taken;
  }

  async release(): Promise<void> {
    if (this.released) return;
    this.released = true;
    this.unverified = true;
    // What is approved for after a gate or a soak looks for itself whether the cluster still is as it must be.
    this.mayGoOn = true;
    const changesLater = this.run.plan.steps.some(({ id, type }) => type === 'set-kms' && !this.run.isDone(id));
    if (!changesLater) this.expected = null;
    await this.guard.release();
  }

  async regain(): Promise<void> {
    while (this.guard.lost || this.released) {
      this.run.safePoint();
      if (this.guard.lost) {
        this.run.publish({
          waitingFor:
            'the lock of the cluster: it was ended in Temporal. The operation writes nothing before it holds the lock again.',
        });
      }
      if (await this.takeAgain()) {
        this.released = false;
        break;
      }
      await awaitClusterFree(this.run, this.cluster, OperationStatus.Running);
    }
    if (!this.unverified) return;
    this.refuseOldApproval();
    if (this.expected !== null) {
      await lasting('Wait until Azure is not changing the cluster').awaitClusterIdle({ cluster: this.cluster });
      await quick('Compare what Azure reports: the lock was lost').verifyCluster({
        cluster: this.cluster,
        change: { type: 'kms', to: this.expected },
      });
    }
    // The lock may have been lost once more while Azure was asked.
    this.guard.check();
    this.unverified = false;
    this.run.publish({ waitingFor: null });
  }

  /** Before the key is set, what was approved is a plan for the cluster as it was; another operation may have changed which keys are needed. */
  private refuseOldApproval(): void {
    if (!this.anotherHeldIt || this.mayGoOn) return;
    const detail = `Another operation took the lock of the cluster after this one had lost it, so the approved plan may not fit the cluster any more. ${this.run.stateLeft()} Ask for a new operation.`;
    throw new OperationEnds(OperationStatus.Failed, [{ code: 'ClusterChangedOutside', detail }]);
  }
}

/** The activities of a step that holds the lock: each is asked for only while the lock is held. */
export function underLock(run: OperationRun): {
  readonly quick: typeof quick;
  readonly lasting: typeof lasting;
  readonly stopping: typeof stopping;
} {
  return {
    quick(summary) {
      run.requireLock();
      return quick(summary);
    },
    lasting(summary) {
      run.requireLock();
      return lasting(summary);
    },
    stopping(summary) {
      run.requireLock();
      return stopping(summary);
    },
  };
}
