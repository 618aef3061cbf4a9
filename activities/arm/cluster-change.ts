/**
 * One change of a managed cluster in ARM, of any type: submit it, wait for it, verify it.
 *
 * Does: one fenced PUT of the whole cluster; everything else reads.
 * Never does: PUT while ARM reports the change already, while ARM is busy, or over another client's change; call a change
 *             done that the cluster itself does not show.
 */
import type { AzureAccess } from '../../azure/access';
import { ArmError } from '../../azure/errors';
import { ENTITY_TAG_MISSING } from '../../azure/managed-clusters';
import {
  describeChange,
  describeKms,
  describeProfile,
  describeReported,
  hasProfile,
  isApplied,
  isBusy,
  isUnderWay,
  type ClusterChange,
  type KmsProfile,
} from '../../domain/cluster-change';
import { reportedKeyId, type ObservedCluster } from '../../domain/observed';
import type { ArmOperation } from '../../domain/plan/outputs';
import { identityRefusal, needsPerson, sentenceOf, tryAgain } from '../failures';
import { heartbeating, type Running } from '../running';
import { awaitOperation, AWAIT_LIMITS, type AwaitLimits } from './await-operation';

const BUSY_RETRY_IN_MS = 15_000;

/** A change, and the cluster that it is of. */
export interface ChangeOfCluster {
  readonly cluster: string;
  readonly change: ClusterChange;
}

type Clusters = Pick<AzureAccess, 'clusters'>;

/**
 * Asks ARM for the change, once. When ARM reports the change already, nothing is sent, except after a failed change: then the
 * same PUT is sent again, which is how AKS leaves the state Failed. A stop or start that is under way is waited for, whoever asked for it.
 * @param beforeWrite looks once more whether it may be sent; right before that
 * @throws ApplicationFailure as activities/contract/azure.ts says; ArmError, TokenError
 */
export async function submitClusterChange(
  { clusters }: Clusters,
  { cluster, change, expect }: ChangeOfCluster & { readonly expect: KmsProfile },
  abortSignal: AbortSignal,
  beforeWrite: () => Promise<void> = () => Promise.resolve(),
): Promise<{ operationUrl?: string; submitted: boolean }> {
  const snapshot = await clusters.read(cluster, { abortSignal });
  const { observed } = snapshot;
  const { provisioningState } = observed;
  const applied = isApplied(observed, change);
  const broken = provisioningState === 'Failed' || provisioningState === 'Canceled';
  if (isUnderWay(provisioningState, change)) return { submitted: false };
  // A cluster that is being stopped reports that it runs: its power state counts when Azure is done.
  const counts = change.type !== 'power' || !isBusy(provisioningState);
  if (applied && !broken && counts) return { submitted: false };
  if (isBusy(provisioningState)) throw busy(provisioningState);
  // A cluster that this operation stopped is started, whatever it reports.
  if (change.type !== 'power' || change.to !== 'Running') requireExpected(observed, change, expect);
  await beforeWrite();
  try {
    const { operationUrl } = await clusters.putChange(snapshot, change, { abortSignal });
    return { submitted: true, ...(operationUrl === undefined ? {} : { operationUrl }) };
  } catch (error) {
    throw refusalOf(error, describeReported(observed, change));
  }
}

/**
 * The key that Azure reports before a change; null when KMS is off.
 * @throws ApplicationFailure `ClusterChangedOutside`, non-retryable, when the cluster is neither as expected nor changed already
 */
export async function reportedKey(
  { clusters }: Clusters,
  { cluster, change, expect }: ChangeOfCluster & { readonly expect: KmsProfile },
  abortSignal: AbortSignal,
): Promise<string | null> {
  const { observed } = await clusters.read(cluster, { abortSignal });
  requireExpected(observed, change, expect);
  return reportedKeyId(observed);
}

