/** GET /v1/operations/{id}/events: what happens to an operation, as server-sent events. */
import { Readable } from 'node:stream';
import { z } from 'zod';
import { EVENT_ID, eventsOf, isLast, sequenceOf } from '../../domain/events';
import { Role, type Actor } from '../../domain/people';
import type { ApiDeps } from '../deps';
import { eventStream } from '../event-stream';
import type { OperationPoller } from '../operation-poller';
import { baseUrl } from '../operation-view';
import { ApiError } from '../problem';
import { route, type HeaderReader, type Route } from '../route';
import { OperationIdParams, readableOperation } from './get-operation';

/** A client that has no event yet may send the header empty. */
const EVENT_ID_OR_NONE = new RegExp(`^(?:${EVENT_ID.source.slice(1, -1)})?$`);
/** Streams of one caller in one API process. */
const MOST_STREAMS = 20;

const lastEventId: HeaderReader<{ readonly lastEventId?: string }> = {
  documented: z.object({
    'Last-Event-ID': z.string().regex(EVENT_ID_OR_NONE).optional().meta({
      description: 'The `id` of the last event that the client has. The stream goes on after it, without a gap.',
      example: 'op-0f3b5c1d9e8a7b6c5d4e3f2a1b.7',
    }),
  }),
  read: (request) => {
    const given = request.get('last-event-id');
    return given === undefined || given === '' ? {} : { lastEventId: given };
  },
};

/** The route. */
export function getOperationEvents(deps: ApiDeps, poller: OperationPoller): Route {
  const streams = new Map<string, number>();
  return route({
    method: 'get',
    path: '/v1/operations/{id}/events',
    operationId: 'getOperationEvents',
    summary: 'Follow what happens to an operation, as server-sent events',
    description:
      'Each event has an `id`, a type in `event`, and an OperationEvent in `data`. Events of the type `progress` have counts of a long step, no `id`, and come while the step runs. The stream ends after `operation.evidence_sealed`; it also ends every quarter of an hour and when the API stops: connect again with `Last-Event-ID`.',
    roles: [Role.Reader, Role.Operator, Role.Approver],
    params: OperationIdParams,
    query: z.strictObject({
      lastEventId: z
        .string()
        .regex(EVENT_ID, { error: 'This is not the id of an event.' })
        .optional()
        .meta({ description: 'For clients that cannot send `Last-Event-ID`.' }),
    }),
    headers: lastEventId,
    answers: [
      {
        status: 200,
        description: 'The events from the first one, or after the last one.',
        headers: { 'X-Accel-Buffering': '`no`: a proxy must not collect the answer first.' },
        mediaType: 'text/event-stream',
      },
      { status: 204, description: 'The client has the last event: nothing follows.', empty: true },
    ],
    codes: ['OperationNotFound', 'InvalidRequest', 'TooManyStreams', 'TemporalUnavailable'],
    handle: async ({ request, params: { id }, query, headers, caller, signal }) => {
      const after = placeOf(headers.lastEventId ?? query.lastEventId, id);
      const operation = await readableOperation(deps, caller, id);
      const [last] = eventsOf(operation).slice(-1);
      if (last && isLast(last) && after >= last.data.sequence) return { status: 204, body: Buffer.alloc(0) };
      signal.addEventListener('abort', opened(streams, caller.person), { once: true });
      const stream = eventStream({
        views: poller.watch(id, signal),
        after,
        publicUrl: baseUrl(request, deps.publicUrl),
        signal,
      });
      return {
        status: 200,
        // For nginx, which would collect the answer first.
        headers: { 'X-Accel-Buffering': 'no' },
        body: Readable.from(stream),
      };
    },
  });
}

function placeOf(given: string | undefined, id: string): number {
  if (given === undefined) return 0;
  const sequence = sequenceOf(given, id);
  if (sequence !== undefined) return sequence;
  throw new ApiError({
    code: 'InvalidRequest',
    detail: 'The last event id is not the id of an event of this operation. Leave it out to get all events.',
  });
}

/** Counts a stream of a caller. @returns what to call once when it has ended */
function opened(streams: Map<string, number>, { tenantId, objectId }: Actor): () => void {
  const caller = `${tenantId}:${objectId}`;
  const open = streams.get(caller) ?? 0;
  if (open >= MOST_STREAMS) {
    throw new ApiError({
      code: 'TooManyStreams',
      detail: `You follow ${open} operations at this API server already. Close a stream, or poll the operation with "Prefer: wait=20".`,
    });
  }
  streams.set(caller, open + 1);
  return () => {
    const left = (streams.get(caller) ?? 1) - 1;
    if (left > 0) streams.set(caller, left);
    else streams.delete(caller);
  };
}
