/**
 * Which keys an inspection and recover-key look at: those that API servers have in a slot, and those that a Secret may be under.
 *
 * After a key was set by hand nothing tells what the second slot holds. Then every key that the ledger needs counts (K1).
 */
import { keySlots, keysNeeded, reconcile, type Ledger } from './ledger';
import { reportedKeyId, type ObservedCluster } from './observed';
import type { SlotFacts } from './recovery';
import { needsKey } from './key-users';
import { sameKeyId } from './resource-ids';

/** A key, and the slot that it is in. */
export type RecoveryKey = Pick<SlotFacts, 'slot' | 'keyId'>;

/** Keys that are looked up, the newest of those that may be needed. */
const MOST_KEYS = 10;

/**
 * Keys that must stay enabled, unexpired and undeleted, by the ledger and what Azure reports. A change that failed has evicted none: the
 * API servers of before go on.
 */
export function keysNeededBy(
  cluster: Pick<ObservedCluster, 'kms' | 'provisioningState'>,
  ledger: Ledger | null,
  now: string,
): string[] {
  const needed = keysNeeded(reconcile(ledger ?? undefined, reportedKeyId(cluster), now));
  const before = ledger !== null && cluster.provisioningState === 'Failed' ? keysNeeded(ledger) : [];
  return [...before.filter((keyId) => !needsKey(needed, keyId)), ...needed];
}

/** @param ledger as the cluster has it, or the last evidence; null when there is none */
export function recoveryKeys(cluster: ObservedCluster, ledger: Ledger | null, now: string): RecoveryKey[] {
  const current = reportedKeyId(cluster);
  const agreed = reconcile(ledger ?? undefined, current, now);
  // AKS leaves the key in the profile when KMS goes off, and goes on reading with it.
  const left = current === null ? cluster.kms.keyId : undefined;
  const previous = keySlots(agreed)?.previous ?? left ?? null;
  const keys: RecoveryKey[] = [
    ...(current === null ? [] : [{ slot: 'current' as const, keyId: current }]),
    ...(previous === null ? [] : [{ slot: 'previous' as const, keyId: previous }]),
    ...keysNeededBy(cluster, ledger, now)
      .reverse()
      .map((keyId) => ({ slot: 'needed' as const, keyId })),
  ];
  return keys
    .filter(({ keyId }, index) => keys.findIndex((other) => sameKeyId(other.keyId, keyId)) === index)
    .slice(0, MOST_KEYS);
}
