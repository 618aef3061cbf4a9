/** What was delivered to a webhook endpoint, and the replay of a delivery. */
import { z } from 'zod';
import { DeliveryRecord } from '../../domain/delivery';
import { eventsOf, sequenceOf } from '../../domain/events';
import { Role } from '../../domain/people';
import type { DeliveriesGateway, StoredDelivery } from '../deliveries-gateway';
import type { ApiDeps } from '../deps';
import { OPERATION_ID } from '../idempotency';
import { mayRead, requireRight } from '../policy/authorize';
import { ApiError } from '../problem';
import { route, type Route } from '../route';
import type { Caller } from '../token-claims';
import { readableOperation } from './get-operation';

const EVENT_ID = /^(op-[0-9a-f]{26})\.\d{1,6}$/;

const endpoint = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,39}$/, { error: 'This is not the id of an endpoint.' })
  .meta({ description: 'The id of the endpoint in KEYTURN_WEBHOOKS_FILE.', example: 'servicenow' });

const DeliveryView = DeliveryRecord.extend({
  trying: z
    .object({
      attempt: z.int(),
      nextAt: z.string().nullable(),
      problem: z.string(),
    })
    .nullable()
    .meta({
      description: 'While an event is tried again: which try, when the next one is, and why the last one failed.',
    }),
}).meta({ id: 'WebhookDelivery', description: 'The delivery of the events of one operation to one endpoint.' });

/** GET the deliveries of an endpoint. */
export function listDeliveries(deps: ApiDeps): Route {
  return route({
    method: 'get',
    path: '/v1/webhooks/{endpoint}/deliveries',
    operationId: 'listDeliveries',
    summary: 'Read what was delivered to a webhook endpoint',
    description:
      'The newest 50 operations, each with the events that the receiver took; with `operation`, that of one. Temporal’s lists lag behind by a moment.',
    roles: [Role.Reader, Role.Operator, Role.Approver],
    params: z.object({ endpoint }),
    query: z.strictObject({
      operation: z
        .string()
        .regex(OPERATION_ID, { error: 'must be the id of an operation' })
        .optional()
        .meta({ description: 'Only the delivery of this operation.' }),
    }),
    answers: [{ status: 200, description: 'The deliveries.', schema: z.object({ deliveries: z.array(DeliveryView) }) }],
    codes: ['WebhookNotFound', 'InvalidRequest', 'TemporalUnavailable'],
    handle: async ({ caller, params: { endpoint: id }, query: { operation } }) => {
      const deliveries = known(deps, id);
      const found: readonly (StoredDelivery | undefined)[] =
        operation === undefined ? await deliveries.list(id) : [await deliveries.find(id, operation)];
      const shown = await Promise.all(found.map(async (one) => (one && (await maySee(caller, one)) ? [one] : [])));
      return { status: 200, body: { deliveries: shown.flat() } };
    },
  });

  /** Deliveries are of operations: with a policy, only those that the caller may read. */
  async function maySee(caller: Caller, { operation: id }: StoredDelivery): Promise<boolean> {
    if (deps.access === undefined) return true;
    const stored = await deps.gateway.find(id);
    return stored !== undefined && mayRead(deps, caller, stored.operation);
  }
}

/** POST a replay. */
export function replayDelivery(deps: ApiDeps): Route {
  return route({
    method: 'post',
    path: '/v1/webhooks/{endpoint}/deliveries/{id}:replay',
    operationId: 'replayDelivery',
    summary: 'Deliver an event again, and those after it',
    description:
      'Also when the delivery was given up or the receiver was gone, and at once when the next try is far away. Each event keeps its `webhook-id`, so that the receiver can drop what it has.',
    roles: [Role.Operator],
    params: z.object({
      endpoint,
      id: z
        .string()
        .regex(EVENT_ID, { error: 'This is not the id of an event: that of the operation, a dot, a number.' })
        .meta({ description: 'The id of the event: its `webhook-id`.', example: 'op-0f3b5c1d9e8a7b6c5d4e3f2a1b.7' }),
    }),
    answers: [
      {
        status: 202,
        description: 'It is delivered again.',
        schema: z.object({ endpoint: z.string(), from: z.string() }),
      },
    ],
    codes: ['WebhookNotFound', 'OperationNotFound', 'RightMissing', 'InvalidRequest', 'TemporalUnavailable'],
    handle: async ({ caller, params }) => {
      const deliveries = known(deps, params.endpoint);
      const operationId = params.id.slice(0, params.id.indexOf('.'));
      const sequence = sequenceOf(params.id, operationId);
      const operation = await readableOperation(deps, caller, operationId);
      requireRight(deps, caller, ['request', 'approve'], operation);
      const delivery = await deliveries.find(params.endpoint, operationId);
      if (delivery === undefined || sequence === undefined || sequence > eventsOf(operation).length) {
        throw new ApiError({
          code: 'WebhookNotFound',
          detail: `There is no delivery of ${params.id} to ${params.endpoint}. GET /v1/webhooks/${params.endpoint}/deliveries lists what there is.`,
        });
      }
      // What the receiver does not have yet is not skipped.
      await deliveries.replay(params.endpoint, operationId, { after: Math.min(sequence - 1, delivery.sequence) });
      return { status: 202, body: { endpoint: params.endpoint, from: params.id } };
    },
  });
}

function known({ webhooks }: ApiDeps, id: string): DeliveriesGateway {
  if (webhooks?.endpoints.includes(id)) return webhooks.deliveries;
  throw new ApiError({
    code: 'WebhookNotFound',
    detail: `There is no webhook endpoint ${id}: it is not in KEYTURN_WEBHOOKS_FILE of the API.`,
  });
}
