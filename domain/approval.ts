/** The approval policy: four eyes on exactly one plan. Checked in the API, in the update's validator, and in its handler. */
import { z } from 'zod';
import type { Fault } from './errors';
import { Person, Role, samePerson } from './people';

/** A person's decision on a plan, as the API passes it on after it verified the person's token. */
export const Decision = z.object({
  by: Person,
  roles: z.array(z.string()),
  /** The digest of the plan that the person saw. */
  planDigest: z.string(),
  /** Why, in the person's words. */
  comment: z.string().max(500).optional(),
});
/** A person's decision on a plan. */
export type Decision = z.infer<typeof Decision>;

/** An approval that counts. */
export const Approval = z.object({
  by: Person,
  at: z.string(),
  planDigest: z.string(),
  comment: z.string().optional(),
});
/** An approval that counts. */
export type Approval = z.infer<typeof Approval>;

/** What a decision is judged against. */
export interface GateState {
  readonly requestedBy: Person;
  /** The digest of the plan that stands; null while there is none or nobody is asked. */
  readonly planDigest: string | null;
  /** Whether the operation waits for approval now. */
  readonly open: boolean;
  readonly approvals: readonly Approval[];
}

/** Why a decision does not count; undefined when it does. A second approval by one person counts as no fault, and as nothing. */
export function decisionFault(decision: Decision, gate: GateState, verb: 'approve' | 'deny'): Fault | undefined {
  if (decision.by.type === 'app') {
    return {
      code: 'ProgramCannotApprove',
      detail: `${decision.by.name} is a program. Sign in as a person who holds ${Role.Approver}.`,
    };
  }
  if (!decision.roles.includes(Role.Approver)) {
    return { code: 'RoleMissing', detail: `${decision.by.name} does not hold the role ${Role.Approver}.` };
  }
  if (verb === 'approve' && samePerson(decision.by, gate.requestedBy)) {
    return {
      code: 'RequesterCannotApprove',
      detail: `${decision.by.name} asked for this operation; somebody else must approve it.`,
    };
  }
  const again = verb === 'approve' && approvedBy(decision.by, gate.approvals, decision.planDigest);
  if (again) return undefined;
  if (!gate.open || gate.planDigest === null) {
    return { code: 'NotAwaitingApproval', detail: 'The operation does not wait for approval now.' };
  }
  if (decision.planDigest !== gate.planDigest) {
    return {
      code: 'PlanDigestMismatch',
      detail: `The plan that stands has the digest ${gate.planDigest}, not ${decision.planDigest}. Read it again, then decide.`,
    };
  }
  return undefined;
}

/** Whether a person has approved a plan already. */
export function approvedBy(person: Person, approvals: readonly Approval[], planDigest: string): boolean {
  return approvals.some((approval) => approval.planDigest === planDigest && samePerson(approval.by, person));
}
