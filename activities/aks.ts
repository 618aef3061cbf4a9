/**
 * The cluster's KMS key in ARM: set it, wait for it, check it.
 *
 * Does: one fenced PUT of the whole cluster; everything else reads.
 * Never does: PUT while ARM reports the key already, while ARM is busy, or over somebody else's change.
 */
import type { AzureAccess } from '../azure/access';
import { ArmError } from '../azure/errors';
import type { ClusterSnapshot, ManagedClusters } from '../azure/managed-clusters';
import type { ArmOperation } from '../domain/evidence';
import { parseKeyId, shortKeyId } from '../domain/resource-ids';
import { needsPerson, sentenceOf, tryAgain } from './failures';
import { heartbeating, sleep, type Running } from './running';

/** States that nothing moves out of by itself. Everything else (`Updating`, `Creating`, `Upgrading` …) is busy. */
const RESTING_STATES = new Set(['Succeeded', 'Failed', 'Canceled']);
const BUSY_RETRY_IN_MS = 15_000;
/** What the Azure SDK does when ARM does not say. */
const DEFAULT_POLL_IN_MS = 2_000;
const LONGEST_POLL_IN_MS = 60_000;
/** ARM reads may lag behind its writes for a moment: another key must be seen so often before it is believed. */
const MOST_STRANGE_READS = 5;

/**
 * Asks ARM to set the key, once. ARM reporting the key already is an answer, except after a failed change: then the same
 * key is asked for again, which is how AKS leaves the state Failed.
 * @throws ApplicationFailure as activities/contract.ts says; ArmError, TokenError
 */
export async function submitKey(
  { clusters }: Pick<AzureAccess, 'clusters'>,
  input: { readonly cluster: string; readonly keyId: string; readonly expectedKeyId: string },
  abortSignal: AbortSignal,
): Promise<{ operationUrl?: string; submitted: boolean }> {
  const snapshot = await clusters.read(input.cluster, { abortSignal });
  const { provisioningState, kms } = snapshot.observed;
  const isTarget = sameKey(kms.keyId, input.keyId);
  const broken = provisioningState === 'Failed' || provisioningState === 'Canceled';
  if (isTarget && kms.enabled && !broken) return { submitted: false };
  if (!RESTING_STATES.has(provisioningState)) {
    throw tryAgain(
      'ClusterBusy',
      `Azure is busy with the cluster: its provisioning state is ${provisioningState}.`,
      BUSY_RETRY_IN_MS,
    );
  }
  if (!kms.enabled || !(isTarget || sameKey(kms.keyId, input.expectedKeyId))) {
    throw needsPerson(
      'ClusterChangedOutside',
      `Azure reports ${kms.enabled && kms.keyId !== undefined ? `the key ${shortKeyId(kms.keyId)}` : 'that KMS is off'}, but ` +
        `${shortKeyId(input.expectedKeyId)} was expected. Somebody else changed the cluster; nothing was sent. Find out who and why, and start a new operation.`,
    );
  }
  try {
    const { operationUrl } = await clusters.putKey(snapshot, input.keyId, { abortSignal });
    return { submitted: true, ...(operationUrl === undefined ? {} : { operationUrl }) };
  } catch (error) {
    throw refusalOf(error);
  }
}

/**
 * Polls until ARM is done.
 * @throws ApplicationFailure as activities/contract.ts says; ArmError, TokenError
 */
export function awaitKey(
  { clusters }: Pick<AzureAccess, 'clusters'>,
  input: { readonly cluster: string; readonly keyId: string; readonly operationUrl?: string },
  running: Running,
): Promise<ArmOperation> {
  let status = 'unknown';
  const note = (seen: string): void => {
    status = seen;
    running.heartbeat({ status });
  };
  return heartbeating(
    running,
    () => ({ status }),
    async () => {
      if (input.operationUrl !== undefined) {
        const ended = await pollOperation(
          clusters,
          { ...input, operationUrl: input.operationUrl },
          running.signal,
          note,
        );
        if (ended !== undefined) return ended;
      }
      return pollCluster(clusters, input, running.signal, note);
    },
  );
}

