/**
 * Whether a proof may still be recorded. It speaks of the time from convergence to its last look; whatever changes the
 * cluster after that, the proof does not know of. So what may have changed it voids the proof, and it is taken again.
 */
import { parseKeyId } from './resource-ids';

/**
 * How old a proof may be when it is recorded. Setting a key takes Azure minutes, so nobody sets another key and sets this one
 * again in a shorter time.
 */
export const PROOF_HOLDS_FOR_MS = 60_000;

/** What happened between a proof and its record. */
export interface SinceProof {
  /** Blocks, retries and losses of the lock until convergence was looked for. */
  readonly interruptionsBefore: number;
  /** The same, now. */
  readonly interruptionsNow: number;
  /** Since the last look of the proof. */
  readonly ageInMs: number;
  /** Null is plaintext. */
  readonly provenKeyId: string | null;
  /** What Azure reports, null that KMS is off; absent while it was not asked. */
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
