/**
 * The view of one running operation, and its publication.
 *
 * Does: holds the view and what steps gave, and shows each change in the memo (API), the search attributes (lists) and the current
 * details (Temporal UI).
 * Never does: decide anything.
 */
import { setCurrentDetails, upsertMemo, upsertSearchAttributes } from '@temporalio/workflow';
import type { StepReference } from '../activities/contract';
import {
  isFinal,
  stepStates,
  type Operation,
  type OperationStatus,
  type StepState,
  type StepStatus,
  type StoredFault,
  viewAtEnd,
} from '../domain/operation';
import { milestonesAfter } from '../domain/milestones';
import { memoChanges, memoOf, type MemoFields } from '../domain/operation-memo';
import { keysNeededNow, madeKeys, type Outputs, type StepOutput } from '../domain/plan/outputs';
import type { Plan } from '../domain/plan/plan';
import type { StepId } from '../domain/plan/steps';
import { progressInMarkdown } from '../domain/progress';
import { SearchAttributes } from './messages';

/** ISO 8601. Workflow time: the same in every replay. */
export function now(): string {
  return new Date().toISOString();
}

/** One operation as people see it. */
export class PublishedOperation {
  private outputsByStep: Outputs;
  /** The memo as it was last written: at first by the API. */
  private shown: MemoFields;
  /** The view as it was last shown. */
  private shownView: Operation;
  /** Called when something happened that clients hear of as an event. */
  onMilestone: () => void = () => undefined;

  /** @param outputs what an earlier run of the same workflow gave */
  constructor(
    private view: Operation,
    outputs: Outputs = {},
  ) {
    this.shown = memoOf(view);
    this.shownView = view;
    this.outputsByStep = outputs;
  }

  /** The operation as it stands. */
  get operation(): Operation {
    return this.view;
  }

  /** What the steps that are done gave, by step id. */
  get outputs(): Outputs {
    return this.outputsByStep;
  }

  /** The plan that stands. @throws Error when there is none */
  get plan(): Plan {
    if (!this.view.plan) throw new Error('The operation has no plan.');
    return this.view.plan;
  }

  /** Changes the view and shows it. */
  publish(change: Partial<Operation>): void {
    const statusChanged = change.status !== undefined && change.status !== this.view.status;
    this.change(change);
    const happened = this.addMilestones();
    const memo = memoOf(this.view);
    const changes = memoChanges(this.shown, memo);
    if (Object.keys(changes).length > 0) upsertMemo(changes);
    this.shown = memo;
    if (statusChanged) upsertSearchAttributes([{ key: SearchAttributes.status, value: this.view.status }]);
    setCurrentDetails(progressInMarkdown(this.view));
    if (happened) this.onMilestone();
  }

  /** Takes a plan: its steps are shown as pending. */
  takePlan(plan: Plan): void {
    this.publish({
      plan,
      planRevision: this.view.planRevision + 1,
      steps: stepStates(plan, []),
      approvals: [],
      keysNeeded: plan.keysNeeded,
    });
  }

  /** Whether a step is done. */
  isDone(id: StepId): boolean {
    return this.stepState(id).status === 'done';
  }

  /** When a step began, ISO 8601. @throws Error when it has not */
  startOf(id: StepId): string {
    const { startedAt } = this.stepState(id);
    if (startedAt === undefined) throw new Error(`The step ${id} has not begun.`);
    return startedAt;
  }

  /** The step of the plan that an activity is to carry out. */
  reference(step: StepId): StepReference {
    return { planDigest: this.plan.digest, step, made: madeKeys(this.outputsByStep) };
  }

  /** Keeps what a step gave. */
  keep(id: StepId, output: StepOutput): void {
    this.outputsByStep = { ...this.outputsByStep, [id]: output };
  }

  /** The change of the view that shows a step. @throws Error when it is not in the plan: that must not run (O3) */
  withStep(id: StepId, change: Partial<StepStatus>): Pick<Operation, 'steps'> {
    this.stepState(id);
    return {
      steps: this.view.steps.map((step) => {
        if (step.id !== id) return step;
        const { result: _earlier, ...rest } = step;
        return { ...rest, ...change };
      }),
    };
  }

  /** Shows the end. */
  end(status: OperationStatus, faults: readonly StoredFault[]): void {
    if (!isFinal(status)) throw new Error(`${status} is not an end.`);
    this.publish({
      status,
      reason: faults[0] ?? null,
      faults: [...faults],
      endedAt: now(),
      ...viewAtEnd(this.view),
    });
  }

  /** Changes the view; the next publication shows it. Keys needed are computed, never said by hand. */
  change(change: Partial<Operation>): void {
    const view = { ...this.view, ...change };
    const keys = view.plan ? keysNeededNow(view.plan, view.steps, this.outputsByStep) : view.keysNeeded;
    this.view = { ...view, keysNeeded: keys };
  }

  /** @returns whether there are new ones */
  private addMilestones(): boolean {
    const milestones = milestonesAfter(this.shownView, this.view, now());
    const happened = milestones.length > (this.shownView.milestones?.length ?? 0);
    if (happened) this.view = { ...this.view, milestones: [...milestones] };
    this.shownView = this.view;
    return happened;
  }

  protected stepState(id: StepId): StepState {
    const step = this.view.steps.find((one) => one.id === id);
    if (!step) throw new Error(`The approved plan has no step ${id}.`);
    return step;
  }
}