/** @throws ApplicationFailure `KeyNotReported`, non-retryable; ArmError, TokenError */
export async function verifyKey(
  { clusters }: Pick<AzureAccess, 'clusters'>,
  input: { readonly cluster: string; readonly keyId: string },
  abortSignal: AbortSignal,
): Promise<{ keyId: string; provisioningState: string }> {
  const { kms, provisioningState } = (await clusters.read(input.cluster, { abortSignal })).observed;
  if (!kms.enabled || !sameKey(kms.keyId, input.keyId) || provisioningState !== 'Succeeded') {
    const key = kms.enabled ? shortKeyId(kms.keyId ?? 'no key') : 'no key (KMS is off)';
    throw needsPerson(
      'KeyNotReported',
      `Azure reports ${key} in the provisioning state ${provisioningState}; ${shortKeyId(input.keyId)} and Succeeded were expected. ` +
        'Keep both keys enabled, find out who changed the cluster, then retry.',
    );
  }
  return { keyId: input.keyId, provisioningState };
}

/** @returns undefined when ARM has forgotten the operation: the cluster itself must be asked then */
async function pollOperation(
  clusters: ManagedClusters,
  { cluster, operationUrl }: { readonly cluster: string; readonly operationUrl: string },
  signal: AbortSignal,
  note: (status: string) => void,
): Promise<ArmOperation | undefined> {
  for (;;) {
    let state;
    try {
      state = await clusters.operation(operationUrl, { abortSignal: signal });
    } catch (error) {
      if (error instanceof ArmError && error.status === 404) return undefined;
      throw error;
    }
    note(state.status);
    const { status, startedAt, endedAt, error } = state;
    if (status === 'Succeeded') return { operationUrl, status, startedAt, endedAt };
    if (status === 'Failed' || status === 'Canceled') throw failedOperation(cluster, status, error);
    await sleep(pollDelay(state.retryAfterInMs), signal);
  }
}

async function pollCluster(
  clusters: ManagedClusters,
  { cluster, keyId }: { readonly cluster: string; readonly keyId: string },
  signal: AbortSignal,
  note: (status: string) => void,
): Promise<ArmOperation> {
  for (let strangeReads = 0; ;) {
    const snapshot: ClusterSnapshot = await clusters.read(cluster, { abortSignal: signal });
    const { provisioningState, kms } = snapshot.observed;
    note(provisioningState);
    if (RESTING_STATES.has(provisioningState)) {
      if (provisioningState !== 'Succeeded')
        throw failedOperation(cluster, provisioningState, snapshot.provisioningError);
      if (sameKey(kms.keyId, keyId)) return { status: provisioningState };
      if (++strangeReads === MOST_STRANGE_READS) {
        throw needsPerson(
          'ClusterChangedOutside',
          `Azure is done with the cluster and reports ${shortKeyId(kms.keyId ?? 'no key')}, not ${shortKeyId(keyId)}. ` +
            'Somebody else changed it, or Azure undid the change. Keep all keys enabled, find out which, then retry.',
        );
      }
    }
    await sleep(DEFAULT_POLL_IN_MS, signal);
  }
}

function failedOperation(
  cluster: string,
  status: string,
  error: { readonly code?: string; readonly message?: string },
): Error {
  const why =
    error.code === undefined && error.message === undefined
      ? 'Azure gave no reason.'
      : [error.code, error.message].filter(Boolean).join(': ');
  return needsPerson(
    'ArmOperationFailed',
    `Azure's operation on ${cluster.split('/').at(-1)} ended ${status}. ${why} ` +
      'Some API servers may have the new key: keep both keys enabled and unexpired. Repair the cause, then retry.',
  );
}

/** Busy and "somebody was faster" end by themselves, and the next try reads again; any other refusal needs a person. */
function refusalOf(error: unknown): unknown {
  if (!(error instanceof ArmError) || error.status === undefined) return error;
  const sentence = `Azure did not take the change of the cluster's key: ${sentenceOf(error)}`;
  if (error.retryable && (error.status === 409 || error.status === 412)) {
    return tryAgain('ClusterBusy', sentence, error.retryAfterInMs ?? BUSY_RETRY_IN_MS, error);
  }
  if (error.retryable || error.status === 401) return error;
  return needsPerson('ArmRequestRefused', sentence, error);
}

function pollDelay(retryAfterInMs: number | undefined): number {
  return Math.min(LONGEST_POLL_IN_MS, Math.max(100, retryAfterInMs ?? DEFAULT_POLL_IN_MS));
}

/** One key has several spellings: host names are compared without case. */
function sameKey(a: string | undefined, b: string): boolean {
  if (a === undefined) return false;
  const [one, other] = [parseKeyId(a), parseKeyId(b)];
  return 'fault' in one || 'fault' in other ? a === b : one.kid === other.kid;
}
