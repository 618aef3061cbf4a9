/**
 * POST /v1/operations/{id}:approve and :deny: a person decides on exactly one plan.
 *
 * This route refuses, from the operation's view, what the workflow would refuse, so that a person gets the reason even while
 * no worker runs. The workflow checks the same again before it counts the decision.
 */
import { z } from 'zod';
import { approvedBy, Decision, decisionFault, START_GATE, type GateState } from '../../domain/approval';
import { canonicalJson, sha256Hex } from '../../domain/canonical';
import { OperationStatus, type Operation } from '../../domain/operation';
import { Role } from '../../domain/people';
import type { ApiDeps } from '../deps';
import { ApiError } from '../problem';
import { route, type Route } from '../route';
import { endedFault } from './ended';
import { findOperation, OperationIdParams } from './get-operation';
import { OPERATION_NOW, operationNow } from './operation-answer';

const DecisionBody = z
  .strictObject({
    planDigest: z.string().min(1).max(100).meta({
      description: '`plan.digest` of the operation as the person read it. The decision counts for that plan only.',
      example: 'sha256:4f0c…',
    }),
    gate: Decision.shape.gate.meta({
      description: 'The gate to approve, by step id: the gate that `waitingFor` names. Default: the start gate.',
      example: 'approve-plaintext',
    }),
    comment: Decision.shape.comment.meta({ description: 'Why, for the auditor.' }),
  })
  .meta({ id: 'Decision' });

/** `:approve`. */
export function approveOperation(deps: ApiDeps): Route {
  return decisionRoute(deps, 'approve');
}

/** `:deny`. */
export function denyOperation(deps: ApiDeps): Route {
  return decisionRoute(deps, 'deny');
}

function decisionRoute(deps: ApiDeps, verb: 'approve' | 'deny'): Route {
  const { gateway, clock } = deps;
  return route({
    method: 'post',
    path: `/v1/operations/{id}:${verb}`,
    operationId: `${verb}Operation`,
    summary: verb === 'approve' ? 'Approve the plan of an operation' : 'Deny the plan of an operation',
    description:
      verb === 'approve'
        ? 'The requester cannot approve their own request, and a program cannot approve. A second approval by the same person changes nothing.'
        : 'The operation ends Canceled. Nothing was changed. The requester may deny it, too.',
    roles: [Role.Approver],
    params: OperationIdParams,
    body: DecisionBody,
    answers: OPERATION_NOW,
    codes: [
      'OperationNotFound',
      'RoleMissing',
      'ProgramCannotApprove',
      'PlanDigestMismatch',
      'NotAwaitingApproval',
      'OperationEnded',
      'ApprovalExpired',
      'TooManyMessages',
      'TemporalUnavailable',
      'WorkerUnavailable',
      ...(verb === 'approve' ? (['RequesterCannotApprove', 'ClusterBusy'] as const) : []),
    ],
    handle: async ({ request, caller, params: { id }, body }) => {
      const decision: Decision = { by: caller.person, roles: [...caller.roles], ...body };
      const operation = await findOperation(gateway, id);
      refuseWhatDoesNotCount(decision, operation);
      const counted = verb === 'approve' && approvedBy(decision, operation.approvals);
      if (!counted) {
        if (verb === 'approve') await refuseWhenBusy(operation);
        const told = await gateway.tell(id, { type: verb, decision, id: messageId(decision, operation) });
        if (told === 'ended') refuseWhatDoesNotCount(decision, await findOperation(gateway, id));
      }
      const now = await findOperation(gateway, id);
      return operationNow(now, request, deps);
    },
  });

  function refuseWhatDoesNotCount(decision: Decision, operation: Operation): void {
    const fault = decisionFault(decision, gateOf(operation), verb);
    if (fault === undefined) return;
    // "Does not wait for approval" is true of an operation that has ended, and says too little.
    if (fault.code === 'NotAwaitingApproval') throw new ApiError(endedFault(operation, clock()) ?? fault);
    throw new ApiError(fault);
  }

  function gateOf(operation: Operation): GateState {
    const waits = operation.status === OperationStatus.AwaitingApproval;
    return {
      requestedBy: operation.requestedBy,
      planDigest: operation.plan?.digest ?? null,
      open: waits && endedFault(operation, clock()) === undefined,
      gate: openGate(operation),
      approvals: operation.approvals,
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
 * may return with the same digest after another plan, and then needs a new approval.
 */
function messageId({ by, planDigest, gate = START_GATE }: Decision, { planRevision }: Operation): string {
  return sha256Hex(canonicalJson([by.tenantId, by.objectId, planDigest, planRevision, gate])).slice(0, 32);
}
