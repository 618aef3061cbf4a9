/**
 * What the webhook of workload identity changes in a pod. Pure.
 *
 * Source: Azure/azure-workload-identity, pkg/webhook/webhook.go: same names, same order, same words.
 * Never does: the proxy sidecar, or identity bindings.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { WorkloadIdentity } from './contract';
import { TOKEN_AUDIENCE } from './crds';
import type { JsonObject } from './json';

/** With this label a pod wants an identity. */
export const USE_LABEL = 'azure.workload.identity/use';
const EXPIRATION = 'azure.workload.identity/service-account-token-expiration';
const DEFAULT_EXPIRATION_IN_SECONDS = '3600';
const SKIPPED = 'azure.workload.identity/skip-containers';
const MOUNT_PATH = '/var/run/secrets/azure/wi';
const TOKEN_FILE = 'token/azure-identity-token';
const VOLUME_PREFIX = 'azure-workload-identity-reserved-';
const NAME_LIMIT = 63;

type Annotations = Readonly<Record<string, string>>;
const named = z.array(z.looseObject({ name: z.string() }));
const containersSchema = z.array(
  z.looseObject({ name: z.string(), env: named.default([]), volumeMounts: named.default([]) }),
);
const podSchema = z.looseObject({
  metadata: z.looseObject({
    name: z.string().optional(),
    generateName: z.string().default(''),
    annotations: z.record(z.string(), z.string()).default({}),
  }),
  spec: z.looseObject({
    containers: containersSchema,
    initContainers: containersSchema.optional(),
    volumes: named.default([]),
  }),
});

/**
 * A JSON patch: variables for each container that is not skipped, and the token that they name.
 * @param account annotations of the pod's service account
 * @throws Error in the words of the webhook
 */
export function identityPatch(object: JsonObject, account: Annotations, identity: WorkloadIdentity): JsonObject[] {
  const { metadata, spec } = podSchema.parse(object);
  const { annotations } = metadata;
  const expirationSeconds = Number(annotations[EXPIRATION] ?? account[EXPIRATION] ?? DEFAULT_EXPIRATION_IN_SECONDS);
  if (!(expirationSeconds >= 3600 && expirationSeconds <= 86_400)) {
    throw new Error(`token expiration ${expirationSeconds} not valid. Expected value to be between 3600 and 86400`);
  }
  const skipped = (annotations[SKIPPED] ?? '').split(';').map((name) => name.trim());
  const hash = createHash('sha256').update(metadata.name ?? `${metadata.generateName} (prefix)`);
  const volumeName = `${VOLUME_PREFIX}${hash.digest('hex')}`.slice(0, NAME_LIMIT);
  const variables = [
    { name: 'AZURE_CLIENT_ID', value: account['azure.workload.identity/client-id'] ?? '' },
    { name: 'AZURE_TENANT_ID', value: account['azure.workload.identity/tenant-id'] ?? identity.tenantId },
    { name: 'AZURE_FEDERATED_TOKEN_FILE', value: `${MOUNT_PATH}/${TOKEN_FILE}` },
    { name: 'AZURE_AUTHORITY_HOST', value: identity.authorityHost },
  ].filter(({ value }) => value !== '');
  const withIdentity = (containers: z.infer<typeof containersSchema>): object[] =>
    containers.map((container) => {
      if (skipped.includes(container.name)) return container;
      const missing = variables.filter(({ name }) => container.env.every((given) => given.name !== name));
      const volumeMounts = withNamed(container.volumeMounts, {
        name: volumeName,
        mountPath: MOUNT_PATH,
        readOnly: true,
      });
      return { ...container, env: [...container.env, ...missing], volumeMounts };
    });
  const serviceAccountToken = { path: TOKEN_FILE, expirationSeconds, audience: TOKEN_AUDIENCE };
  const volume = { name: volumeName, projected: { sources: [{ serviceAccountToken }] } };
  const { initContainers } = spec;
  return [
    { op: 'add', path: '/spec/containers', value: withIdentity(spec.containers) },
    ...(initContainers === undefined
      ? []
      : [{ op: 'add', path: '/spec/initContainers', value: withIdentity(initContainers) }]),
    { op: 'add', path: '/spec/volumes', value: withNamed(spec.volumes, volume) },
  ];
}

/** The list with an entry in the place of the one that has its name, or at the end. */
function withNamed<T extends { readonly name: string }>(list: readonly T[], entry: T): T[] {
  const index = list.findIndex(({ name }) => name === entry.name);
  return index === -1 ? [...list, entry] : list.with(index, entry);
}
