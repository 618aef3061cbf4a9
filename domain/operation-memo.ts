/**
 * How an operation is stored in the memo of its workflow: a key for each member and for each step, so that one change writes
 * what it changed and no more. The memo is part of the history: written whole, it was a third of it.
 *
 * It has a limit, whatever was refused and whatever others wrote: Secrets are named in groups (domain/refused-names.ts), what follows
 * from something else is not stored, and when all is too much the longest texts are cut. The evidence has them whole.
 *
 * A member that is null or an empty list, and a step that is pending, are not stored: Temporal removes a field that is set to
 * either (its `MergeMapOfPayload`).
 */
import { z } from 'zod';
import { Acceptance, BlockedSecrets } from './acceptance';
import { canonicalJson } from './canonical';
import type { Milestone } from './milestone';
import { Operation, stepStates, StepStatus, type StepState } from './operation';
import type { Plan } from './plan/plan';
import { planStored, storedPlan } from './plan/stored-plan';
import { grouped, namesIn, RefusedGroup, refusedIn } from './refused-names';
import { MOST_SCOPE_BYTES } from './scope';
import { milestonesStored, storedMilestones, type MilestoneView } from './stored-milestones';
import { cutText, jsonBytes, largest } from './text-budget';

/** The bytes of a memo as JSON, at most. */
export const MEMO_BYTES = 37_400;
/** For the fields that are not of the operation: fingerprint and seal, which has scopes. */
const RESERVED_BYTES = 800 + MOST_SCOPE_BYTES;
/** No text is cut to less. */
const SHORTEST_TEXT_IN_BYTES = 30;
/** Members with texts of people, of Azure and of API servers. A plan is stored whole: its digest is checked. */
const TEXTS: ReadonlySet<string> = new Set([
  'detail',
  'result',
  'waitingFor',
  'comment',
  'reason',
  'name',
  'weaknesses',
]);

/** Memo keys beside those of the operation's members. */
export const MemoKey = {
  /** The API's signature of the request: `RequestSeal`. */
  Seal: 'seal',
  /** `digestOf` the request as parsed; tells a repeated POST from another body under the same Idempotency-Key. */
  Fingerprint: 'fingerprint',
  /** The plan, written once for each revision. */
  Plan: 'plan',
  /** On the workflow that is a cluster's lock: the operation id of its holder. */
  Holder: 'holder',
} as const;

/** Before the id of a step. */
const STEP = 'step:';
/** Before the number of a field with milestones. */
const MILESTONES = 'milestones:';
const StoredStatus = StepStatus.omit({ id: true });
const Members = Operation.omit({ plan: true, steps: true, milestones: true });
const Groups = z.array(RefusedGroup);
/** Lists of Secrets as they are stored. */
const StoredLists = z.object({
  blockedSecrets: BlockedSecrets.omit({ secrets: true }).extend({ groups: Groups }).nullish(),
  acceptance: Acceptance.omit({ secrets: true }).extend({ groups: Groups }).nullish(),
});

/** What lists show of an operation: not the plan and the steps, which are most of a memo. */
const Listed = Operation.pick({
  id: true,
  kind: true,
  status: true,
  faults: true,
  request: true,
  requestedBy: true,
  requestedAt: true,
  endedAt: true,
  waitingFor: true,
  approvalDeadline: true,
  offers: true,
});
/** An operation as lists show it. */
export type ListedOperation = z.infer<typeof Listed> & Pick<Operation, 'reason'>;
/** The memo fields that a list reads. */
export const LISTED_FIELDS: readonly string[] = Object.keys(Listed.shape);

/** Memo fields by key. */
export type MemoFields = Readonly<Record<string, unknown>>;

/** All fields of an operation. */
export function memoOf(operation: Operation): MemoFields {
  const { steps, reason: _first, plan, approvals, blockedSecrets, acceptance, milestones, ...members } = operation;
  const begun = steps.filter(({ status }) => status !== 'pending');
  const all = {
    ...members,
    [MemoKey.Plan]: plan && storedPlan(plan),
    approvals: approvals.map(({ planDigest, ...rest }) =>
      planDigest === plan?.digest ? rest : { planDigest, ...rest },
    ),
    blockedSecrets: inGroups(blockedSecrets),
    acceptance: inGroups(acceptance),
  };
  return fitting({
    ...Object.fromEntries(Object.entries(all).filter(([, value]) => !isEmpty(value))),
    ...Object.fromEntries(begun.map((step) => [`${STEP}${step.id}`, statusOf(step)])),
    ...Object.fromEntries(
      storedMilestones(milestones ?? [], operation).map((words, index) => [`${MILESTONES}${index}`, words]),
    ),
  });
}

