/** `validateOnly` of POST /v1/operations: how it is asked for, and what it answers. */
import { z } from 'zod';
import type { ErrorCode } from '../../domain/errors';
import { Plan } from '../../domain/plan/plan';
import { idempotencyKey } from '../idempotency';
import { documentedOnBehalfOf } from '../on-behalf-of';
import type { HeaderReader } from '../route';

/** What only a look into the cluster shows, or the making of the plan: said by an operation, or by `validateOnly`. */
export const PLANNING_CODES = [
  'ChangeNotFound',
  'ResourceOutOfScope',
  'SecretsUnreadable',
  'RewriteNotPermitted',
  'KeyRotatedRecently',
  'TooManySecretsForKmsV1',
  'VaultRequestRefused',
  'ClusterAccessRefused',
  'ClusterStorageFull',
  'ClusterUnavailable',
] as const satisfies readonly ErrorCode[];

/** The query of a request for an operation. */
export const CreationQuery = z.strictObject({
  validateOnly: z.enum(['true', 'false']).optional().meta({
    description:
      '`true`: answer with the plan, or with the refusal, and start nothing. Needs a worker and no Idempotency-Key. Default `false`.',
  }),
});

/** What `validateOnly` answers. */
export const PlanPreview = z
  .object({
    plan: Plan.nullable().meta({
      description: 'The plan that the operation would make now, with its warnings; null when it would wait first.',
    }),
    censusTaken: z.boolean().nullable().meta({
      description:
        '`true`: every Secret was looked at. `false`: there was no time for that, so the operation may still be refused because of Secrets, and the plan lacks warnings about them. Null: the kind does not look at Secrets, or the operation would wait first.',
    }),
    waitingFor: z.string().nullable().meta({ description: 'What the operation would wait for before it plans.' }),
  })
  .meta({ id: 'PlanPreview', description: 'A plan of which nothing was started.' });
/** What `validateOnly` answers. */
export type PlanPreview = z.infer<typeof PlanPreview>;

/** The Idempotency-Key of a request that starts something; undefined for one that starts nothing. */
export const keyOfOperation: HeaderReader<{ readonly idempotencyKey: string | undefined }> = {
  documented: documentedOnBehalfOf.extend({
    'Idempotency-Key': idempotencyKey.documented.shape['Idempotency-Key'].optional().meta({
      description:
        'Required unless `validateOnly` is `true`. Names this request: 1 to 128 visible ASCII characters, for example a UUID or the number of the change. The same key with the same body gives the same operation; with another body it is refused.',
      example: 'CHG0030192-1',
    }),
  }),
  // The query was checked before.
  read: (request) =>
    request.query.validateOnly === 'true' ? { idempotencyKey: undefined } : idempotencyKey.read(request),
};
