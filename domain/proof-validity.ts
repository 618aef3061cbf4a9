/**
 * Whether a proof may still be recorded. A proof covers the time from convergence to its last check of the API servers, and no
 * change of the cluster after that. So anything that may have changed the cluster since voids the proof, and Keyturn proves
 * again.
 */
import { parseKeyId } from './resource-ids';

/**
 * How old a proof may be when it is recorded. Setting a key takes Azure minutes, so no client can set another key and then
 * this one again in a shorter time.
 */
export const PROOF_HOLDS_FOR_MS = 60_000;

/** What happened between a proof and its record. */
export interface SinceProof {
  /** Blocks, retries and losses of the lock before the check for convergence began. */
  readonly interruptionsBefore: number;
  /** The same count, now. */
  readonly interruptionsNow: number;
  /** Since the last check that the proof made. */
  readonly ageInMs: number;
  /** Null is plaintext. */
  readonly provenKeyId: string | null;
  /** The key id that Azure reports; null when KMS is off; absent while Azure was not asked. */
  readonly reportedKeyId?: string | null;
}

/** Why a proof may not be recorded. */
export type VoidReason = 'interrupted' | 'too-old' | 'other-key';

/** Why a proof may not be recorded any more; undefined when it may. */
export function voidReason(since: SinceProof): VoidReason | undefined {
  const { interruptionsBefore, interruptionsNow, ageInMs, provenKeyId, reportedKeyId } = since;
  if (reportedKeyId !== undefined && kidOf(reportedKeyId) !== kidOf(provenKeyId)) return 'other-key';
  if (interruptionsNow !== interruptionsBefore) return 'interrupted';
  return ageInMs > PROOF_HOLDS_FOR_MS ? 'too-old' : undefined;
}

function kidOf(keyId: string | null): string | null {
  if (keyId === null) return null;
  const parsed = parseKeyId(keyId);
  return 'fault' in parsed ? keyId : parsed.kid;
}
