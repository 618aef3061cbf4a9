/**
 * POST /v1/operations/{id}:accept: an approver accepts the Secrets that a blocked operation waits for as they are.
 *
 * This route refuses, from the operation's view, what the workflow would refuse. The workflow checks the same again.
 */
import { z } from 'zod';
import { acceptanceFault } from '../../domain/acceptance';
import { Role } from '../../domain/people';
import { personsText } from '../../domain/plain-text';
import { ownRoles, requireDecider } from '../caller';
import type { ApiDeps } from '../deps';
import { known, requireRight } from '../policy/authorize';
import { ApiError } from '../problem';
import { route, type Route } from '../route';
import { blockOf, messageId, refuseEnded, tellOperation } from './ended';
import { OperationIdParams, readableOperation } from './get-operation';
import { OPERATION_NOW, operationNow } from './operation-answer';

const AcceptanceBody = z
  .strictObject({
    digest: z.string().min(1).max(100).meta({
      description: '`blockedSecrets.digest` of the operation as the approver read it. Only that list is accepted.',
      example: 'sha256:4f0c…',
    }),
    reason: personsText(500, { description: 'Why, for the auditor.' }),
  })
  .meta({ id: 'Acceptance' });

/** `:accept`. */
export function acceptSecrets(deps: ApiDeps): Route {
  const { clock, signer } = deps;
  return route({
    method: 'post',
    path: '/v1/operations/{id}:accept',
    operationId: 'acceptSecrets',
    summary: 'Accept the Secrets that block an operation as they are',
    description:
      'The operation goes on and ends without them, and says so in its evidence. The generation is not called proven, so the next rotation proves first. Possible where `offers` has `accept`: never before a key leaves its slot. The requester cannot accept, and a program cannot accept.',
    roles: [Role.Approver],
    params: OperationIdParams,
    body: AcceptanceBody,
    answers: OPERATION_NOW,
    codes: [
      'OperationNotFound',
      'RoleMissing',
      'RightMissing',
      'ProgramCannotApprove',
      'ClientCannotApprove',
      'RequesterCannotApprove',
      'NothingToAccept',
      'BlockedListChanged',
      'NotSigned',
      'TooManyMessages',
      'OperationEnded',
      'ApprovalExpired',
      'TemporalUnavailable',
      'WorkerUnavailable',
    ],
    handle: async ({ request, caller, params: { id }, body }) => {
      requireDecider(caller);
      const asked = { by: caller.person, roles: ownRoles(caller), ...body };
      const before = await readableOperation(deps, caller, id);
      requireRight(deps, caller, ['approve'], before);
      refuseEnded(before, clock());
      const requestedBy = known(deps.access?.current(), before.requestedBy);
      const fault = acceptanceFault(asked, { requestedBy, blocked: before.blockedSecrets });
      if (fault) throw new ApiError(fault);
      const decision = signer.signDecision(id, 'accept', asked, asked.reason);
      const { tenantId, objectId } = caller.person;
      const message = messageId('accept', tenantId, objectId, decision.digest, ...blockOf(before));
      return operationNow(await tellOperation(deps, id, { type: 'accept', decision, id: message }), request, deps);
    },
  });
}
