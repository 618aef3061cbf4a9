/**
 * Makes a managed cluster, once.
 *
 * Does: one PUT, fenced so that it makes a cluster and changes none. A second try finds by tags what the first one made. A creation that
 *       failed is asked for again with the same body, fenced by the entity tag of what it left.
 * Never does: write to a cluster that this operation did not make, or delete one.
 */
import type { AzureAccess } from '../../azure/access';
import { ArmError } from '../../azure/errors';
import { NONCE_TAG, OPERATION_TAG, type VersionMark } from '../../azure/keys';
import type { ClusterSnapshot } from '../../azure/managed-clusters';
import { describeKms, describeProfile, hasProfile, isBusy, type KmsProfile } from '../../domain/cluster-change';
import { newClusterBody } from '../../domain/cluster-to-make';
import type { ArmOperation } from '../../domain/plan/outputs';
import type { StepOf } from '../../domain/plan/steps';
import { needsPerson } from '../failures';
import type { Running } from '../running';
import type { AwaitLimits } from './await-operation';
import { awaitClusterChange, refusalOf } from './cluster-change';
import { resourceName } from '../../domain/resource-ids';

/** The cluster to make. */
export interface NewCluster {
  readonly cluster: string;
  readonly step: StepOf<'create-cluster'>;
  readonly kms: KmsProfile;
  readonly mark: VersionMark;
}

/**
 * Asks ARM for the cluster.
 * @returns the URL of ARM's operation; without one the cluster itself is polled
 * @throws ApplicationFailure `ClusterNotAsApproved`, `ArmRequestRefused`, `IdentityLacksKeyAccess`, all non-retryable; `ClusterBusy` when
 *         another try was faster; ArmError, TokenError
 */
export async function submitNewCluster(
  { clusters }: Pick<AzureAccess, 'clusters'>,
  { cluster, step, kms, mark }: NewCluster,
  abortSignal: AbortSignal,
): Promise<{ operationUrl?: string; submitted: boolean }> {
  const found = await readCluster(clusters, cluster, abortSignal);
  if (found) {
    requireOwn(found, mark);
    const { provisioningState } = found.observed;
    if (isBusy(provisioningState)) return { submitted: false };
    if (provisioningState === 'Succeeded') {
      requireEncrypted(found, kms);
      return { submitted: false };
    }
    if (found.body.eTag === undefined) {
      throw needsPerson(
        'EntityTagMissing',
        "Azure gave no eTag for the cluster whose creation failed, so another request could have overwritten another client's change. Nothing was sent. Retry; if it goes on, ask Azure support.",
      );
    }
  }
  const tags = { [OPERATION_TAG]: mark.operationId, [NONCE_TAG]: mark.nonce };
  const body = newClusterBody(step, kms, tags);
  try {
    const fence = found ? { ifMatch: found.body.eTag } : { ifNoneMatch: '*' as const };
    const { operationUrl } = await clusters.create(cluster, body, fence, { abortSignal });
    return { submitted: true, ...(operationUrl === undefined ? {} : { operationUrl }) };
  } catch (error) {
    throw refusalOf(error, found ? 'what the last try left' : 'no cluster of the name');
  }
}

/**
 * Waits until ARM is done and the cluster shows the encryption that it was asked for.
 * @throws as `awaitClusterChange`
 */
export async function awaitNewCluster(
  azure: Pick<AzureAccess, 'clusters'>,
  { cluster, operationUrl, kms }: Pick<NewCluster, 'cluster' | 'kms'> & { readonly operationUrl?: string },
  running: Running,
  limits: AwaitLimits,
): Promise<{ operation: ArmOperation; version: string }> {
  const change = { type: 'kms', to: kms } as const;
  const operation = await awaitClusterChange(azure, { cluster, operationUrl, change }, running, limits);
  const { observed } = await azure.clusters.read(cluster, { abortSignal: running.signal });
  return { operation, version: observed.kubernetesVersion };
}

async function readCluster(
  clusters: AzureAccess['clusters'],
  cluster: string,
  abortSignal: AbortSignal,
): Promise<ClusterSnapshot | undefined> {
  try {
    return await clusters.read(cluster, { abortSignal });
  } catch (error) {
    if (error instanceof ArmError && error.status === 404) return undefined;
    throw error;
  }
}

function requireEncrypted({ observed }: ClusterSnapshot, kms: KmsProfile): void {
  if (hasProfile(observed.kms, kms)) return;
  throw needsPerson(
    'ClusterChangedOutside',
    `The cluster that this operation made reports ${describeKms(observed.kms)} instead of ${describeProfile(kms)}: another client changed it. Keyturn sent nothing. Keep every key listed under keysNeeded, and the one that Azure reports. Find out who changed it; cancel, and ask for rewrite-secrets, which proves the Secrets under what is there.`,
  );
}

function requireOwn({ observed: { resourceId, tags } }: ClusterSnapshot, { operationId, nonce }: VersionMark): void {
  if (tags[OPERATION_TAG] === operationId && tags[NONCE_TAG] === nonce) return;
  throw needsPerson(
    'ClusterNotAsApproved',
    `There is a cluster ${resourceName(resourceId)} now that this operation did not make, or whose tags ${OPERATION_TAG} and ${NONCE_TAG} were changed. Keyturn sent nothing, and keys are as they were. Find out who made it. Cancel, and ask with another name; or delete it and retry.`,
  );
}
