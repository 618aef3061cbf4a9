/** The approval policy: four eyes on exactly one plan. Checked in the API, in the update's validator, and in its handler. */
import { z } from 'zod';
import type { Fault } from './errors';
import { Actor, approverFault, sameActor } from './people';

/** A person's decision on a plan, as the API passes it on after it verified the person's token. */
export const Decision = z.object({
  by: Actor,
  roles: z.array(z.string().max(200)).max(100),
  /** The digest of the plan that the person saw. */
  planDigest: z.string().max(200),
  /** The gate that it is for, by step id; the start gate when it names none. A repeated message must not open the next gate. */
  gate: z.string().max(100).optional(),
  /** Why, in the person's words. */
  comment: z.string().max(500).optional(),
});
/** A person's decision on a plan. */
export type Decision = z.infer<typeof Decision>;

/** An approval that counts. */
export const Approval = z.object({
  by: Actor,
  at: z.string(),
  planDigest: z.string(),
  /** The gate that it is for, by step id. */
  gate: z.string(),
  comment: z.string().optional(),
});

/** The gate that every plan begins with. */
export const START_GATE = 'approve';
/** An approval that counts. */
export type Approval = z.infer<typeof Approval>;

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
}

/** Why a decision does not count; undefined when it does. A second approval by one person is no fault, and adds nothing. */
export function decisionFault(decision: Decision, gate: GateState, verb: 'approve' | 'deny'): Fault | undefined {
  const requester = { is: gate.requestedBy, instead: 'approve it' };
  const unfit = approverFault(decision.by, decision.roles, verb === 'approve' ? { requester } : {});
  if (unfit) return unfit;
  const asked = decision.gate ?? START_GATE;
  const again = verb === 'approve' && approvedBy(decision, gate.approvals);
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

/** Whether the person has approved the same plan at the same gate already. */
export function approvedBy(
  { by, planDigest, gate = START_GATE }: Pick<Decision, 'by' | 'planDigest' | 'gate'>,
  approvals: readonly Approval[],
): boolean {
  return approvals.some(
    (approval) => approval.planDigest === planDigest && approval.gate === gate && sameActor(approval.by, by),
  );
}
