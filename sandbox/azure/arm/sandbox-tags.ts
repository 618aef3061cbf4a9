/**
 * What a client asks of a sandbox cluster that Azure has no property for: tags of the managed cluster at its creation.
 * Later changes of these tags do nothing.
 */
import { z } from 'zod';
import type { ClusterOptions } from '../../cluster/contract';
import { kmsVersionOf } from '../../cluster/kubernetes-minor';
import { type AzureError, badRequest } from '../errors';
import type { JsonObject } from '../json';
import type { KubernetesRelease } from './kubernetes-versions';

/** How many API servers: `"1"` to `"5"`. */
const API_SERVERS_TAG = 'sandbox-api-servers';
/** `"per-key"` or `"shared"`; the latter for KMS v1 only. */
const PROVIDER_NAMES_TAG = 'sandbox-kms-provider-names';
/** At how many bytes its etcd stores nothing more: `"4194304"` (4 MiB) at least. */
const ETCD_QUOTA_TAG = 'sandbox-etcd-quota-bytes';
const SMALLEST_QUOTA_IN_BYTES = 4_194_304;

const tagsSchema = z.looseObject({
  [API_SERVERS_TAG]: z.enum(['1', '2', '3', '4', '5']).default('1'),
  [PROVIDER_NAMES_TAG]: z.enum(['per-key', 'shared']).default('per-key'),
  [ETCD_QUOTA_TAG]: z
    .string()
    .regex(/^\d{7,11}$/)
    .refine((text) => Number(text) >= SMALLEST_QUOTA_IN_BYTES)
    .optional(),
});

/** What each tag takes, for sentences. */
const VALUES: Readonly<Record<string, string>> = {
  [API_SERVERS_TAG]: '"1" to "5"',
  [PROVIDER_NAMES_TAG]: '"per-key" or "shared"',
  [ETCD_QUOTA_TAG]: `a number of bytes, "${SMALLEST_QUOTA_IN_BYTES}" at least`,
};

/** The part of a cluster's options that tags decide. */
export type TaggedOptions = Required<Pick<ClusterOptions, 'apiServers' | 'kmsProviderNames'>> &
  Pick<ClusterOptions, 'etcdQuotaInBytes'>;

/**
 * Reads the tags of a cluster that is to be made.
 * @throws AzureError 400 SandboxTagNotValid, naming the tag and the values that it takes.
 */
export function taggedOptions(body: JsonObject, release: KubernetesRelease): TaggedOptions {
  const parsed = tagsSchema.safeParse(body['tags'] ?? {});
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const name = issue?.path.join('.') ?? '';
    throw refuse(`The tag ${name} of a sandbox cluster must be ${VALUES[name] ?? 'a string'}, as a string.`);
  }
  const {
    [API_SERVERS_TAG]: apiServers,
    [PROVIDER_NAMES_TAG]: kmsProviderNames,
    [ETCD_QUOTA_TAG]: quota,
  } = parsed.data;
  if (kmsProviderNames === 'shared' && kmsVersionOf(release.minor) !== 'v1') {
    throw refuse(
      `The tag ${PROVIDER_NAMES_TAG} can be "shared" for KMS v1 only, which ends before Kubernetes 1.27; this cluster is to run ${release.patch}.`,
    );
  }
  return {
    apiServers: Number(apiServers),
    kmsProviderNames,
    ...(quota === undefined ? {} : { etcdQuotaInBytes: Number(quota) }),
  };
}

function refuse(message: string): AzureError {
  return badRequest(message, 'SandboxTagNotValid', { shape: 'bare' });
}
