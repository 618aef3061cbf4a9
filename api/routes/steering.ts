/** POST /v1/operations/{id}:cancel and :retry: an operator or approver steers a running operation. */
import { z } from 'zod';
import { OperationStatus } from '../../domain/operation';
import { Role } from '../../domain/people';
import { personsText } from '../../domain/plain-text';
import type { ApiDeps } from '../deps';
import { ApiError } from '../problem';
import { route, type Route } from '../route';
import { blockOf, messageId, STEERING_CODES, steerableOperation, tellOperation } from './ended';
import { OperationIdParams } from './get-operation';
import { OPERATION_NOW, operationNow } from './operation-answer';

/** `:cancel`. */
export function cancelOperation(deps: ApiDeps): Route {
  return route({
    method: 'post',
    path: '/v1/operations/{id}:cancel',
    operationId: 'cancelOperation',
    summary: 'Stop an operation at the next safe point',
    description: 'The ended operation then says in which state it left the cluster, and which keys are still needed.',
    roles: [Role.Operator, Role.Approver],
    params: OperationIdParams,
    body: z
      .strictObject({ comment: personsText(500, { description: 'Why, for the auditor.' }, { least: 0 }).optional() })
      .meta({ id: 'Cancellation' }),
    answers: OPERATION_NOW,
    codes: [...STEERING_CODES, 'NotSigned'],
    handle: async ({ request, caller, params: { id }, body }) => {
      await steerableOperation(deps, caller, id);
      const operation = await tellOperation(deps, id, {
        type: 'cancel',
        cancellation: deps.signer.signDecision(id, 'cancel', { by: caller.person, ...body }, body.comment),
        id: messageId('cancel', caller.person.tenantId, caller.person.objectId),
      });
      return operationNow(operation, request, deps);
    },
  });
}

/** `:retry`. */
export function retryOperation(deps: ApiDeps): Route {
  return route({
    method: 'post',
    path: '/v1/operations/{id}:retry',
    operationId: 'retryOperation',
    summary: 'Try a blocked step again',
    description: 'Fix the cause that the operation names in `reason`, then retry.',
    roles: [Role.Operator, Role.Approver],
    params: OperationIdParams,
    body: z.strictObject({}).meta({ id: 'Retry' }),
    answers: OPERATION_NOW,
    codes: [...STEERING_CODES, 'NotBlocked', 'TooManyMessages'],
    handle: async ({ request, caller, params: { id } }) => {
      const before = await steerableOperation(deps, caller, id);
      if (before.status !== OperationStatus.Blocked) {
        throw new ApiError({
          code: 'NotBlocked',
          detail: `Operation ${id} is ${before.status}; there is no blocked step to try again.`,
        });
      }
      const operation = await tellOperation(deps, id, {
        type: 'retry',
        by: caller.person,
        id: messageId('retry', caller.person.tenantId, caller.person.objectId, ...blockOf(before)),
      });
      return operationNow(operation, request, deps);
    },
  });
}
