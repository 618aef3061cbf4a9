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
import { parseClusterId } from '../domain/resource-ids';
import type { ArmClient, ArmRequest, ArmResponse } from './arm';
import { requestBody, snapshotOf, type ClusterBody, type ClusterSnapshot } from './cluster-body';
import { listEverywhere, type ClusterList } from './cluster-list';
import type { CallOptions } from './call-options';
import { armScope } from './credentials';
import { ArmError, parseRetryAfter, readErrorBody, translateError } from './errors';
import { upgradeProfileOf, type UpgradeProfile } from './upgrade-profile';

/** The version that `@azure/arm-containerservice` 25.3.0 speaks; it shows `kubernetesResourceObjectEncryptionProfile`. */
const API_VERSION = '2026-04-01';

/** The code of a change that was not sent because ARM gave no entity tag to fence it with. */
export const ENTITY_TAG_MISSING = 'EntityTagMissing';

const OperationBody = z.object({
  status: z.string(),
  startTime: z.string().nullish(),
  endTime: z.string().nullish(),
});

export type { ClusterSnapshot } from './cluster-body';

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

/** What Keyturn asks of managed clusters. Everything throws `ArmError` or `TokenError`. */
export interface ManagedClusters {
  read(resourceId: string, options?: CallOptions): Promise<ClusterSnapshot>;
  /**
   * PUTs the whole cluster with one change, fenced by the entity tag that it was read with. A change of the power state is a POST, which
   * ARM does not fence.
   * @returns the URL of the long-running operation, when ARM gave one that is its own
   * @throws ArmError `EntityTagMissing`, with nothing sent: without a fence the PUT could undo another client's change;
   *         `AgentPoolMissing`, with nothing sent: the change is of a pool that the cluster does not have
   */
  putChange(
    cluster: ClusterSnapshot,
    change: ClusterChange,
    options?: CallOptions,
  ): Promise<{ operationUrl?: string; retryAfterInMs?: number }>;
  /**
   * PUTs a whole cluster that is to be made, or one whose creation failed.
   * @param fence `ifNoneMatch`: ARM refuses when there is one
   * @returns as `putChange`
   */
  create(
    resourceId: string,
    body: unknown,
    fence: Pick<ArmRequest, 'ifMatch' | 'ifNoneMatch'>,
    options?: CallOptions,
  ): Promise<{ operationUrl?: string; retryAfterInMs?: number }>;
  operation(operationUrl: string, options?: CallOptions): Promise<OperationState>;
  /** What AKS offers to upgrade the cluster to. */
  upgradeProfile(resourceId: string, options?: CallOptions): Promise<UpgradeProfile>;
  /** Every cluster that Keyturn's identity can read, in every subscription, and which subscriptions refused. */
  listEverywhere(options?: CallOptions): Promise<ClusterList>;
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
  const startedOperation = (response: ArmResponse): { operationUrl?: string; retryAfterInMs?: number } => {
    const operationUrl = response.header('azure-asyncoperation');
    return {
      // A URL of another host would get our token. Without a URL of ARM, Keyturn polls the resource itself.
      operationUrl: operationUrl !== undefined && arm.owns(operationUrl) ? operationUrl : undefined,
      retryAfterInMs: parseRetryAfter(response.header('retry-after')),
    };
  };

  return {
    async read(resourceId, { abortSignal } = {}) {
      const { body } = await arm.request({ method: 'GET', url: urlOf(resourceId), abortSignal });
      return snapshotOf(body);
    },

    async putChange(cluster, change, { abortSignal } = {}) {
      if (change.type === 'power') {
        const action = change.to === 'Stopped' ? 'stop' : 'start';
        const url = urlOf(cluster.observed.resourceId, `/${action}`);
        return startedOperation(await arm.request({ method: 'POST', url, abortSignal }));
      }
      if (!cluster.body.eTag) {
        throw new ArmError({
          code: ENTITY_TAG_MISSING,
          message:
            "Azure gave no eTag for the cluster, so the change could have overwritten another client's change. Nothing was sent.",
          retryable: false,
        });
      }
      if (change.type === 'pool-version' && !hasPool(cluster.body, change.pool)) {
        throw new ArmError({
          code: 'AgentPoolMissing',
          message: `The cluster has no agent pool ${change.pool} any more. Nothing was sent.`,
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
      return startedOperation(response);
    },

    async create(resourceId, body, fence, { abortSignal } = {}) {
      return startedOperation(
        await arm.request({ method: 'PUT', url: urlOf(resourceId), body, ...fence, abortSignal }),
      );
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

    async upgradeProfile(resourceId, { abortSignal } = {}) {
      const url = `${mustParse(resourceId).resourceId}/upgradeProfiles/default?api-version=${API_VERSION}`;
      const { body } = await arm.request({ method: 'GET', url, abortSignal });
      return upgradeProfileOf(body);
    },

    listEverywhere: ({ abortSignal } = {}) => listEverywhere(arm, API_VERSION, abortSignal),

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

function hasPool({ properties }: ClusterBody, pool: string): boolean {
  return (properties.agentPoolProfiles ?? []).some(({ name }) => name === pool);
}

function urlOf(resourceId: string, action = ''): string {
  return `${mustParse(resourceId).resourceId}${action}?api-version=${API_VERSION}`;
}

function mustParse(resourceId: string): NonNullable<ReturnType<typeof parseClusterId>> {
  const parsed = parseClusterId(resourceId);
  if (!parsed) throw new Error(`"${resourceId}" is not the resource id of a managed cluster.`);
  return parsed;
}
