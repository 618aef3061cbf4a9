/** GET /v1/operations/{id}: the current state of an operation. `Prefer: wait=N` waits for a change. */
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { isFinal, type Operation } from '../../domain/operation';
import { Role } from '../../domain/people';
import type { ApiDeps } from '../deps';
import { OPERATION_ID } from '../idempotency';
import type { OperationsGateway } from '../operations-gateway';
import { OperationView, pollHeaders, viewOf } from '../operation-view';
import { ApiError } from '../problem';
import { route, type HeaderReader, type Route } from '../route';

const LONGEST_WAIT_IN_SECONDS = 20;
const POLL_INTERVAL_IN_MS = 500;

/** The id of an operation in a path. A text that is not such an id is answered with "not found". */
export const OperationIdParams = z.object({
  id: z
    .string()
    .refine((id) => OPERATION_ID.test(id), {
      error: 'This is not the id of an operation: "op-" and 26 hexadecimal digits.',
      params: { code: 'OperationNotFound' },
    })
    .meta({ description: 'The id of the operation.', example: 'op-0f3b5c1d9e8a7b6c5d4e3f2a1b' }),
});

/** `Prefer: wait=N` (RFC 7240). A preference that is not understood is ignored, as the RFC asks. */
const preferWait: HeaderReader<{ readonly waitInSeconds: number }> = {
  documented: z.object({
    Prefer: z
      .string()
      .optional()
      .meta({
        description: `\`wait=N\`: answer only when the status or the plan has changed, after N seconds (1 to ${LONGEST_WAIT_IN_SECONDS}) at the latest.`,
        example: 'wait=20',
      }),
  }),
  read: (request) => {
    const wait = /(?:^|[,;])\s*wait\s*=\s*"?(\d{1,9})"?\s*(?:$|[,;])/i.exec(request.get('prefer') ?? '')?.[1];
    return { waitInSeconds: Math.min(Number(wait ?? 0), LONGEST_WAIT_IN_SECONDS) };
  },
};

/** The route. */
export function getOperation(deps: ApiDeps): Route {
  const { gateway } = deps;
  return route({
    method: 'get',
    path: '/v1/operations/{id}',
    operationId: 'getOperation',
    summary: 'Read the state of an operation',
    description:
      'The HTTP status is about the request, not about the operation: the answer for a failed operation is 200, and its `status` says Failed.',
    roles: [Role.Reader, Role.Operator, Role.Approver],
    params: OperationIdParams,
    headers: preferWait,
    answers: [
      {
        status: 200,
        description: 'The operation as it is now.',
        schema: OperationView,
        headers: {
          'Retry-After': 'Seconds to wait before asking again; absent when the operation has ended.',
          'Preference-Applied': 'The wait that was granted.',
        },
      },
    ],
    codes: ['OperationNotFound', 'TemporalUnavailable'],
    handle: async ({ request, params, headers: { waitInSeconds }, signal }) => {
      const first = await findOperation(gateway, params.id);
      const operation = waitInSeconds > 0 ? await changed(gateway, first, waitInSeconds * 1000, signal) : first;
      const applied: Record<string, string> =
        waitInSeconds > 0 ? { 'Preference-Applied': `wait=${waitInSeconds}` } : {};
      return {
        status: 200,
        body: viewOf(operation, request, { ...deps, namespace: gateway.namespace }),
        headers: { ...pollHeaders(operation), ...applied },
      };
    },
  });
}

/** An operation that must be there. @throws ApiError `OperationNotFound` */
export async function findOperation(gateway: OperationsGateway, id: string): Promise<Operation> {
  const stored = await gateway.find(id);
  if (stored) return stored.operation;
  throw new ApiError({
    code: 'OperationNotFound',
    detail: `There is no operation ${id}. Temporal forgets an operation when the namespace's retention after its end has passed; its evidence stays.`,
  });
}

/** Waits until the status or the plan changes, the time is up, or the client has gone away. */
async function changed(
  gateway: OperationsGateway,
  seen: Operation,
  timeoutInMs: number,
  signal: AbortSignal,
): Promise<Operation> {
  const end = performance.now() + timeoutInMs;
  let latest = seen;
  while (!isFinal(latest.status) && latest.status === seen.status && latest.planRevision === seen.planRevision) {
    const left = end - performance.now();
    if (left <= 0 || signal.aborted) break;
    await sleep(Math.min(POLL_INTERVAL_IN_MS, left), undefined, { signal }).catch(() => undefined);
    latest = await findOperation(gateway, seen.id);
  }
  return latest;
}
