/**
 * Managed clusters in ARM: read whole, changed whole.
 *
 * The typed client drops members that it does not know on the way from GET to PUT (azure-facts.md 0.7), so a cluster is
 * read and written as the JSON that ARM gave, with one member changed and the entity tag as a fence.
 */
import { ContainerServiceClient } from '@azure/arm-containerservice';
import type { TokenCredential } from '@azure/core-auth';
import type { HttpClient } from '@azure/core-rest-pipeline';
import { z } from 'zod';
import type { Cloud } from '../domain/clouds';
import { applyChange, type ClusterChange } from '../domain/cluster-change';
import { type ObservedCluster } from '../domain/observed';
import { parseClusterId, parseKeyId } from '../domain/resource-ids';
import type { ArmClient } from './arm';
import { armScope } from './credentials';
import { ArmError, parseRetryAfter, readErrorBody, translateError } from './errors';

/** The version that `@azure/arm-containerservice` 25.3.0 speaks; it shows `kubernetesResourceObjectEncryptionProfile`. */
const API_VERSION = '2026-04-01';

/** The code of a change that was not sent because ARM gave no entity tag to fence it with. */
export const ENTITY_TAG_MISSING = 'EntityTagMissing';

/** By resource id. */
const AssignedIdentities = z.record(z.string(), z.looseObject({ principalId: z.string().nullish() }));

const ClusterBody = z.looseObject({
  id: z.string(),
  location: z.string(),
  eTag: z.string().optional(),
  tags: z.record(z.string(), z.string()).nullish(),
  identity: z
    .looseObject({ type: z.string().optional(), userAssignedIdentities: AssignedIdentities.nullish() })
    .nullish(),
  properties: z.looseObject({
    provisioningState: z.string(),
    powerState: z.object({ code: z.string().optional() }).nullish(),
    kubernetesVersion: z.string().optional(),
    currentKubernetesVersion: z.string().optional(),
    disableLocalAccounts: z.boolean().nullish(),
    securityProfile: z
      .looseObject({
        azureKeyVaultKms: z
          .looseObject({
            enabled: z.boolean().nullish(),
            keyId: z.string().nullish(),
            keyVaultNetworkAccess: z.string().nullish(),
            keyVaultResourceId: z.string().nullish(),
          })
          .nullish(),
        kubernetesResourceObjectEncryptionProfile: z
          .looseObject({ infrastructureEncryption: z.string().nullish() })
          .nullish(),
      })
      .nullish(),
    status: z.looseObject({ provisioningError: z.unknown().optional() }).nullish(),
  }),
});
type ClusterBody = z.infer<typeof ClusterBody>;

const OperationBody = z.object({
  status: z.string(),
  startTime: z.string().nullish(),
  endTime: z.string().nullish(),
});

/** A cluster as ARM gave it. */
export interface ClusterSnapshot {
  readonly observed: ObservedCluster;
  /** Why the last change failed, when ARM says so. */
  readonly provisioningError: { readonly code?: string; readonly message?: string };
  /** Everything, for the PUT. */
  readonly body: ClusterBody;
}

/** How far a long-running operation of ARM is. */
export interface OperationState {
  /** `InProgress`, `Succeeded`, `Failed`, `Canceled` or another word of Azure's. */
  readonly status: string;
  readonly startedAt?: string;
  readonly endedAt?: string;
  readonly error: { readonly code?: string; readonly message?: string };
  /** What ARM asks to wait until the next poll. */
  readonly retryAfterInMs?: number;
}

/** Options of every call. */
export interface CallOptions {
  readonly abortSignal?: AbortSignal;
}

/** What Keyturn asks of managed clusters. Everything throws `ArmError` or `TokenError`. */
export interface ManagedClusters {
  read(resourceId: string, options?: CallOptions): Promise<ClusterSnapshot>;
  /**
   * PUTs the whole cluster with one change, fenced by the entity tag that it was read with.
   * @returns the URL of the long-running operation, when ARM gave one that is its own
   * @throws ArmError `EntityTagMissing`, with nothing sent: without a fence the PUT could undo somebody else's change
   */
  putChange(
    cluster: ClusterSnapshot,
    change: ClusterChange,
    options?: CallOptions,
  ): Promise<{ operationUrl?: string; retryAfterInMs?: number }>;
  operation(operationUrl: string, options?: CallOptions): Promise<OperationState>;
  /** @returns the kubeconfig (YAML) of the local admin account */
  adminKubeconfig(resourceId: string, options?: CallOptions): Promise<string>;
}