/** The fields to write so that a memo of one view becomes that of another; null removes a field. */
export function memoChanges(before: MemoFields, after: MemoFields): MemoFields {
  const written = Object.entries(after).filter(([key, value]) => canonicalJson(before[key]) !== canonicalJson(value));
  const removed = Object.keys(before).filter((key) => !(key in after));
  return { ...Object.fromEntries(written), ...Object.fromEntries(removed.map((key) => [key, null])) };
}

/** The plan that a memo tells of; null when there is none. @throws ZodError when it is not one */
export function planInMemo(memo: MemoFields = {}): Plan | null {
  const stored = memo[MemoKey.Plan] ?? null;
  return stored === null ? null : planStored(stored);
}

/** The operation that a memo tells of. @throws ZodError when it is not the memo of one */
export function operationInMemo(memo: MemoFields = {}): Operation {
  const plan = planInMemo(memo);
  const stored = { ...memo, ...listsIn(memo), approvals: approvalsIn(memo, plan) };
  const members = Members.parse({ ...absentIn(Members), ...stored });
  const begun = Object.entries(memo).filter(([key]) => key.startsWith(STEP));
  const statuses = begun.map(([key, status]) => ({ ...StoredStatus.parse(status), id: key.slice(STEP.length) }));
  const steps = stepStates(plan, statuses);
  const milestones = milestonesIn(memo, { ...members, steps });
  return {
    ...members,
    reason: members.faults[0] ?? null,
    plan,
    steps,
    ...(milestones.length === 0 ? {} : { milestones }),
  };
}

/** What a list shows of the operation that a memo tells of. @throws ZodError when it is not the memo of one */
export function listedInMemo(memo: MemoFields = {}): ListedOperation {
  const listed = Listed.parse({ ...absentIn(Listed), ...memo });
  return { ...listed, reason: listed.faults[0] ?? null };
}

/** Members that are not stored: null, or an empty list. */
function absentIn({ shape }: z.ZodObject): MemoFields {
  return Object.fromEntries(
    Object.entries(shape).map(([key, member]) => [key, member instanceof z.ZodArray ? [] : null]),
  );
}

function milestonesIn(memo: MemoFields, view: MilestoneView): Milestone[] {
  const fields = Object.keys(memo).filter((key) => key.startsWith(MILESTONES)).length;
  const words = Array.from({ length: fields }, (_, index) => memo[`${MILESTONES}${index}`]);
  return milestonesStored(z.array(z.string()).parse(words), view);
}

function inGroups<T extends { readonly secrets: Parameters<typeof grouped>[0] }>(list: T | null): object | null {
  if (list === null) return null;
  const { secrets, ...rest } = list;
  return { ...rest, groups: grouped(secrets) };
}

/** Approvals are of the plan that stands: it is taken without any. */
function approvalsIn({ approvals }: MemoFields, plan: Plan | null): object[] {
  return z
    .array(z.looseObject({}))
    .parse(approvals ?? [])
    .map((approval) => ({ planDigest: plan?.digest, ...approval }));
}

function listsIn(memo: MemoFields): Pick<Operation, 'blockedSecrets' | 'acceptance'> {
  const { blockedSecrets, acceptance } = StoredLists.parse(memo);
  return {
    blockedSecrets: blockedSecrets ? { ...blockedSecrets, secrets: refusedIn(blockedSecrets.groups) } : null,
    acceptance: acceptance ? { ...acceptance, secrets: namesIn(acceptance.groups) } : null,
  };
}

/** The fields, with the longest texts cut when all together are too much. */
function fitting(fields: MemoFields): MemoFields {
  const limit = MEMO_BYTES - RESERVED_BYTES;
  const { [MemoKey.Plan]: plan, ...rest } = fields;
  const cutTo = (bytes: number): MemoFields => ({
    ...(withTextsCut(rest, bytes) as MemoFields),
    ...(plan === undefined ? {} : { [MemoKey.Plan]: plan }),
  });
  if (jsonBytes(fields) <= limit) return fields;
  return cutTo(largest(SHORTEST_TEXT_IN_BYTES, limit, (bytes) => jsonBytes(cutTo(bytes)) <= limit));
}

function withTextsCut(value: unknown, bytes: number, member = ''): unknown {
  if (typeof value === 'string') return TEXTS.has(member) ? cutText(value, bytes) : value;
  if (Array.isArray(value)) return value.map((one) => withTextsCut(one, bytes, member));
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, withTextsCut(one, bytes, key)]));
}

function isEmpty(value: unknown): boolean {
  return value === null || (Array.isArray(value) && value.length === 0);
}

/** What is kept of a step: the rest is in the plan. */
function statusOf({ status, startedAt, endedAt, attempt, result }: StepState): Omit<StepStatus, 'id'> {
  return { status, startedAt, endedAt, attempt, result };
}
