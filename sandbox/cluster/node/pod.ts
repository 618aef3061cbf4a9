/** Pods and SecretProviderClasses, as far as a node reads them. */
import { z } from 'zod';
import { DRIVER_NAME } from './crds';
import type { JsonObject } from './json';

const strings = z.record(z.string(), z.string());

const envSchema = z.looseObject({
  name: z.string(),
  value: z.string().optional(),
  valueFrom: z
    .looseObject({
      fieldRef: z.looseObject({ fieldPath: z.string() }).optional(),
      secretKeyRef: z.looseObject({ name: z.string(), key: z.string(), optional: z.boolean().optional() }).optional(),
    })
    .optional(),
});

const containerSchema = z.looseObject({
  name: z.string(),
  image: z.string().default(''),
  command: z.array(z.string()).default([]),
  args: z.array(z.string()).default([]),
  env: z.array(envSchema).default([]),
  volumeMounts: z.array(z.looseObject({ name: z.string(), mountPath: z.string() })).default([]),
  terminationMessagePath: z.string().default('/dev/termination-log'),
  terminationMessagePolicy: z.string().default('File'),
});
/** A container of a pod. */
export type Container = z.infer<typeof containerSchema>;

const volumeSchema = z.looseObject({
  name: z.string(),
  csi: z
    .looseObject({ driver: z.string(), readOnly: z.boolean().optional(), volumeAttributes: strings.default({}) })
    .optional(),
  emptyDir: z.looseObject({}).optional(),
  projected: z
    .looseObject({
      sources: z.array(
        z.looseObject({
          serviceAccountToken: z
            .looseObject({
              path: z.string(),
              audience: z.string().optional(),
              expirationSeconds: z.number().optional(),
            })
            .optional(),
        }),
      ),
    })
    .optional(),
});
/** A volume of a pod. */
export type Volume = z.infer<typeof volumeSchema>;

/** A pod. */
export const podSchema = z.looseObject({
  metadata: z.looseObject({
    name: z.string(),
    namespace: z.string(),
    uid: z.string(),
    labels: strings.default({}),
    annotations: strings.default({}),
    deletionTimestamp: z.string().optional(),
    deletionGracePeriodSeconds: z.number().optional(),
    ownerReferences: z.array(z.looseObject({ name: z.string(), uid: z.string() })).default([]),
  }),
  spec: z.looseObject({
    nodeName: z.string().optional(),
    serviceAccountName: z.string().optional(),
    restartPolicy: z.enum(['Always', 'OnFailure', 'Never']).default('Always'),
    activeDeadlineSeconds: z.number().optional(),
    containers: z.array(containerSchema),
    volumes: z.array(volumeSchema).default([]),
  }),
  status: z.looseObject({ phase: z.string().optional() }).default({}),
});
/** A pod. */
export type Pod = z.infer<typeof podSchema>;

/** A SecretProviderClass. */
export const classSchema = z.looseObject({
  metadata: z.looseObject({ name: z.string(), namespace: z.string() }),
  spec: z
    .looseObject({
      provider: z.string().default(''),
      parameters: strings.default({}),
      secretObjects: z
        .array(
          z.looseObject({
            secretName: z.string().default(''),
            type: z.string().default(''),
            labels: strings.default({}),
            annotations: strings.default({}),
            data: z
              .array(z.looseObject({ objectName: z.string().default(''), key: z.string().default('') }))
              .default([]),
          }),
        )
        .default([]),
    })
    .prefault({}),
});
/** A SecretProviderClass. */
export type SecretProviderClass = z.infer<typeof classSchema>;

/** The pod in a list or a watch, when it has a volume of the driver; undefined for all others: they are none of the node's business. */
export function podWithSecrets(object: JsonObject): Pod | undefined {
  const parsed = podSchema.safeParse(object);
  if (!parsed.success) return undefined;
  return parsed.data.spec.volumes.some(({ csi }) => csi?.driver === DRIVER_NAME) ? parsed.data : undefined;
}

/** The service account of a pod. The plugin that writes `default` into pods is off in the sandbox: nothing makes the accounts. */
export function serviceAccountOf({ spec }: Pod): string {
  return spec.serviceAccountName ?? 'default';
}

/** The API path of a pod. */
export function podPath({ metadata }: Pod): string {
  return `/api/v1/namespaces/${metadata.namespace}/pods/${metadata.name}`;
}
