/** The request for an operation: the body of `POST /v1/operations`. */
import { z } from 'zod';
import { Change, StoredChange } from './change/change';
import { KINDS } from './kinds';
import type { Kind } from './kinds/kind';
import { CLUSTER_ID_PATTERN, parseClusterId } from './resource-ids';

const clusterId = z
  .string()
  .max(400)
  .refine((text) => parseClusterId(text) !== undefined, {
    error:
      'Expected /subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.ContainerService/managedClusters/{name}.',
    params: { code: 'InvalidClusterId' },
  })
  .meta({
    pattern: CLUSTER_ID_PATTERN,
    description: 'ARM resource id of the managed cluster.',
    example:
      '/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/rg/providers/Microsoft.ContainerService/managedClusters/aks1',
  });

const shared = {
  cluster: clusterId,
  change: Change,
  whenBusy: z.enum(['refuse', 'wait']).default('refuse').meta({
    description: 'While another operation executes on the cluster: `refuse` answers 409, `wait` waits for its end.',
  }),
  approvalTimeoutInSeconds: z
    .int()
    .min(1)
    .max(14 * 24 * 3600)
    .optional()
    .meta({
      description:
        'How long the plan waits for approval before the operation is canceled. Default, and at most where the policy says so: the setting of the service.',
    }),
  approvalsRequired: z.int().min(1).max(10).optional().meta({
    description: 'Approvals that each gate needs at least. The policy of the service may demand more, and then counts.',
  }),
};

/** A request of any kind; `parameters` are the kind's own. */
export interface OperationRequest {
  readonly kind: string;
  readonly cluster: string;
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly change: Change;
  readonly whenBusy: 'refuse' | 'wait';
  /** Seconds. */
  readonly approvalTimeoutInSeconds?: number;
  /** At least. */
  readonly approvalsRequired?: number;
}

/** A request as it is stored with an operation: the kind's own schema has read its parameters. */
export const StoredRequest = z.object({
  kind: z.string(),
  cluster: z.string(),
  parameters: z.record(z.string(), z.unknown()),
  change: StoredChange,
  whenBusy: z.enum(['refuse', 'wait']),
  approvalTimeoutInSeconds: z.int().optional(),
  approvalsRequired: z.int().optional(),
});

/** The body of `POST /v1/operations` for a table of kinds. Unknown members are refused: a misspelled option must not be ignored. */
export function requestSchema(kinds: readonly Kind[]): z.ZodType<OperationRequest> {
  const members = kinds.map(({ name, does, parameters }) =>
    z.strictObject({ kind: z.literal(name).meta({ description: does }), parameters, ...shared }),
  );
  const [first, ...rest] = members;
  if (first === undefined) throw new Error('There are no kinds.');
  return z.discriminatedUnion('kind', [first, ...rest]) as unknown as z.ZodType<OperationRequest>;
}

/** The body of `POST /v1/operations`. */
export const OperationRequest = requestSchema(KINDS);

/** The key of the second rotation that a request names; undefined when it names none. */
export function nextKeyId({ parameters }: OperationRequest): string | undefined {
  return typeof parameters.nextKeyId === 'string' ? parameters.nextKeyId : undefined;
}

/** The key that a request names; undefined when it names none. */
export function requestedKeyId({ parameters }: OperationRequest): string | undefined {
  return typeof parameters.keyId === 'string' ? parameters.keyId : undefined;
}
