/** What may be asked for: the body of `POST /v1/operations`. */
import { z } from 'zod';
import { parseClusterId, parseKeyId } from './resource-ids';

/** The procedures that Keyturn runs now. */
export const OperationKind = { RotateKey: 'rotate-key' } as const;
/** A procedure. */
export type OperationKind = (typeof OperationKind)[keyof typeof OperationKind];

const clusterId = z
  .string()
  .max(400)
  .refine((text) => parseClusterId(text) !== undefined, {
    error:
      'Expected /subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.ContainerService/managedClusters/{name}.',
    params: { code: 'InvalidClusterId' },
  })
  .meta({
    description: 'ARM resource id of the managed cluster.',
    example:
      '/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/rg/providers/Microsoft.ContainerService/managedClusters/aks1',
  });

const versionedKeyId = z
  .string()
  .max(300)
  .superRefine((text, context) => {
    const keyId = parseKeyId(text);
    if ('fault' in keyId) {
      context.addIssue({ code: 'custom', message: keyId.fault, params: { code: 'InvalidKeyId' } });
    }
  })
  // Host names are compared without regard to case, key ids by their text: one spelling from here on.
  .overwrite((text) => {
    const keyId = parseKeyId(text);
    return 'fault' in keyId ? text : keyId.kid;
  })
  .meta({
    description: 'Versioned key id (kid) in the vault that holds the current key.',
    example: 'https://kv1.vault.azure.net/keys/aks1/95a76f34842c4fcf9e2cc929e38359c0',
  });

/** The change record that an operation belongs to. */
export const Change = z
  .strictObject({
    number: z
      .string()
      .trim()
      .min(1)
      .max(64)
      .meta({ description: 'Number of the change record.', example: 'CHG0030192' }),
    reason: z
      .string()
      .trim()
      .min(1)
      .max(500)
      .optional()
      .meta({ description: 'Why, for the approver and the auditor.' }),
  })
  .meta({ description: 'The change record that this operation carries out.' });

/** The body of `POST /v1/operations`. Unknown members are refused: a misspelled option must not be ignored. */
export const OperationRequest = z.strictObject({
  kind: z.literal(OperationKind.RotateKey).meta({ description: 'The procedure to run.' }),
  cluster: clusterId,
  parameters: z
    .strictObject({
      keyId: versionedKeyId.optional().meta({
        description: 'The key version to turn to. Without it a new version of the current key is made.',
      }),
    })
    .default({}),
  change: Change,
  whenBusy: z.enum(['refuse', 'wait']).default('refuse').meta({
    description: 'What to do while another operation executes on the cluster: be refused with 409, or wait for it.',
  }),
  approvalTimeoutInSeconds: z
    .int()
    .min(1)
    .max(14 * 24 * 3600)
    .optional()
    .meta({
      description:
        'How long the plan waits for approval before the operation is canceled. Default: what the service is set to.',
    }),
});
/** What was asked for, with defaults filled in. */
export type OperationRequest = z.infer<typeof OperationRequest>;
