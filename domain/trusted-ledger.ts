/**
 * How far Keyturn trusts the ledger (DESIGN.md section 9). It is stored in the cluster, where other clients may write: its
 * entries are claims. `proven` saves the proof before a rotation (K2), so it counts only with signed evidence.
 */
import type { EvidenceRecord } from './evidence';
import { currentGeneration, type Generation, type Ledger } from './ledger';
import { proofsOf, type RecordedProof } from './plan/outputs';
import { clusterLockId } from './resource-ids';

/** The parts of evidence that the ledger is checked against. */
export type SealedOperation = Pick<EvidenceRecord, 'operation' | 'sealedAt' | 'outputs'>;

/**
 * Whether evidence confirms that the ledger's current generation is proven. True when the ledger does not claim it.
 * @param records of operations on any cluster, their signatures verified
 */
export function isConfirmed(ledger: Ledger, cluster: string, records: readonly SealedOperation[]): boolean {
  if (currentGeneration(ledger)?.state !== 'proven') return true;
  const ofCluster = records.filter(({ operation }) => isOf(operation.request.cluster, cluster));
  const found = proofOf(ledger, ofCluster);
  if (!found) return false;
  const { own, recorded } = found;
  // A proof holds until the next switch begins, in its own operation or in a later one: from then on API servers may have
  // written with another key, even if the first one is current again. So a ledger that was set back to an older state is not
  // trusted.
  if (beganToSwitch(own, recorded.step)) return false;
  return !ofCluster.some((other) => other !== own && beganToSwitch(other) && other.sealedAt >= own.sealedAt);
}

/**
 * Whether the cluster was changed in Azure since its current generation was proven. A person may have set another key for a while:
 * Azure reports the proven one again, and Secrets are under the other.
 * @param eTag the entity tag that Azure gives now
 */
export function isChangedSinceProof(
  ledger: Ledger,
  cluster: string,
  records: readonly SealedOperation[],
  eTag: string | undefined,
): boolean {
  const ofCluster = records.filter(({ operation }) => isOf(operation.request.cluster, cluster));
  return proofOf(ledger, ofCluster)?.recorded.eTag !== eTag;
}

/** The evidence of the proof that the ledger names for its current generation. */
function proofOf(
  ledger: Ledger,
  records: readonly SealedOperation[],
): { readonly own: SealedOperation; readonly recorded: RecordedProof } | undefined {
  const current = currentGeneration(ledger);
  if (current?.proof === undefined) return undefined;
  const { proof, keyId } = current;
  const own = records.find(({ operation }) => operation.id === proof.operationId);
  const recorded = own && recordedIn(own).find((proven) => isTheSame(proven, keyId, proof));
  return own && recorded ? { own, recorded } : undefined;
}

/** What signed evidence and Azure say of the ledger's claim that every Secret is under its current generation. */
export interface LedgerTrust {
  readonly confirmed: boolean;
  /** It is confirmed, and the cluster was changed in Azure since. */
  readonly changedSinceProof: boolean;
}

/** Whether the ledger makes that claim: without it, evidence has nothing to confirm. */
export function claimsProof(ledger: Ledger | null): ledger is Ledger {
  return ledger !== null && currentGeneration(ledger)?.state === 'proven';
}

/** @param eTag the entity tag that Azure gives now */
export function trustIn(
  ledger: Ledger,
  cluster: string,
  records: readonly SealedOperation[],
  eTag: string | undefined,
): LedgerTrust {
  const confirmed = isConfirmed(ledger, cluster, records);
  return { confirmed, changedSinceProof: confirmed && isChangedSinceProof(ledger, cluster, records, eTag) };
}

/** The ledger as far as it may be trusted: without confirmation the current key is in use, and not proven. */
export function trustedLedger(ledger: Ledger, confirmed: boolean): Ledger {
  if (confirmed) return ledger;
  const current = currentGeneration(ledger);
  return {
    ...ledger,
    generations: ledger.generations.map((generation): Generation => {
      if (generation !== current) return generation;
      const { proof: _claimed, ...rest } = generation;
      return { ...rest, state: 'activated' };
    }),
  };
}

function recordedIn({ operation: { plan }, outputs }: SealedOperation): RecordedProof[] {
  return plan ? proofsOf(plan, outputs) : [];
}

/** @param after a step's id: only switches of later steps count */
function beganToSwitch({ operation: { plan, steps } }: SealedOperation, after?: string): boolean {
  const all = plan?.steps ?? [];
  return all
    .slice(all.findIndex(({ id }) => id === after) + 1)
    .some(({ id, type }) => type === 'set-kms' && steps.some((step) => step.id === id && step.startedAt !== undefined));
}

function isTheSame(proven: RecordedProof, keyId: string | null, claimed: NonNullable<Generation['proof']>): boolean {
  return proven.keyId === keyId && proven.convergedRv === claimed.convergedRv && proven.secrets === claimed.secrets;
}

function isOf(cluster: string, other: string): boolean {
  return clusterLockId(cluster) === clusterLockId(other);
}
