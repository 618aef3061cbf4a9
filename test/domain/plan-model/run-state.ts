/** An operation of a story that has not ended, and what happened around it. */
import { keyOf } from '../../../domain/encryption';
import type { StepOutput } from '../../../domain/plan/outputs';
import type { Plan } from '../../../domain/plan/plan';
import type { PlanStep } from '../../../domain/plan/steps';
import type { OperationRequest } from '../../../domain/request';
import { Running } from './running';
import { profileOf } from '../../../domain/plan/change-of-step';

/** An operation, where it is, and what it cannot know. */
export interface RunState {
  readonly run: Running;
  /** Of the plan as the planner made it. */
  readonly digest: string;
  /** Which step. */
  at: number;
  effect: Generator<void, StepOutput, void> | undefined;
  retries: number;
  changed: boolean;
  anotherHeldIt: boolean;
  /** Others have set a key, or switched KMS off, since its plan. */
  disturbed: boolean;
  /** Keys that this operation cannot know of: others set them since its plan. */
  readonly blind: Set<string>;
}

/** A plan that the planner made, with the digest of before a mistake was put into it. */
export interface Planned {
  readonly plan: Plan;
  readonly digest: string;
}

/** An operation that begins. */
export function newRun(id: string, request: OperationRequest, { plan, digest }: Planned): RunState {
  return {
    run: new Running(id, request, plan, profileOf(plan.from, {})),
    digest,
    at: 0,
    effect: undefined,
    retries: 0,
    changed: false,
    anotherHeldIt: false,
    disturbed: false,
    blind: new Set(),
  };
}

/** Whether anything but a gate has begun. */
export function isBegun({ run }: RunState): boolean {
  return run.statuses.some(
    ({ id, startedAt }) => startedAt !== undefined && run.plan.steps.find((step) => step.id === id)?.type !== 'gate',
  );
}

/** The step that the operation is at; undefined at its end. */
export function stepAt({ run, at }: RunState): PlanStep | undefined {
  return run.plan.steps[at];
}

/** Whether it may have taken its baseline. */
export function isSwitching({ run }: RunState): boolean {
  return Object.values(run.outputs).some(({ type }) => type === 'take-baseline');
}

/** Whether an operation that began with this key as the current one is proving now. */
export function isProving({ run }: RunState, keyId: string | null): boolean {
  const of = (type: PlanStep['type']): string[] =>
    run.plan.steps.flatMap((step) => (step.type === type ? [step.id] : []));
  const begun = of('converge').filter((id) => run.statuses.some((one) => one.id === id && one.startedAt !== undefined));
  const recorded = of('record-proof').filter((id) => run.outputs[id] !== undefined);
  return begun.length > recorded.length && keyOf(run.plan.from, {}) === keyId;
}
