/** What performers work with. */
import type { StepId } from '../../domain/plan/steps';
import type { OperationRun } from '../operation-run';

/** What performers work with. */
export interface Execution {
  readonly run: OperationRun;
  readonly proofs: ProofLog;
}

/** When convergence was seen and when a proof was taken: what says whether a proof may still be recorded. */
export class ProofLog {
  readonly #interruptions = new Map<StepId, number>();
  readonly #takenAt = new Map<StepId, number>();

  /** Convergence is looked for from now on. @param step the converge step */
  converging(step: StepId, interruptions: number): void {
    this.#interruptions.set(step, interruptions);
  }

  /** Interruptions until convergence was looked for; undefined when it never was. */
  interruptionsBefore(step: StepId): number | undefined {
    return this.#interruptions.get(step);
  }

  /** A proof has taken its last look. @param step the prove step @param at milliseconds since 1970, workflow time */
  proven(step: StepId, at: number): void {
    this.#takenAt.set(step, at);
  }

  /** When a proof took its last look; 0 when there is none. */
  takenAt(step: StepId): number {
    return this.#takenAt.get(step) ?? 0;
  }
}
