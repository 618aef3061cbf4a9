/**
 * Before a step that changes something: whether the change may be carried out now, by its window and by the change system.
 *
 * Does: waits, visibly, until it may; a person can cancel meanwhile. When the window has ended and nothing can open another one, the
 *       operation ends if nothing was changed, and otherwise waits for the end that a person asks for.
 * Never does: hold a step that has begun, or one that ends what must not stay (domain/change/held-steps.ts).
 */
import { verdictOf, type Verdict } from '../domain/change/window';
import { waitsForChange } from '../domain/change/held-steps';
import type { ErrorCode } from '../domain/errors';
import { OperationStatus } from '../domain/operation';
import type { PlanStep } from '../domain/plan/steps';
import { quick } from './activities';
import { OperationEnds } from './endings';
import type { OperationRun } from './operation-run';
import { awaitPeople } from './people-wait';
import { now } from './published-operation';

/** Before the lock of the cluster is taken: an operation that waits for its window keeps no other one from the cluster. */
export async function awaitChangeOfPlan(run: OperationRun): Promise<void> {
  const first = run.plan.steps.find(({ type }) => waitsForChange(type));
  if (first !== undefined) await awaitChange(run, first);
}

/**
 * Waits until a step may begin.
 * @throws OperationEnds when a person cancels, or when the window has ended before anything was changed
 */
export async function awaitChange(run: OperationRun, step: PlanStep): Promise<void> {
  if (!waitsForChange(step.type)) return;
  const since = now();
  for (let shown: string | null = null; ;) {
    run.safePoint();
    const verdict = await ask(run, step, since);
    run.safePoint();
    if (verdict.go) {
      if (shown !== null) run.publish({ waitingFor: null });
      return;
    }
    if (verdict.over) return await endOfWindow(run, step, verdict.waitsFor);
    const waitingFor = `${verdict.waitsFor} Next: ${step.title}. ${stands(run)}`;
    if (waitingFor !== shown) run.publish({ waitingFor });
    shown = waitingFor;
    await run.pause(verdict.seconds * 1_000);
  }
}

async function ask(run: OperationRun, step: PlanStep, waitingSince: string): Promise<Verdict> {
  const { id, kind, request } = run.operation;
  const { change, cluster } = request;
  const { answer, askEvery } = await quick(`Ask whether ${change.number} may be carried out`).checkChange({
    operation: id,
    kind,
    cluster,
    change,
    plan: run.plan.digest,
    step: { id: step.id, title: step.title },
  });
  return verdictOf(change, answer, { now: now(), waitingSince, askEvery });
}

const ENDED: ErrorCode = 'ChangeWindowEnded';

async function endOfWindow(run: OperationRun, step: PlanStep, ended: string): Promise<void> {
  const next =
    'Ask for a new operation, with the window that the change has now; it goes on from what the cluster shows.';
  if (!hasBegun(run)) {
    const detail = `${ended} Nothing was changed. ${next}`;
    throw new OperationEnds(OperationStatus.Canceled, [{ code: ENDED, detail }]);
  }
  const fault = { code: ENDED, detail: `${ended} ${run.stateLeft()}` };
  run.publish({
    status: OperationStatus.Blocked,
    reason: fault,
    faults: [fault],
    waitingFor: `a person: ${fault.detail} Not begun: ${step.title}. \`cancel\`. ${next}`,
    offers: ['cancel'],
  });
  await awaitPeople(`Blocked, ${ENDED}: waits for cancel`, () => run.cancelRequested);
  run.safePoint();
}

/** What a person must know of the keys while the operation waits. */
function stands(run: OperationRun): string {
  return hasBegun(run) ? run.stateLeft() : 'Nothing was changed.';
}

/** Whether a step of the plan has begun that changes something. */
function hasBegun({ operation: { steps } }: OperationRun): boolean {
  return steps.some(({ changes, startedAt }) => changes !== 'nothing' && startedAt !== undefined);
}
