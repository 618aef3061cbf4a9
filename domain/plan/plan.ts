/** A plan: the typed steps of one operation, made by a pure function, identified by its digest. The plan is the program. */
import { z } from 'zod';
import { compareTexts, digestOf } from '../canonical';
import { EncryptionState } from '../encryption';
import type { Fault } from '../errors';
import { cutText, jsonBytes, largest } from '../text-budget';
import { PlanStep } from './steps';

/** Something that an approver should know and that does not stop the operation. */
export const Warning = z.object({
  code: z.string(),
  detail: z.string(),
  /**
   * It tells of one moment: counts, names, texts of others. It is shown, and is not under the digest: otherwise a busy cluster
   * would need one approval after another for the same plan.
   */
  volatile: z.boolean().optional(),
});
/** Something that an approver should know. */
export type Warning = z.infer<typeof Warning>;

/** What will be done. All of it but volatile warnings is under its digest: approved = executed (O3). */
export const Plan = z.object({
  /** What a worker must understand to run it. */
  format: z.literal('keyturn-plan/1'),
  kind: z.string(),
  cluster: z.string(),
  changeNumber: z.string(),
  /** One sentence: from which state to which. */
  summary: z.string(),
  /** The state that the cluster is in when the plan is made. */
  from: EncryptionState,
  /** The state that it leaves. */
  to: EncryptionState,
  /** Keys that must stay enabled, unexpired and undeleted before the first step, by the ledger. */
  keysNeeded: z.array(z.string()),
  steps: z.array(PlanStep),
  /** ARM ids of vaults, by name in lower case: of those that a step changes and names by a key only. Absent when there is none. */
  vaults: z.record(z.string(), z.string()).optional(),
  warnings: z.array(Warning),
  /** `sha256:…` of the canonical JSON of all the other members, without volatile warnings. */
  digest: z.string(),
});
/** What will be done. */
export type Plan = z.infer<typeof Plan>;

/** The bytes of all volatile warnings together: they tell texts of the cluster, and a plan is stored whole. */
const VOLATILE_BYTES = 2_400;
/** No warning is cut to less. */
const SHORTEST_WARNING_IN_BYTES = 80;

/** Gives a plan its digest, and its warnings one order. Where volatile warnings are too long together, the longest are cut. */
export function sealPlan(plan: Omit<Plan, 'digest' | 'format'>): Plan {
  const warnings = fitting(plan.warnings).sort(
    (a, b) => compareTexts(a.code, b.code) || compareTexts(a.detail, b.detail),
  );
  const sealed = { format: 'keyturn-plan/1' as const, ...plan, warnings };
  return { ...sealed, digest: digestOfPlan(sealed) };
}

/** Those under the digest stay as they are: the same state of the cluster must give the same digest. */
function fitting(warnings: readonly Warning[]): Warning[] {
  const cutTo = (bytes: number): Warning[] =>
    warnings.map((warning) =>
      warning.volatile === true ? { ...warning, detail: cutText(warning.detail, bytes) } : warning,
    );
  const bytes = largest(
    SHORTEST_WARNING_IN_BYTES,
    VOLATILE_BYTES,
    (each) => jsonBytes(cutTo(each).filter(({ volatile }) => volatile === true)) <= VOLATILE_BYTES,
  );
  return cutTo(bytes);
}

/** The digest of a plan: over all of it but the digest itself and volatile warnings. */
export function digestOfPlan(plan: Omit<Plan, 'digest'>): string {
  const { digest: _own, warnings, ...rest } = plan as Plan;
  return digestOf({ ...rest, warnings: warnings.filter(({ volatile }) => volatile !== true) });
}

/** A planner's answer: a plan, or every rule that is violated. */
export type PlanResult =
  { readonly plan: Plan; readonly faults: readonly [] } | { readonly plan: null; readonly faults: readonly Fault[] };

/** What the operator of Keyturn has decided for all operations. */
export interface PlanPolicy {
  /** Approvals that each gate needs, from different people, none of them the requester. At least 1. */
  readonly approvalsRequired: number;
  /** How long an approval counts; without end when it is absent. */
  readonly approvalValidForInSeconds?: number;
  /**
   * ARM scopes on which the requester may ask for the kind, `*` for everything: what the plan changes outside the cluster must lie in
   * them. Absent in requests that an earlier version signed: no limit.
   */
  readonly scopes?: readonly string[];
}
