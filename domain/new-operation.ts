/** An operation at the moment it was asked for. */
import { OperationStatus, type Operation } from './operation';
import type { Actor } from './people';
import type { OperationRequest } from './request';

/** The first view of an operation, before anything was looked at. */
export function newOperation(asked: {
  readonly id: string;
  readonly request: OperationRequest;
  readonly requestedBy: Actor;
  readonly requestedAt: string;
}): Operation {
  return {
    id: asked.id,
    kind: asked.request.kind,
    status: OperationStatus.Planning,
    reason: null,
    faults: [],
    request: asked.request,
    requestedBy: asked.requestedBy,
    requestedAt: asked.requestedAt,
    endedAt: null,
    plan: null,
    planRevision: 0,
    approvals: [],
    denial: null,
    cancellation: null,
    approvalDeadline: null,
    steps: [],
    progress: null,
    waitingFor: 'a worker to observe the cluster and plan.',
    keysNeeded: [],
    offers: ['cancel'],
    blockedSecrets: null,
    acceptance: null,
    paused: null,
    resumed: null,
    result: null,
    evidence: null,
  };
}
