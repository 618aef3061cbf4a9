/**
 * Key versions that operations of a cluster made and never set: what an operation leaves that Azure refused and a person canceled.
 *
 * Does: reads signed evidence, which has what each operation made and how far it got.
 * Never does: call a version free. Another cluster may use it, and only a person decides about keys.
 */
import { isMadeBy } from './encryption';
import type { Warning } from './plan/plan';
import { madeKeys } from './plan/outputs';
import type { Ledger } from './ledger';
import { sameKeyId } from './resource-ids';
import type { SealedOperation } from './trusted-ledger';

/** A key version that was made for the cluster and is not known to have been set. */
export interface UnusedVersion {
  readonly keyId: string;
  readonly operationId: string;
}

/**
 * The newest one; undefined when there is none.
 * @param records evidence of operations on one cluster, signatures verified
 * @param reported the key that Azure reports
 */
export function newestUnused(
  records: readonly SealedOperation[],
  ledger: Ledger | null,
  reported: string | null,
): UnusedVersion | undefined {
  const used = records.flatMap(setByOthers);
  const inLedger = (ledger?.generations ?? [])
    .filter(({ state }) => state !== 'abandoned' && state !== 'activating')
    .flatMap(({ keyId }) => keyId ?? []);
  const known = [...used, ...inLedger, ...(reported === null ? [] : [reported])];
  return [...records]
    .sort((one, other) => (one.sealedAt < other.sealedAt ? 1 : -1))
    .flatMap((record) => leftBy(record))
    .find(({ keyId }) => !known.some((one) => sameKeyId(one, keyId)));
}

/** The warning for a plan that makes another one. */
export function unusedVersionWarning({ keyId, operationId }: UnusedVersion): Warning {
  return {
    code: 'UnusedKeyVersion',
    detail: `The operation ${operationId} made the key version ${keyId} and was not seen to set it. This plan makes another one. To use that one instead, ask again with it as \`keyId\`.`,
    volatile: true,
  };
}

/** Versions that an operation made and did not see set. */
function leftBy({ operation: { id, plan, steps }, outputs }: SealedOperation): UnusedVersion[] {
  return Object.entries(madeKeys(outputs)).flatMap(([step, keyId]) => {
    const set = (plan?.steps ?? []).find((one) => one.type === 'set-kms' && isMadeBy(one.to, step));
    const isSet = steps.some((one) => one.id === set?.id && one.status === 'done');
    return isSet ? [] : [{ keyId, operationId: id }];
  });
}

/** Keys that an operation began to set by their id. */
function setByOthers({ operation: { plan, steps } }: SealedOperation): string[] {
  return (plan?.steps ?? []).flatMap((step) => {
    if (step.type !== 'set-kms' || step.to.mode !== 'on' || typeof step.to.key !== 'string') return [];
    const begun = steps.some(({ id, startedAt }) => id === step.id && startedAt !== undefined);
    return begun ? [step.to.key] : [];
  });
}
