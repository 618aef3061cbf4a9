/** Chooses the planner of a kind. */
import { assertNever } from './assert-never';
import { planRotateKey, type PlanPolicy } from './kinds/rotate-key';
import type { Observation } from './observed';
import type { PlanResult } from './plan';
import { OperationKind, type OperationRequest } from './request';

/** `plan(request, observed)`: pure, so that the same facts always give the same plan and digest. */
export function plan(request: OperationRequest, observation: Observation, policy: PlanPolicy): PlanResult {
  switch (request.kind) {
    case OperationKind.RotateKey:
      return planRotateKey(request, observation, policy);
    default:
      return assertNever(request.kind);
  }
}
