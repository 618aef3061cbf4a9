/**
 * Waits for a long-running operation of ARM, and for the cluster to show the change.
 *
 * Does: polls the operation, and reads the cluster in between. An operation that ended Succeeded is not enough: the cluster
 *       must show the change. If the operation never ends, the cluster's own state decides once it is no longer busy.
 * Never does: write.
 */
import { ArmError } from '../../azure/errors';
import type { ClusterSnapshot, ManagedClusters, OperationState } from '../../azure/managed-clusters';
import { describeChange, describeReported, isApplied, isBusy, type ClusterChange } from '../../domain/cluster-change';
import type { ArmOperation } from '../../domain/plan/outputs';
import { identityRefusal, needsPerson } from '../failures';
import { sleep } from '../running';
import { resourceName } from '../../domain/resource-ids';

/** How often Keyturn asks ARM, and when the state of the cluster decides. */
export interface AwaitLimits {
  /** Between two reads of the cluster, and between two polls when ARM does not say: what the Azure SDK does. */
  readonly pollInMs: number;
  /** The cluster is read after this many polls of the operation. */
  readonly pollsPerRead: number;
  /** When the cluster has not been busy for this long while its operation shows no end, its own state decides. */
  readonly restsInMs: number;
  /** ARM's reads may lag behind its writes for a moment: only after this many reads in a row without the change is it missing. */
  readonly strangeReads: number;
}

/** What operations use. */
export const AWAIT_LIMITS: AwaitLimits = { pollInMs: 2_000, pollsPerRead: 5, restsInMs: 180_000, strangeReads: 5 };

const LONGEST_POLL_IN_MS = 60_000;

/** What to wait for. */
export interface Awaited {
  readonly cluster: string;
  readonly change: ClusterChange;
  readonly operationUrl?: string;
}

interface Waiting {
  readonly signal: AbortSignal;
  /** Reports what it waits for, to complete "waiting for …". */
  readonly tell: (waitsFor: string) => void;
  readonly limits: AwaitLimits;
}

/**
 * @throws ApplicationFailure `ArmOperationFailed`, `ChangeNotApplied`, both non-retryable; ArmError, TokenError
 */
export async function awaitOperation(
  clusters: ManagedClusters,
  input: Awaited,
  waiting: Waiting,
): Promise<ArmOperation> {
  const ended = input.operationUrl === undefined ? undefined : await pollOperation(clusters, input, waiting);
  const status = await pollCluster(clusters, { ...input, ended: ended !== undefined }, waiting);
  if (ended) return ended;
  const { operationUrl } = input;
  return { ...(operationUrl === undefined ? {} : { operationUrl }), status, decidedBy: 'cluster' };
}

/** @returns undefined when the operation cannot tell: ARM has forgotten it, or the cluster has not been busy for long enough */
async function pollOperation(
  clusters: ManagedClusters,
  { cluster, change, operationUrl = '' }: Awaited,
  { signal, tell, limits }: Waiting,
): Promise<ArmOperation | undefined> {
  let restingSince: number | undefined;
  for (let polls = 1; ; polls++) {
    const state = await stateOf(clusters, operationUrl, signal);
    if (state === undefined) return undefined;
    const { status, startedAt, endedAt, error } = state;
    if (status === 'Succeeded') return { operationUrl, status, startedAt, endedAt };
    if (status === 'Failed' || status === 'Canceled') throw failedOperation(cluster, change, status, error);
    tell(`Azure: its operation on the cluster is ${status}`);
    if (polls % limits.pollsPerRead === 0) {
      const { provisioningState } = (await clusters.read(cluster, { abortSignal: signal })).observed;
      restingSince = isBusy(provisioningState) ? undefined : (restingSince ?? Date.now());
      if (restingSince !== undefined) {
        if (Date.now() - restingSince >= limits.restsInMs) return undefined;
        tell(`Azure: its operation on the cluster is ${status}, though the cluster is ${provisioningState}`);
      }
    }
    await sleep(Math.min(LONGEST_POLL_IN_MS, Math.max(100, state.retryAfterInMs ?? limits.pollInMs)), signal);
  }
}

