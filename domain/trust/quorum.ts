/**
 * Whether enough people approved what a step is about to do: the rule of the gate once more, for those who carry out the step and for
 * those who check the evidence. Signatures were verified before; here only who, what, how many and when.
 */
import { opensGate, type Approval } from '../approval';
import type { Fault } from '../errors';
import { approverFault, sameActor, type Actor } from '../people';
import type { Plan } from '../plan/plan';
import type { StepId, StepOf } from '../plan/steps';
import { secondsBetween } from '../times';

/** What approvals are held against. */
export interface QuorumRules {
  readonly requestedBy: Actor;
  /** The fewest approvals of any gate, whatever plan and policy say. */
  readonly minimumApprovals: number;
  /** An approval that is older does not count any more; absent: whatever its age. */
  readonly maxAgeInSeconds?: number;
  /** ISO 8601: what ages are counted to. */
  readonly now: string;
}

/** The gates that must have been passed before a step of a plan. */
export function gatesBefore({ steps }: Plan, step: StepId): StepOf<'gate'>[] {
  const end = steps.findIndex(({ id }) => id === step);
  return steps.slice(0, Math.max(end, 0)).filter((one): one is StepOf<'gate'> => one.type === 'gate');
}

/** Approvals that count for a gate of a plan: one for each person, of exactly this plan, by people who may. */
export function approvalsOf(
  { digest }: Pick<Plan, 'digest'>,
  gate: StepId,
  approvals: readonly Approval[],
  { requestedBy, maxAgeInSeconds, now }: QuorumRules,
): Approval[] {
  const counted: Approval[] = [];
  for (const approval of approvals) {
    const { by, roles, planDigest, at, breakGlass } = approval;
    if (planDigest !== digest || approval.gate !== gate) continue;
    const requester = { is: requestedBy, instead: 'approve it' };
    if (approverFault(by, roles, { requester, breakGlass: breakGlass !== undefined }) !== undefined) continue;
    // What is no time is not young enough.
    if (maxAgeInSeconds !== undefined && !(secondsBetween(at, now) <= maxAgeInSeconds)) continue;
    const before = counted.findIndex((other) => sameActor(other.by, by));
    // One who breaks the glass after an ordinary approval has broken it.
    if (before < 0) counted.push(approval);
    else if (breakGlass !== undefined) counted[before] = approval;
  }
  return counted;
}

/** Why a step may not be carried out; undefined when every gate before it was passed. */
export function quorumFault(
  plan: Plan,
  step: StepId,
  approvals: readonly Approval[],
  rules: QuorumRules,
): Fault | undefined {
  const gates = gatesBefore(plan, step);
  if (gates.length === 0) {
    return { code: 'NotApproved', detail: `The plan has no gate before its step ${step}. Nothing was sent.` };
  }
  for (const gate of gates) {
    const needed = Math.max(gate.approvals, rules.minimumApprovals);
    const counted = approvalsOf(plan, gate.id, approvals, rules);
    if (opensGate(counted, needed)) continue;
    return {
      code: 'NotApproved',
      detail:
        `The gate ${gate.id} has ${counted.length} of ${needed} approvals that are signed and still count, so the step ${step} sent nothing. ` +
        'Keep every key listed under keysNeeded. Find out who wrote to the workflow in Temporal, or why the approvals are so old; then cancel the operation and ask for a new one.',
    };
  }
  return undefined;
}
