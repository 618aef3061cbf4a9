/**
 * Every managed cluster that Keyturn's identity can read, in every subscription.
 *
 * Does: reads all pages, and says for which subscriptions that was refused: a list that is not whole never looks whole.
 * Never does: follow a link to another host than the cloud's ARM, or write.
 *
 * ARM leaves out what the identity may not read, and says nothing of it: a cluster in a resource group without a role for
 * Keyturn is not in the list, and not in `refused` either.
 */
import { z, ZodError } from 'zod';
import { parseClusterId } from '../domain/resource-ids';
import type { ArmClient } from './arm';
import { allPages } from './arm-pages';
import { KmsBody, normalKeyId } from './cluster-body';
import { ArmError } from './errors';
import { listSubscriptions } from './subscriptions';

const ListedBody = z.looseObject({
  id: z.string(),
  properties: z.looseObject({
    securityProfile: z.looseObject({ azureKeyVaultKms: KmsBody.nullish() }).nullish(),
  }),
});

/** A cluster of the list, and the key that it names. */
export interface ListedCluster {
  readonly resourceId: string;
  readonly kms: {
    readonly enabled: boolean;
    /**
     * As Azure reports it, also when KMS is off: AKS still reads older Secrets with it. Only the cluster's ledger
     * knows the key of the previous slot: ARM does not show it.
     */
    readonly keyId?: string;
    readonly networkAccess?: string;
  };
}

/** All that ARM shows. */
export interface ClusterList {
  readonly clusters: readonly ListedCluster[];
  /** Subscriptions that are there and were not listed to their end, with the reason in one sentence. */
  readonly refused: readonly { readonly subscriptionId: string; readonly why: string }[];
}

/**
 * @throws ArmError when the subscriptions themselves are not listed, and for what may succeed later; TokenError; the
 *         signal's reason
 */
export async function listEverywhere(
  arm: ArmClient,
  clustersVersion: string,
  abortSignal?: AbortSignal,
): Promise<ClusterList> {
  const all = await listSubscriptions(arm, { abortSignal });
  const clusters: ListedCluster[] = [];
  const refused: { subscriptionId: string; why: string }[] = [];
  for (const { subscriptionId } of all) {
    const url = `/subscriptions/${encodeURIComponent(subscriptionId)}/providers/Microsoft.ContainerService/managedClusters?api-version=${clustersVersion}`;
    try {
      clusters.push(...(await allPages(arm, url, ListedBody, abortSignal)).map(listedCluster));
    } catch (error) {
      const why = whyRefused(error);
      if (why === undefined) throw error;
      refused.push({ subscriptionId, why });
    }
  }
  return { clusters, refused };
}

function listedCluster({ id, properties }: z.infer<typeof ListedBody>): ListedCluster {
  const kms = properties.securityProfile?.azureKeyVaultKms;
  const keyId = normalKeyId(kms?.keyId);
  return {
    resourceId: parseClusterId(id)?.resourceId ?? id,
    kms: {
      enabled: kms?.enabled ?? false,
      ...(keyId === undefined ? {} : { keyId }),
      ...(kms?.keyVaultNetworkAccess ? { networkAccess: kms.keyVaultNetworkAccess } : {}),
    },
  };
}

/** One sentence for an answer that stays as it is; undefined when the next try may get another. */
function whyRefused(error: unknown): string | undefined {
  if (error instanceof ZodError) return 'Azure listed the clusters in a form that Keyturn does not know.';
  if (!(error instanceof ArmError) || error.retryable || error.status === 401) return undefined;
  const status = error.status === undefined ? '' : `HTTP ${error.status}, `;
  return `${error.message} (${status}${error.code})`;
}
