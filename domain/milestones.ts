/**
 * The milestones of an operation: what has happened so far, in the order in which it happened.
 *
 * The view of an operation says how it stands: a new plan takes the approvals of the earlier one away, a retry takes the block
 * away. So each change of the view is compared with the view before, and what happened is added to a list that only grows: the
 * place in the list is what clients resume from.
 *
 * The list is stored with the operation (domain/stored-milestones.ts) and has a limit: what people may cause again and again is added
 * only as long as there is room; steps and the end always are.
 */
import { isFinal, OperationStatus, type Operation, type StepState } from './operation';
import type { Milestone, MilestoneType } from './milestone';

/** Characters of the plans, approvals, blocks, retries and waits that are kept, at most: some twenty blocks with their retries. */
export const MOST_BESIDE_STEPS = 1_000;
/** Of each, beside its own texts: type, time and numbers. */
const OF_EACH = 14;

/** What the plan and the end bring: bounded by themselves. */
const ALWAYS: ReadonlySet<MilestoneType> = new Set<MilestoneType>([
  'step.started',
  'step.done',
  'succeeded',
  'failed',
  'canceled',
  'evidence_sealed',
]);

/** The milestones after a change of the view. @param at ISO 8601: when it was made */
export function milestonesAfter(before: Operation, after: Operation, at: string): readonly Milestone[] {
  const told = [...(before.milestones ?? [])];
  let beside = told.reduce((sum, milestone) => sum + besideSteps(milestone), 0);
  for (const milestone of milestonesBetween(before, after, at)) {
    const size = besideSteps(milestone);
    if (size > 0 && beside > MOST_BESIDE_STEPS) continue;
    beside += size;
    told.push(milestone);
  }
  return told;
}

function besideSteps({ type, step = '', code = '', by = '' }: Milestone): number {
  return ALWAYS.has(type) ? 0 : OF_EACH + step.length + code.length + by.length;
}

/** What happened between two views, in the order of cause and effect. */
function milestonesBetween(before: Operation, after: Operation, at: string): Milestone[] {
  const replanned = after.planRevision > before.planRevision;
  const earlier: readonly StepState[] = replanned ? [] : before.steps;
  const approvals = after.approvals.slice(replanned ? 0 : before.approvals.length);
  const { acceptance } = after;
  const entered = (status: OperationStatus): boolean => after.status === status && before.status !== status;
  return [
    ...(replanned ? [{ type: 'planned' as const, at, revision: after.planRevision }] : []),
    ...approvals.map(({ gate, by, at: then }) => ({
      type: 'approved' as const,
      at: then,
      step: gate,
      by: by.objectId,
    })),
    ...(acceptance !== null && acceptance.at !== before.acceptance?.at
      ? [{ type: 'accepted' as const, at: acceptance.at, step: acceptance.step, by: acceptance.by.objectId }]
      : []),
    ...after.steps.flatMap((step) =>
      ofStep(
        earlier.find(({ id }) => id === step.id),
        step,
        after,
        at,
      ),
    ),
    ...(entered(OperationStatus.AwaitingCluster) ? [{ type: 'waits_for_cluster' as const, at }] : []),
    ...(isFinal(after.status) && !isFinal(before.status) ? [endOf(after, after.endedAt ?? at)] : []),
    ...(after.evidence !== null && before.evidence === null ? [{ type: 'evidence_sealed' as const, at }] : []),
  ];
}

function ofStep(before: StepState | undefined, after: StepState, { plan, reason }: Operation, at: string): Milestone[] {
  const { id: step, attempt = 1 } = after;
  const happened: Milestone[] = [];
  if (after.startedAt !== undefined && before?.startedAt === undefined) {
    const gate = plan?.steps.find(({ id }) => id === step)?.type === 'gate';
    happened.push({ type: gate ? 'approval_requested' : 'step.started', at: after.startedAt, step });
  }
  if (attempt > (before?.attempt ?? 1)) happened.push({ type: 'retried', at, step, attempt });
  const again = attempt !== (before?.attempt ?? 1);
  if (after.status === 'blocked' && (before?.status !== 'blocked' || again)) {
    happened.push({ type: 'blocked', at, step, attempt, ...(reason === null ? {} : { code: reason.code }) });
  }
  if (after.status === 'done' && before?.status !== 'done')
    happened.push({ type: 'step.done', at: after.endedAt ?? at, step });
  return happened;
}

/** The end of an operation. */
export function endOf({ status, reason }: Pick<Operation, 'status' | 'reason'>, at: string): Milestone {
  const type = { Succeeded: 'succeeded', Failed: 'failed', Canceled: 'canceled' }[
    status as 'Succeeded'
  ] as MilestoneType;
  return { type, at, ...(reason === null ? {} : { code: reason.code }) };
}
