/**
 * POST /v1/operations/{id}:approve and :deny: a person decides on exactly one plan.
 *
 * This route refuses, from the operation's view, what the workflow would refuse, so that a person gets the reason even while
 * no worker runs. The workflow checks the same again before it counts the decision.
 */
import { z } from 'zod';
import {
  approvedBy,
  Decision,
  decisionFault,
  START_GATE,
  type GateState,
  type UnsignedDecision,
} from '../../domain/approval';
import { canonicalJson, sha256Hex } from '../../domain/canonical';
import { OperationStatus, type Operation } from '../../domain/operation';
import { digestOfPlan } from '../../domain/plan/plan';
import { Role, sameActor } from '../../domain/people';
import { personsText } from '../../domain/plain-text';
import { ownRoles, requireDecider } from '../caller';
import type { ApiDeps } from '../deps';
import { known, requireRight, requireRightOnChanges } from '../policy/authorize';
import { ApiError } from '../problem';
import { route, type Route } from '../route';
import { endedFault } from './ended';
import { findOperation, OperationIdParams, readableOperation } from './get-operation';
import { OPERATION_NOW, operationNow } from './operation-answer';

const DecisionBody = z
  .strictObject({
    planDigest: z.string().min(1).max(100).meta({
      description: '`plan.digest` of the operation as the person read it. The decision counts for that plan only.',
      example: 'sha256:4f0c…',
    }),
    gate: Decision.shape.gate.optional().meta({
      description: 'The gate to approve, by step id: the gate that `waitingFor` names. Default: the start gate.',
      example: 'approve-plaintext',
    }),
    comment: personsText(500, { description: 'Why, for the auditor.' }, { least: 0 }).optional(),
  })
  .meta({ id: 'Decision' });

const ApprovalBody = DecisionBody.extend({
  breakGlass: z
    .object({ reason: personsText(500, { description: 'Why, for the auditor.' }) })
    .optional()
    .meta({
      description:
        'Emergency: passes the gate alone, also as the requester. Needs the role Kms.BreakGlass and the right `break-glass`. It is shown in the operation, logged as an error, and recorded in the evidence.',
    }),
}).meta({ id: 'Approval' });

/** `:approve`. */
export function approveOperation(deps: ApiDeps): Route {
  return decisionRoute(deps, 'approve');
}

/** `:deny`. */
export function denyOperation(deps: ApiDeps): Route {
  return decisionRoute(deps, 'deny');
}