/** Makes the client; sends nothing yet. */
export function createManagedClusters(
  cloud: Cloud,
  arm: ArmClient,
  credential: TokenCredential,
  httpClient: HttpClient,
): ManagedClusters {
  return {
    async read(resourceId, { abortSignal } = {}) {
      const { body } = await arm.request({ method: 'GET', url: urlOf(resourceId), abortSignal });
      return snapshotOf(body);
    },

    async putChange(cluster, change, { abortSignal } = {}) {
      if (!cluster.body.eTag) {
        throw new ArmError({
          code: ENTITY_TAG_MISSING,
          message:
            'Azure gave no eTag for the cluster, so the change could have overwritten a change of somebody else. Nothing was sent.',
          retryable: false,
        });
      }
      const response = await arm.request({
        method: 'PUT',
        url: urlOf(cluster.observed.resourceId),
        body: requestBody(applyChange(cluster.body, change)),
        ifMatch: cluster.body.eTag,
        abortSignal,
      });
      const operationUrl = response.header('azure-asyncoperation');
      return {
        // A URL of a stranger would get our token: without one, the resource itself is polled.
        operationUrl: operationUrl !== undefined && arm.owns(operationUrl) ? operationUrl : undefined,
        retryAfterInMs: parseRetryAfter(response.header('retry-after')),
      };
    },

    async operation(operationUrl, { abortSignal } = {}) {
      const response = await arm.request({ method: 'GET', url: operationUrl, abortSignal });
      const { status, startTime, endTime } = OperationBody.parse(response.body);
      const { code, message } = readErrorBody(
        z.object({ error: z.unknown().optional() }).safeParse(response.body).data?.error,
      );
      return {
        status,
        startedAt: startTime ?? undefined,
        endedAt: endTime ?? undefined,
        error: { code, message },
        retryAfterInMs: parseRetryAfter(response.header('retry-after')),
      };
    },

    async adminKubeconfig(resourceId, { abortSignal } = {}) {
      const { subscriptionId, resourceGroup, name } = mustParse(resourceId);
      const client = new ContainerServiceClient(credential, subscriptionId, {
        endpoint: cloud.resourceManager,
        credentials: { scopes: [armScope(cloud)] },
        httpClient,
        retryOptions: { maxRetries: 0 },
      });
      const { kubeconfigs = [] } = await client.managedClusters
        .listClusterAdminCredentials(resourceGroup, name, { abortSignal })
        .catch((error: unknown) => {
          throw translateError(error, ArmError, `listClusterAdminCredential of ${name}`, abortSignal);
        });
      const value = kubeconfigs[0]?.value;
      if (value === undefined) {
        throw new ArmError({
          code: 'KubeconfigMissing',
          message: `ARM gave no admin kubeconfig for ${name}. Are its local accounts disabled?`,
          retryable: false,
        });
      }
      return Buffer.from(value).toString('utf8');
    },
  };
}

/** Maps ARM's JSON. @throws ZodError when it is not a managed cluster at all */
export function snapshotOf(json: unknown): ClusterSnapshot {
  const body = ClusterBody.parse(json);
  const { properties } = body;
  const kms = properties.securityProfile?.azureKeyVaultKms;
  const newEncryption = properties.securityProfile?.kubernetesResourceObjectEncryptionProfile?.infrastructureEncryption;
  return {
    body,
    provisioningError: readErrorBody(properties.status?.provisioningError),
    observed: {
      resourceId: parseClusterId(body.id)?.resourceId ?? body.id,
      location: body.location,
      kubernetesVersion: properties.currentKubernetesVersion ?? properties.kubernetesVersion ?? 'unknown',
      provisioningState: properties.provisioningState,
      ...(body.eTag ? { eTag: body.eTag } : {}),
      powerState: properties.powerState?.code ?? 'Running',
      identityType: body.identity?.type ?? 'None',
      identities: Object.entries(body.identity?.userAssignedIdentities ?? {}).map(([id, { principalId }]) => ({
        resourceId: id,
        ...(principalId ? { principalId } : {}),
      })),
      localAccountsDisabled: properties.disableLocalAccounts ?? false,
      tags: body.tags ?? {},
      platformManagedEncryption: newEncryption !== undefined && newEncryption !== null && newEncryption !== 'Disabled',
      kms: {
        enabled: kms?.enabled ?? false,
        keyId: normalKeyId(kms?.keyId ?? undefined),
        networkAccess: kms?.keyVaultNetworkAccess ?? undefined,
        // Azure gives "" where there is none.
        vaultId: kms?.keyVaultResourceId || undefined,
      },
    },
  };
}

/** Values of `userAssignedIdentities` are Azure's to fill: requests carry `{}`. */
function requestBody(body: ClusterBody): unknown {
  const { identity } = body;
  const userAssigned = identity?.userAssignedIdentities;
  if (!identity || !userAssigned) return body;
  const userAssignedIdentities = Object.fromEntries(Object.keys(userAssigned).map((id) => [id, {}]));
  return { ...body, identity: { ...identity, userAssignedIdentities } };
}

/** One spelling for one key, so that ids can be compared as text; what is not a versioned key id stays as it is. */
function normalKeyId(keyId: string | undefined): string | undefined {
  if (keyId === undefined || keyId === '') return undefined;
  const parsed = parseKeyId(keyId);
  return 'fault' in parsed ? keyId : parsed.kid;
}

function urlOf(resourceId: string): string {
  return `${mustParse(resourceId).resourceId}?api-version=${API_VERSION}`;
}

function mustParse(resourceId: string): NonNullable<ReturnType<typeof parseClusterId>> {
  const parsed = parseClusterId(resourceId);
  if (!parsed) throw new Error(`"${resourceId}" is not the resource id of a managed cluster.`);
  return parsed;
}
