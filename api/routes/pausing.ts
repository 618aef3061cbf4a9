/**
 * POST /v1/operations/{id}:pause and :resume: an operator or approver has a running operation stand still, and go on.
 *
 * The routes refuse, from the operation's view, what the workflow would refuse. The workflow checks the same again.
 */
import { z } from 'zod';
import { pauseFault, resumeFault } from '../../domain/pause';
import { Role, sameActor } from '../../domain/people';
import { personsText } from '../../domain/plain-text';
import type { ApiDeps } from '../deps';
import { ApiError } from '../problem';
import { route, type Route } from '../route';
import { messageId, STEERING_CODES, steerableOperation, tellOperation } from './ended';
import { OperationIdParams } from './get-operation';
import { OPERATION_NOW, operationNow } from './operation-answer';

/** `:pause`. */
export function pauseOperation(deps: ApiDeps): Route {
  return route({
    method: 'post',
    path: '/v1/operations/{id}:pause',
    operationId: 'pauseOperation',
    summary: 'Pause a running operation at the next safe point',
    description:
      'The operation pauses between two steps, or within a rewrite or a proof; never while Azure makes a change, nor between the stop and the start of the cluster. `status` is `Paused` from then on. It keeps the lock of the cluster, and every key listed under `keysNeeded` is needed until it has ended. A rewrite goes on where it was.',
    roles: [Role.Operator, Role.Approver],
    params: OperationIdParams,
    body: z
      .strictObject({ reason: personsText(500, { description: 'Why, for the others and the auditor.' }).optional() })
      .meta({ id: 'PauseRequest' }),
    answers: OPERATION_NOW,
    codes: [...STEERING_CODES, 'NotPausable', 'TooManyMessages'],
    handle: async ({ request, caller, params: { id }, body: { reason } }) => {
      const before = await steerableOperation(deps, caller, id);
      const { tenantId, objectId } = caller.person;
      // Sent again, it is the same pause until somebody ended that one.
      const again = before.paused !== null && sameActor(before.paused.by, caller.person);
      const fault = again ? undefined : pauseFault(before);
      if (fault) throw new ApiError(fault);
      if (again) return operationNow(before, request, deps);
      const operation = await tellOperation(deps, id, {
        type: 'pause',
        by: caller.person,
        ...(reason === undefined ? {} : { reason }),
        id: messageId('pause', tenantId, objectId, before.resumed?.at ?? 'first'),
      });
      return operationNow(operation, request, deps);
    },
  });
}

/** `:resume`. */
export function resumeOperation(deps: ApiDeps): Route {
  return route({
    method: 'post',
    path: '/v1/operations/{id}:resume',
    operationId: 'resumeOperation',
    summary: 'End the pause of an operation',
    description: 'The operation goes on with the step that it was at. A pause that has not begun yet is taken back.',
    roles: [Role.Operator, Role.Approver],
    params: OperationIdParams,
    body: z.strictObject({}).meta({ id: 'ResumeRequest' }),
    answers: OPERATION_NOW,
    codes: [...STEERING_CODES, 'NotPaused', 'TooManyMessages'],
    handle: async ({ request, caller, params: { id } }) => {
      const before = await steerableOperation(deps, caller, id);
      const fault = resumeFault(before);
      if (fault) throw new ApiError(fault);
      const { tenantId, objectId } = caller.person;
      const operation = await tellOperation(deps, id, {
        type: 'resume',
        by: caller.person,
        id: messageId('resume', tenantId, objectId, before.paused?.at ?? ''),
      });
      return operationNow(operation, request, deps);
    },
  });
}