function decisionRoute(deps: ApiDeps, verb: 'approve' | 'deny'): Route {
  const { gateway, clock, signer } = deps;
  return route({
    method: 'post',
    path: `/v1/operations/{id}:${verb}`,
    operationId: `${verb}Operation`,
    summary: verb === 'approve' ? 'Approve the plan of an operation' : 'Deny the plan of an operation',
    description:
      verb === 'approve'
        ? 'The requester cannot approve their own request, and a program cannot approve. A second approval by the same person changes nothing. In an emergency a person with the role Kms.BreakGlass may pass the gate alone, with `breakGlass`.'
        : 'The operation ends Canceled. Nothing was changed. The requester may deny it, too.',
    roles: verb === 'approve' ? [Role.Approver, Role.BreakGlass] : [Role.Approver],
    params: OperationIdParams,
    body: verb === 'approve' ? ApprovalBody : DecisionBody,
    answers: OPERATION_NOW,
    codes: [
      'OperationNotFound',
      'RoleMissing',
      'RightMissing',
      'ProgramCannotApprove',
      'ClientCannotApprove',
      'PlanDigestMismatch',
      'NotAwaitingApproval',
      'NotSigned',
      'OperationEnded',
      'ApprovalExpired',
      'TooManyMessages',
      'TemporalUnavailable',
      'WorkerUnavailable',
      ...(verb === 'approve' ? (['RequesterCannotApprove', 'ClusterBusy'] as const) : []),
    ],
    handle: async ({ request, caller, params: { id }, body }) => {
      const asked: UnsignedDecision = {
        by: caller.person,
        roles: ownRoles(caller),
        ...body,
        gate: body.gate ?? START_GATE,
      };
      const breakGlass = asked.breakGlass !== undefined;
      requireDecider(caller, { breakGlass });
      const operation = await readableOperation(deps, caller, id);
      requireRight(deps, caller, [breakGlass ? 'break-glass' : 'approve'], operation);
      refuseWhatDoesNotCount(asked, operation);
      if (verb === 'approve') {
        refuseOtherPlan(operation);
        requireRightOnChanges(deps, caller, breakGlass ? 'break-glass' : 'approve', operation);
      }
      const { approvals, at } = gateOf(operation);
      const counted = verb === 'approve' && approvedBy(asked, approvals, at);
      if (!counted) {
        if (verb === 'approve') await refuseWhenBusy(operation);
        if (breakGlass) logBreakGlass(asked, operation);
        const decision = signer.signDecision(id, verb, asked, asked.comment);
        const told = await gateway.tell(id, { type: verb, decision, id: messageId(verb, decision, operation) });
        if (told === 'ended') refuseWhatDoesNotCount(asked, await findOperation(gateway, id));
      }
      const now = await findOperation(gateway, id);
      return operationNow(now, request, deps);
    },
  });

  /**
   * An approval is signed for a digest, so the rights are checked on the plan that has it: what Temporal shows may have been written past
   * the API.
   */
  function refuseOtherPlan({ plan }: Operation): void {
    if (plan === null || digestOfPlan(plan) === plan.digest) return;
    throw new ApiError({
      code: 'PlanDigestMismatch',
      detail:
        'The digest that Temporal shows is not that of the plan that it shows, so nothing was recorded. Find out who changed the workflow in Temporal, cancel the operation, and ask for a new one.',
    });
  }

  function refuseWhatDoesNotCount(decision: UnsignedDecision, operation: Operation): void {
    const fault = decisionFault(decision, gateOf(operation), verb);
    if (fault === undefined) return;
    // "Does not wait for approval" is true of an operation that has ended, and says too little.
    if (fault.code === 'NotAwaitingApproval') throw new ApiError(endedFault(operation, clock()) ?? fault);
    throw new ApiError(fault);
  }

  /** Before it is sent: what is under way when the process dies is in the log. */
  function logBreakGlass({ by, breakGlass }: UnsignedDecision, { id, request }: Operation): void {
    const { kind, cluster } = request;
    deps.logger.error(
      { operationId: id, kind, cluster, by: by.objectId, name: by.name, reason: breakGlass?.reason },
      'BREAK-GLASS: one person passes a gate alone',
    );
  }

  function gateOf(operation: Operation): GateState {
    const policy = deps.access?.current();
    const waits = operation.status === OperationStatus.AwaitingApproval;
    return {
      requestedBy: known(policy, operation.requestedBy),
      planDigest: operation.plan?.digest ?? null,
      open: waits && endedFault(operation, clock()) === undefined,
      gate: openGate(operation),
      approvals: operation.approvals.map((approval) => ({ ...approval, by: known(policy, approval.by) })),
      at: clock().toISOString(),
    };
  }

  async function refuseWhenBusy({ id, request }: Operation): Promise<void> {
    if (request.whenBusy === 'wait') return;
    const holder = await gateway.holderOf(request.cluster);
    if (holder === undefined || holder === id) return;
    throw new ApiError({
      code: 'ClusterBusy',
      detail: `Operation ${holder} executes on this cluster, and this one was requested with "whenBusy": "refuse". The approval was not recorded. Approve again when ${holder} has ended.`,
    });
  }
}

/** The gate that waits for approval, by step id. */
function openGate({ plan, steps }: Operation): string | null {
  const running = steps.find(({ status }) => status === 'running');
  return plan?.steps.find(({ id, type }) => id === running?.id && type === 'gate')?.id ?? null;
}

/**
 * One person's decision on one plan is one message, however often it is sent. The id has the plan's revision, because a plan
 * may return with the same digest after another plan, and then needs a new approval. So does an approval that counts no more.
 */
function messageId(
  verb: 'approve' | 'deny',
  { by, planDigest, gate, breakGlass }: Decision,
  { planRevision, approvals }: Operation,
): string {
  const earlier = approvals.filter((approval) => approval.gate === gate && sameActor(approval.by, by)).length;
  const alone = breakGlass !== undefined;
  const parts = [verb, by.tenantId, by.objectId, planDigest, planRevision, gate, earlier, alone];
  return sha256Hex(canonicalJson(parts)).slice(0, 32);
}
