/**
 * Looks which keys clusters need, in every subscription that Keyturn's identity can read: what ARM reports, and the ledgers inside
 * the clusters. Reads only.
 */
import { ApplicationFailure } from '@temporalio/common';
import pLimit from 'p-limit';
import type { AzureAccess } from '../azure/access';
import { AzureError } from '../azure/errors';
import type { ClusterKeys, KeyUsage } from '../domain/key-users';
import { keysNeeded } from '../domain/ledger';
import type { ClusterConnections } from './cluster-connections';
import { KubeError } from './kubernetes/errors';
import { readLedger } from './ledger';

/** Clusters that are read at the same time. */
const AT_A_TIME = 4;
/** A cluster that does not answer must not keep all others waiting. */
const LONGEST_READ_IN_MS = 20_000;
/** Nor may many of them outlast an activity of three minutes: what was not read by then counts as unread. */
const ALL_READ_WITHIN_MS = 90_000;

/** Runs work with a connection to any cluster. */
export type UseCluster = ClusterConnections['use'];

/**
 * @param allReadWithinMs what was not read by then counts as unread
 * @throws ArmError, TokenError when Azure does not list clusters at all
 */
export async function readKeyUsage(
  { clusters }: Pick<AzureAccess, 'clusters'>,
  use: UseCluster,
  signal: AbortSignal,
  allReadWithinMs = ALL_READ_WITHIN_MS,
): Promise<KeyUsage> {
  const listed = await clusters.listEverywhere({ abortSignal: signal });
  const limit = pLimit(AT_A_TIME);
  const allRead = AbortSignal.timeout(allReadWithinMs);
  const read = listed.clusters.map(({ resourceId, kms }) =>
    limit(async (): Promise<ClusterKeys> => ({
      cluster: resourceId,
      // With KMS off, too: Secrets may be stored under it still (K3).
      ...(kms.keyId === undefined ? {} : { current: kms.keyId }),
      privately: kms.networkAccess === 'Private',
      ledger: await ledgerKeys(resourceId, kms.keyId !== undefined, use, { signal, allRead }),
    })),
  );
  return {
    clusters: await Promise.all(read),
    refusedSubscriptions: listed.refused.map(({ subscriptionId }) => subscriptionId),
  };
}

/**
 * Null when it is not known which keys the cluster needs beside the one that Azure reports: its ledger cannot be read (the cluster is
 * stopped, private, or another team's), or it has a key and no ledger, so that its second slot may hold any key.
 */
async function ledgerKeys(
  cluster: string,
  hasKey: boolean,
  use: UseCluster,
  { signal, allRead }: { readonly signal: AbortSignal; readonly allRead: AbortSignal },
): Promise<string[] | null> {
  const limited = AbortSignal.any([signal, allRead, AbortSignal.timeout(LONGEST_READ_IN_MS)]);
  try {
    const ledger = await use(cluster, limited, (connection) => readLedger(connection, limited));
    if (ledger === null) return hasKey ? null : [];
    return keysNeeded(ledger);
  } catch (error) {
    signal.throwIfAborted();
    const outside = error instanceof AzureError || error instanceof KubeError || error instanceof ApplicationFailure;
    if (outside || limited.aborted) return null;
    throw error;
  }
}
