/**
 * How an operation is stored in the memo of its workflow: a key for each member and for each step, so that one change writes
 * what it changed and no more. The memo is part of the history: written whole, it was a third of it.
 *
 * A member that is null or an empty list, and a step that is pending, are not stored: Temporal removes a field that is set to
 * either (its `MergeMapOfPayload`).
 */
import { z } from 'zod';
import { canonicalJson } from './canonical';
import { Operation, stepStates, StepStatus, type StepState } from './operation';
import { Plan } from './plan/plan';

/** Memo keys beside those of the operation's members. */
export const MemoKey = {
  /** `digestOf` the request as parsed; tells a repeated POST from another body under the same Idempotency-Key. */
  Fingerprint: 'fingerprint',
  /** The plan, written once for each revision. */
  Plan: 'plan',
  /** On the workflow that is a cluster's lock: the operation id of its holder. */
  Holder: 'holder',
} as const;

/** Before the id of a step. */
const STEP = 'step:';
const StoredStatus = StepStatus.omit({ id: true });
const Members = Operation.omit({ plan: true, steps: true });

/** Memo fields by key. */
export type MemoFields = Readonly<Record<string, unknown>>;

/** All fields of an operation. */
export function memoOf({ steps, ...members }: Operation): MemoFields {
  const begun = steps.filter(({ status }) => status !== 'pending');
  return {
    ...Object.fromEntries(Object.entries(members).filter(([, value]) => !isEmpty(value))),
    ...Object.fromEntries(begun.map((step) => [`${STEP}${step.id}`, statusOf(step)])),
  };
}

/** The fields to write so that a memo of one view becomes that of another; null removes a field. */
export function memoChanges(before: MemoFields, after: MemoFields): MemoFields {
  const written = Object.entries(after).filter(([key, value]) => canonicalJson(before[key]) !== canonicalJson(value));
  const removed = Object.keys(before).filter((key) => !(key in after));
  return { ...Object.fromEntries(written), ...Object.fromEntries(removed.map((key) => [key, null])) };
}

/** The operation that a memo tells of. @throws ZodError when it is not the memo of one */
export function operationInMemo(memo: MemoFields = {}): Operation {
  const absent = Object.entries(Members.shape).map(([key, member]) => [key, member instanceof z.ZodArray ? [] : null]);
  const members = Members.parse({ ...Object.fromEntries(absent), ...memo });
  const plan = Plan.nullable().parse(memo[MemoKey.Plan] ?? null);
  const begun = Object.entries(memo).filter(([key]) => key.startsWith(STEP));
  const statuses = begun.map(([key, status]) => ({ ...StoredStatus.parse(status), id: key.slice(STEP.length) }));
  return { ...members, plan, steps: stepStates(plan, statuses) };
}

function isEmpty(value: unknown): boolean {
  return value === null || (Array.isArray(value) && value.length === 0);
}

/** What is kept of a step: the rest is in the plan. */
function statusOf({ status, startedAt, endedAt, attempt, result }: StepState): Omit<StepStatus, 'id'> {
  return { status, startedAt, endedAt, attempt, result };
}
