/** GET /v1/operations: operations, the newest first, page by page. */
import { z } from 'zod';
import { KINDS } from '../../domain/kinds';
import { OperationStatus } from '../../domain/operation';
import { Role } from '../../domain/people';
import { CLUSTER_ID_PATTERN, parseClusterId } from '../../domain/resource-ids';
import type { ApiDeps } from '../deps';
import { FILTER_TEXT, type Filters } from '../list-query';
import { OperationSummary, summaryOf } from '../operation-summary';
import { pageToken, placeOf } from '../page-token';
import { mayRead, subjectOf } from '../policy/authorize';
import { readable } from '../policy/decide';
import { route, type Route } from '../route';

const DEFAULT_PAGE_SIZE = 50;
const LARGEST_PAGE_SIZE = 100;
/** The caller, as a requester. */
const ME = 'me';

const text = (longest: number): z.ZodString =>
  z
    .string()
    // Characters, as JSON Schema counts them.
    .refine((given) => Array.from(given).length <= longest && FILTER_TEXT.test(given), {
      error: `Expected 1 to ${longest} characters, without quotation marks, backslashes and control characters.`,
    })
    .meta({ maxLength: longest, pattern: FILTER_TEXT.source });
const TIME = z.iso.datetime({ offset: true });
const kinds = KINDS.map(({ name }) => name) as [string, ...string[]];

const Query = z.strictObject({
  cluster: z
    .string()
    .max(400)
    .refine((id) => parseClusterId(id) !== undefined, {
      error: 'Expected the ARM resource id of a managed cluster.',
      params: { code: 'InvalidClusterId' },
    })
    .optional()
    .meta({
      pattern: CLUSTER_ID_PATTERN,
      description: 'Operations on this cluster, by its ARM resource id, without regard to case.',
    }),
  kind: z.enum(kinds).optional().meta({ description: 'Operations of this kind.', example: 'rotate-key' }),
  status: z
    .array(z.enum(OperationStatus))
    .max(8)
    .optional()
    .meta({ description: 'Operations of this status. Repeat the parameter for more than one.' }),
  waitingForPeople: z.enum(['true', 'false']).optional().meta({
    description: '`true`: operations that wait for approval or are blocked. `false`: the others.',
  }),
  changeNumber: text(64)
    .optional()
    .meta({ description: 'Operations of this change, by its whole number.', example: 'CHG0030192' }),
  requester: text(100)
    .optional()
    .meta({
      description: `Operations that this person or program asked for, by object id in Entra; \`${ME}\`: the caller.`,
    }),
  since: z
    .string()
    .refine((time) => TIME.safeParse(time).success, {
      error: 'Expected a time with its zone, such as 2026-01-31T00:00:00Z.',
    })
    .optional()
    .meta({ format: 'date-time', description: 'Operations that were asked for then or later, ISO 8601 with a zone.' }),
  pageSize: z
    .string()
    .refine((size) => /^[1-9]\d{0,2}$/.test(size) && Number(size) <= LARGEST_PAGE_SIZE, {
      error: `Expected a whole number from 1 to ${LARGEST_PAGE_SIZE}.`,
    })
    .optional()
    .meta({
      pattern: '^(?:[1-9][0-9]?|100)$',
      description: `Operations on a page, 1 to ${LARGEST_PAGE_SIZE}; default ${DEFAULT_PAGE_SIZE}.`,
      example: '50',
    }),
  pageToken: z.string().min(1).max(1000).optional().meta({
    description: '`nextPageToken` of the page before. The filters must be the same; the size of the page may differ.',
  }),
});

/** A page of operations. */
export const OperationList = z
  .object({
    operations: z.array(OperationSummary),
    nextPageToken: z.string().optional().meta({ description: 'For the next page; absent on the last one.' }),
    unreadable: z.array(z.string()).meta({
      description:
        'Ids of operations of this page that another version of Keyturn wrote, and this one cannot read. They count for the size of the page.',
    }),
  })
  .meta({ id: 'OperationList', description: 'A page of operations, the newest first.' });
/** A page of operations. */
export type OperationList = z.infer<typeof OperationList>;

/** The route. */
export function listOperations(deps: ApiDeps): Route {
  const { gateway } = deps;
  return route({
    method: 'get',
    path: '/v1/operations',
    operationId: 'listOperations',
    summary: 'List operations',
    description:
      'The newest first, by when they were asked for. All filters must hold. No worker is needed. The list lags behind by a moment: read an operation before you act on it. Temporal forgets an operation when the retention of its namespace after its end has passed.',
    roles: [Role.Reader, Role.Operator, Role.Approver],
    query: Query,
    answers: [{ status: 200, description: 'A page of operations.', schema: OperationList }],
    codes: ['InvalidClusterId', 'TemporalUnavailable', 'WorkerUnavailable'],
    handle: async ({ request, caller, query }) => {
      const filters = filtersOf(query, caller.person.objectId);
      const after = query.pageToken === undefined ? undefined : placeOf(query.pageToken, filters);
      const size = Number(query.pageSize ?? DEFAULT_PAGE_SIZE);
      // Temporal leaves out what the caller may not read, so that neither the size of a page nor its token tells of it.
      const within = readable(deps.access?.current(), subjectOf(caller));
      const { operations, unreadable, next } = await gateway.list({ filters, size, after, within });
      const settings = { ...deps, namespace: gateway.namespace };
      const body: OperationList = {
        operations: operations
          .filter((operation) => mayRead(deps, caller, operation))
          .map((operation) => summaryOf(operation, request, settings)),
        unreadable: [...unreadable],
        ...(next === undefined ? {} : { nextPageToken: pageToken(next, filters) }),
      };
      return { status: 200, body };
    },
  });
}

function filtersOf(query: z.infer<typeof Query>, me: string): Filters {
  const { cluster, kind, changeNumber, waitingForPeople, since } = query;
  const requester = query.requester === ME ? me : query.requester;
  return {
    ...(cluster === undefined ? {} : { cluster: cluster.toLowerCase() }),
    ...(kind === undefined ? {} : { kind }),
    ...(query.status === undefined ? {} : { statuses: [...new Set(query.status)].sort() }),
    ...(waitingForPeople === undefined ? {} : { waitingForPeople: waitingForPeople === 'true' }),
    ...(changeNumber === undefined ? {} : { changeNumber: changeNumber.trim() }),
    ...(requester === undefined ? {} : { requester: requester.toLowerCase() }),
    ...(since === undefined ? {} : { since: Math.max(0, Date.parse(since)) }),
  };
}
