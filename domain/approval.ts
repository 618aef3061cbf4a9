/** The approval policy: four eyes on exactly one plan. Checked in the API, in the update's validator, and in its handler. */
import { z } from 'zod';
import type { Fault } from './errors';
import { Actor, approverFault, sameActor } from './people';
import { Signed } from './trust/statements';

/** One person passes a gate alone, in an emergency: why, in the person's words. */
export const BreakGlass = z.object({ reason: z.string().trim().min(1).max(500) });

/** A person's decision on a plan, as the API passes it on after it verified the person's token. */
export const Decision = z.object({
  by: Actor,
  roles: z.array(z.string().max(200)).max(100),
  /** The digest of the plan that the person saw. */
  planDigest: z.string().max(200),
  /** The gate that it is for, by step id. A repeated message must not open the next gate. */
  gate: z.string().max(100),
  /** Why, in the person's words. */
  comment: z.string().max(500).optional(),
  /** The person passes the gate alone. */
  breakGlass: BreakGlass.optional(),
  ...Signed.shape,
});
/** A person's decision on a plan. */
export type Decision = z.infer<typeof Decision>;

/** An approval that counts: the decision as the API signed it. */
export const Approval = Decision.extend({
  /** Until when it counts, by the policy; without end when it is absent. */
  validUntil: z.string().optional(),
});
/** An approval that counts. */
export type Approval = z.infer<typeof Approval>;

/** What of a decision is checked before it is signed. */
export type UnsignedDecision = Omit<Decision, keyof Signed>;

/** The gate that every plan begins with. */
export const START_GATE = 'approve';

/** The state that a decision is checked against. */
export interface GateState {
  readonly requestedBy: Actor;
  /** The digest of the current plan; null while there is none, or while it does not wait for approval. */
  readonly planDigest: string | null;
  /** Whether the operation waits for approval now. */
  readonly open: boolean;
  /** The gate that is open, by step id; null when none is. */
  readonly gate: string | null;
  readonly approvals: readonly Approval[];
  /** Now, ISO 8601. */
  readonly at: string;
}

/** Why a decision does not count; undefined when it does. A second approval by one person is no fault, and adds nothing. */
export function decisionFault(
  decision: UnsignedDecision,
  gate: GateState,
  verb: 'approve' | 'deny',
): Fault | undefined {
  const requester = { is: gate.requestedBy, instead: 'approve it' };
  const breakGlass = decision.breakGlass !== undefined;
  const unfit = approverFault(decision.by, decision.roles, verb === 'approve' ? { requester, breakGlass } : {});
  if (unfit) return unfit;
  const asked = decision.gate;
  const again = verb === 'approve' && approvedBy(decision, gate.approvals, gate.at);
  if (again) return undefined;
  if (!gate.open || gate.planDigest === null) {
    return { code: 'NotAwaitingApproval', detail: 'The operation does not wait for approval now.' };
  }
  if (verb === 'approve' && asked !== gate.gate) {
    return {
      code: 'NotAwaitingApproval',
      detail: `The operation waits for approval of the gate ${gate.gate}, not of ${asked}. Name it in \`gate\`.`,
    };
  }
  if (decision.planDigest !== gate.planDigest) {
    return {
      code: 'PlanDigestMismatch',
      detail: `The current plan has the digest ${gate.planDigest}, not ${decision.planDigest}. Read the operation again, then decide.`,
    };
  }
  return undefined;
}

/**
 * Whether the person has approved the same plan at the same gate already, with any account. An approval that counts no more is none,
 * and an ordinary approval is none for one who breaks the glass.
 */
export function approvedBy(
  { by, planDigest, gate, breakGlass }: Pick<Decision, 'by' | 'planDigest' | 'gate' | 'breakGlass'>,
  approvals: readonly Approval[],
  at: string,
): boolean {
  return standing(approvals, { gate, at }).some(
    (approval) =>
      approval.planDigest === planDigest &&
      sameActor(approval.by, by) &&
      (breakGlass === undefined || approval.breakGlass !== undefined),
  );
}

/** The approvals of a gate that count at a time. */
export function standing(
  approvals: readonly Approval[],
  { gate, at }: { readonly gate: string; readonly at: string },
): Approval[] {
  return approvals.filter(({ gate: id, validUntil }) => id === gate && (validUntil === undefined || at < validUntil));
}

/** Whether approvals of one gate open it: so many people, or one who broke the glass. One person counts once, whatever the account. */
export function opensGate(approvals: readonly Approval[], required: number): boolean {
  if (approvals.some(({ breakGlass }) => breakGlass !== undefined)) return true;
  const people = approvals.filter(
    ({ by }, index) => approvals.findIndex((approval) => sameActor(approval.by, by)) === index,
  );
  return people.length >= required;
}
