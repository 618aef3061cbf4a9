/** GET /v1/operations/{id}: the current state of an operation. `Prefer: wait=N` waits for a change, `If-None-Match` says what the client has. */
import { z } from 'zod';
import { isFinal, type Operation } from '../../domain/operation';
import { Role } from '../../domain/people';
import type { ApiDeps } from '../deps';
import { OPERATION_ID } from '../idempotency';
import type { OperationsGateway } from '../operations-gateway';
import { entityTag, type OperationPoller } from '../operation-poller';
import { OperationView, pollHeaders, viewOf } from '../operation-view';
import { mayRead } from '../policy/authorize';
import { ApiError } from '../problem';
import { route, type HeaderReader, type Route } from '../route';
import type { Caller } from '../token-claims';

const LONGEST_WAIT_IN_SECONDS = 20;

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

const ANSWER_HEADERS = {
  ETag: 'Names what the answer says. It stays while only the counts of `progress` change.',
  'Retry-After': 'Seconds to wait before asking again; absent when the operation has ended.',
  'Preference-Applied': 'The wait that was granted.',
};

/** `If-None-Match`, and `Prefer: wait=N` (RFC 7240). A preference that is not understood is ignored, as the RFC asks. */
const readingHeaders: HeaderReader<{ readonly waitInSeconds: number; readonly ifNoneMatch: string | undefined }> = {
  documented: z.object({
    Prefer: z
      .string()
      .optional()
      .meta({
        description: `\`wait=N\`: answer only when the status or the plan has changed, after N seconds (1 to ${LONGEST_WAIT_IN_SECONDS}) at the latest. With \`If-None-Match\`: when the entity tag is another one.`,
        example: 'wait=20',
      }),
    'If-None-Match': z.string().optional().meta({
      description: 'The `ETag` of an earlier answer: the answer is 304, without a body, while it is the same.',
      example: '"0f3b5c1d9e8a7b6c5d4e3f2a1b0c9d8e"',
    }),
  }),
  read: (request) => {
    const wait = /(?:^|[,;])\s*wait\s*=\s*"?(\d{1,9})"?\s*(?:$|[,;])/i.exec(request.get('prefer') ?? '')?.[1];
    return {
      waitInSeconds: Math.min(Number(wait ?? 0), LONGEST_WAIT_IN_SECONDS),
      ifNoneMatch: request.get('if-none-match'),
    };
  },
};

/** The route. */
export function getOperation(deps: ApiDeps, poller: OperationPoller): Route {
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
    headers: readingHeaders,
    answers: [
      { status: 200, description: 'The operation as it is now.', schema: OperationView, headers: ANSWER_HEADERS },
      { status: 304, description: 'The client has this entity tag already.', empty: true, headers: ANSWER_HEADERS },
    ],
    codes: ['OperationNotFound', 'TemporalUnavailable'],
    handle: async ({ request, caller, params, headers: { waitInSeconds, ifNoneMatch }, signal }) => {
      const first = await readableOperation(deps, caller, params.id);
      const operation =
        waitInSeconds > 0
          ? await changed(deps.gateway, poller, first, ifNoneMatch, { timeoutInMs: waitInSeconds * 1000, signal })
          : first;
      if (!mayRead(deps, caller, operation)) throw notFound(params.id);
      const tag = entityTag(operation);
      const headers = {
        ETag: tag,
        ...pollHeaders(operation),
        ...(waitInSeconds > 0 ? { 'Preference-Applied': `wait=${waitInSeconds}` } : {}),
      };
      if (ifNoneMatch !== undefined && matches(ifNoneMatch, tag))
        return { status: 304, body: Buffer.alloc(0), headers };
      return { status: 200, body: viewOf(operation, request, { ...deps, namespace: gateway.namespace }), headers };
    },
  });
}

/** An operation that must be there. @throws ApiError `OperationNotFound` */
export async function findOperation(gateway: OperationsGateway, id: string): Promise<Operation> {
  const stored = await gateway.find(id);
  if (stored) return stored.operation;
  throw notFound(id);
}

/** An operation that must be there, and that the caller may read. @throws ApiError `OperationNotFound` in both cases */
export async function readableOperation(
  deps: Pick<ApiDeps, 'gateway' | 'access' | 'logger'>,
  caller: Caller,
  id: string,
): Promise<Operation> {
  const operation = await findOperation(deps.gateway, id);
  if (mayRead(deps, caller, operation)) return operation;
  throw notFound(id);
}

function notFound(id: string): ApiError {
  return new ApiError({
    code: 'OperationNotFound',
    detail: `There is no operation ${id}. Temporal forgets an operation when the namespace's retention after its end has passed; its evidence stays.`,
  });
}

/**
 * The operation once it differs from what the client has, or as it stands when the time is up, the client has gone away, or nothing
 * can change any more. Without an entity tag another status or plan than in the first look is a difference.
 */
async function changed(
  gateway: OperationsGateway,
  poller: OperationPoller,
  first: Operation,
  ifNoneMatch: string | undefined,
  { timeoutInMs, signal }: { readonly timeoutInMs: number; readonly signal: AbortSignal },
): Promise<Operation> {
  const over = new AbortController();
  const end = (): void => over.abort();
  const timer = setTimeout(end, timeoutInMs).unref();
  signal.addEventListener('abort', end, { once: true });
  let latest: Operation | undefined;
  try {
    for await (const operation of poller.watch(first.id, over.signal)) {
      latest = operation;
      if (ifNoneMatch === undefined ? differs(first, operation) : !matches(ifNoneMatch, entityTag(operation))) break;
      // Evidence comes after the end.
      if (isFinal(operation.status) && (ifNoneMatch === undefined || operation.evidence !== null)) break;
    }
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', end);
  }
  return latest ?? (await findOperation(gateway, first.id));
}

function differs(one: Operation, other: Operation): boolean {
  return one.status !== other.status || one.planRevision !== other.planRevision;
}

/** `If-None-Match` compares weakly (RFC 9110, 13.1.2). */
function matches(ifNoneMatch: string, tag: string): boolean {
  const known = ifNoneMatch.split(',').map((one) => one.trim().replace(/^W\//, ''));
  return known.includes('*') || known.includes(tag);
}