function requireExpected(observed: ObservedCluster, change: ClusterChange, expect: KmsProfile): void {
  if (isApplied(observed, change) || hasProfile(observed.kms, expect)) return;
  throw needsPerson(
    'ClusterChangedOutside',
    `Azure reports ${describeKms(observed.kms)}, but ${describeProfile(expect)} was expected. Another client changed the cluster; ` +
      'Keyturn sent nothing. Find out who and why, and start a new operation.',
  );
}

/**
 * Waits until ARM is done and the cluster shows the change.
 * @throws ApplicationFailure as activities/contract/azure.ts says; ArmError, TokenError
 */
export async function awaitClusterChange(
  { clusters }: Clusters,
  input: ChangeOfCluster & { readonly operationUrl?: string },
  running: Running,
  limits: AwaitLimits = AWAIT_LIMITS,
): Promise<ArmOperation> {
  let waitsFor = 'Azure to answer';
  const tell = (text: string): void => {
    waitsFor = text;
    running.heartbeat({ waitsFor });
  };
  return await heartbeating(
    running,
    () => ({ waitsFor }),
    () => awaitOperation(clusters, input, { signal: running.signal, tell, limits }),
  );
}

/**
 * @throws ApplicationFailure `ClusterBusy` while Azure changes the cluster; `ClusterChangedOutside` and `KeyNotReported`, non-retryable; ArmError, TokenError
 */
export async function verifyCluster(
  { clusters }: Clusters,
  { cluster, change }: ChangeOfCluster,
  abortSignal: AbortSignal,
): Promise<{ keyId: string | null; provisioningState: string; eTag?: string }> {
  const { observed } = await clusters.read(cluster, { abortSignal });
  const { kms, provisioningState, eTag } = observed;
  if (isBusy(provisioningState)) throw busy(provisioningState);
  if (!isApplied(observed, change) || provisioningState !== 'Succeeded') {
    throw needsPerson(
      // Another encryption is another client's doing; with the right one, the cluster is in a state that ends by a person only.
      isApplied(observed, change) ? 'KeyNotReported' : 'ClusterChangedOutside',
      `Azure reports ${describeKms(kms)} in the provisioning state ${provisioningState}; ${describeChange(change)} and Succeeded were expected. ` +
        'Keep every key that the cluster used enabled and unexpired, find out who changed the cluster, then retry.',
    );
  }
  const keyId = change.type === 'kms' && change.to.mode === 'on' ? change.to.keyId : null;
  return { keyId, provisioningState, ...(eTag === undefined ? {} : { eTag }) };
}

function busy(provisioningState: string): Error {
  return tryAgain(
    'ClusterBusy',
    `Azure is busy with the cluster: its provisioning state is ${provisioningState}.`,
    BUSY_RETRY_IN_MS,
  );
}

/**
 * "Busy" and "another client was faster" end by themselves, and the next try reads again; any other refusal needs a person.
 * @param reported what the cluster reported before, to complete "Azure reported …"
 */
export function refusalOf(error: unknown, reported: string): unknown {
  if (!(error instanceof ArmError)) return error;
  if (error.code === ENTITY_TAG_MISSING) {
    return needsPerson('EntityTagMissing', `${error.message} Retry; if it goes on, ask Azure support.`, error);
  }
  if (error.status === undefined) return error;
  const forIdentity = identityRefusal(error.code);
  if (forIdentity !== undefined) return needsPerson('IdentityLacksKeyAccess', forIdentity, error);
  const sentence = `Azure did not accept the change of the cluster: ${sentenceOf(error)}`;
  if (error.retryable && (error.status === 409 || error.status === 412)) {
    return tryAgain('ClusterBusy', sentence, error.retryAfterInMs ?? BUSY_RETRY_IN_MS, error);
  }
  if (error.retryable || error.status === 401) return error;
  const state = `Keyturn changed nothing with this request; right before it, Azure reported ${reported}. Keep every key listed under keysNeeded.`;
  return needsPerson('ArmRequestRefused', `${sentence} ${state} Remove the cause, then retry; or cancel.`, error);
}
