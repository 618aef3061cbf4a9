/** One operation that executes: what workflows/operation-run.ts and workflows/steps/ keep of it. */
import type { Acceptance } from '../../../domain/acceptance';
import type { KmsProfile } from '../../../domain/cluster-change';
import type { ErrorCode } from '../../../domain/errors';
import type { StepStatus } from '../../../domain/operation';
import type { Outputs, StepOutput } from '../../../domain/plan/outputs';
import type { Plan } from '../../../domain/plan/plan';
import type { StepOf, StepType } from '../../../domain/plan/steps';
import type { RefusedSecret } from '../../../domain/refusal';
import type { OperationRequest } from '../../../domain/request';
import type { Behaviour } from './behaviour';
import type { Machine } from './machine';

/** What happens to the machine in a step, up to where others may act: before each `yield`, all happens at one moment. */
export type Effect<T extends StepType> = (step: StepOf<T>, execution: Execution) => Generator<void, StepOutput, void>;

/** What effects work with. */
export interface Execution {
  readonly machine: Machine;
  readonly behaviour: Behaviour;
  readonly run: Running;
}

/** A step that waits for a person. */
export class Blocked extends Error {
  constructor(
    readonly code: ErrorCode,
    readonly refused: readonly RefusedSecret[] = [],
  ) {
    super(code);
  }
}

/** An operation that executes. */
export class Running {
  outputs: Outputs = {};
  statuses: StepStatus[] = [];
  /** Blocks, failures and losses of the lock. */
  interruptions = 0;
  /** From the second try of the step on it begins with convergence. */
  attempt = 1;
  acceptance: Acceptance | null = null;
  /** What Azure has to report; null while it may be either. */
  expected: KmsProfile | null;
  /** The lock was lost since the cluster was last compared with what is expected. */
  unverified = false;
  readonly #convergedAfter = new Map<string, number>();
  readonly #provenAt = new Map<string, number>();

  constructor(
    readonly id: string,
    readonly request: OperationRequest,
    readonly plan: Plan,
    expected: KmsProfile,
  ) {
    this.expected = expected;
  }

  keep(id: string, output: StepOutput): void {
    this.outputs = { ...this.outputs, [id]: output };
  }

  mark(id: string, change: Partial<StepStatus>): void {
    const known = this.statuses.find((status) => status.id === id) ?? { id, status: 'pending' as const };
    this.statuses = [...this.statuses.filter((status) => status.id !== id), { ...known, ...change }];
  }

  /** Convergence is looked for from now on. */
  converging(step: string): void {
    this.#convergedAfter.set(step, this.interruptions);
  }

  interruptionsBefore(step: string): number {
    return this.#convergedAfter.get(step) ?? -1;
  }

  proven(step: string, now: number): void {
    this.#provenAt.set(step, now);
  }

  provenAt(step: string): number {
    return this.#provenAt.get(step) ?? 0;
  }
}