/**
 * @returns undefined when ARM refuses for good to report this operation
 * @throws ArmError, TokenError when ARM or Entra did not answer
 */
async function stateOf(
  clusters: ManagedClusters,
  operationUrl: string,
  signal: AbortSignal,
): Promise<Pick<OperationState, 'status' | 'startedAt' | 'endedAt' | 'error' | 'retryAfterInMs'> | undefined> {
  try {
    return await clusters.operation(operationUrl, { abortSignal: signal });
  } catch (error) {
    if (!(error instanceof ArmError) || error.status === undefined || error.status === 401) throw error;
    if (!error.retryable) return undefined;
    // Not an end: Keyturn reads the cluster as well, so a URL that always fails cannot keep the operation waiting.
    return { status: `not to be read (${error.code})`, error: {}, retryAfterInMs: error.retryAfterInMs };
  }
}

/** @returns the provisioning state of a cluster that shows the change */
async function pollCluster(
  clusters: ManagedClusters,
  { cluster, change, ended }: Awaited & { readonly ended: boolean },
  { signal, tell, limits }: Waiting,
): Promise<string> {
  for (let strangeReads = 0; ;) {
    const snapshot: ClusterSnapshot = await clusters.read(cluster, { abortSignal: signal });
    const { provisioningState } = snapshot.observed;
    const applied = isApplied(snapshot.observed, change);
    // Once the operation has ended, another change keeps the cluster busy or failed.
    if (ended && applied) return provisioningState;
    if (isBusy(provisioningState)) {
      tell(`Azure: the cluster is ${provisioningState}`);
      strangeReads = 0;
    } else {
      if (provisioningState !== 'Succeeded') {
        throw failedOperation(cluster, change, provisioningState, snapshot.provisioningError);
      }
      if (applied) return provisioningState;
      tell(`Azure to show ${describeChange(change)}`);
      if (++strangeReads === limits.strangeReads) {
        const accepted = ended ? 'accepted the change and ended its operation Succeeded' : 'is done with the cluster';
        throw needsPerson(
          'ChangeNotApplied',
          `Azure ${accepted}, but reports ${describeReported(snapshot.observed, change)} instead of ${describeChange(change)}. Azure dropped or undid the change, or ` +
            'another client changed the cluster. Keep all keys enabled, find out which, then retry: Keyturn sends the change again.',
        );
      }
    }
    await sleep(limits.pollInMs, signal);
  }
}

/** What a failed change that touches no key means. */
const AFTER_FAILURE: Readonly<Partial<Record<ClusterChange['type'], string>>> = {
  'vnet-integration': 'No key was changed; API Server VNet Integration may be on, which cannot be undone.',
  power: 'No key was changed; look at the power state of the cluster, which may be stopped (az aks start).',
};

function failedOperation(
  cluster: string,
  change: ClusterChange,
  status: string,
  error: { readonly code?: string; readonly message?: string },
): Error {
  const forIdentity = identityRefusal(error.code);
  if (forIdentity !== undefined) return needsPerson('IdentityLacksKeyAccess', forIdentity);
  const why =
    error.code === undefined && error.message === undefined
      ? 'Azure gave no reason.'
      : [error.code, error.message].filter(Boolean).join(': ');
  const next =
    status === 'Canceled'
      ? 'A client aborted it (`az aks operation-abort`): the activity log of the cluster says who. Retry, and Keyturn asks Azure for the change once more; or cancel.'
      : 'Fix the cause, then retry.';
  return needsPerson(
    'ArmOperationFailed',
    `Azure's operation on ${resourceName(cluster)} ended ${status}. ${why} ` +
      `${AFTER_FAILURE[change.type] ?? 'Some API servers may have the new key: keep it and every key of before enabled and unexpired.'} ${next}`,
  );
}
