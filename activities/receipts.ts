/**
 * Receipts as activities use them: one signs what it found for its step, the next one verifies what it builds on.
 *
 * Never does: believe what a workflow hands in because it has the right shape. Whoever may write to Temporal may hand in anything.
 */
import type { MadeKeys } from '../domain/encryption';
import type { Plan } from '../domain/plan/plan';
import type { PlanStep } from '../domain/plan/steps';
import { receiptSubject } from '../domain/trust/receipt-subject';
import type { Found, Receipted, ReceiptVerifier } from '../domain/trust/receipts';
import { createReceiptVerifier, ownKeys, signReceipt } from '../evidence/receipts';
import type { EvidenceStore } from './evidence';
import { needsPerson } from './failures';

/** The step that something was found for, as the activity that asks knows it. */
export interface FoundFor {
  readonly operationId: string;
  readonly plan: Plan;
  readonly step: PlanStep;
}

/** Signs and verifies what activities find. */
export class Receipts {
  readonly verifier: ReceiptVerifier;
  readonly #key: EvidenceStore['key'];

  constructor(evidence: Pick<EvidenceStore, 'key' | 'earlierKeys'>) {
    this.#key = evidence.key;
    this.verifier = createReceiptVerifier(ownKeys(evidence));
  }

  /** Signs what was found for a step, as of now. */
  sign<T extends object>({ operationId, plan, step }: FoundFor, made: MadeKeys, found: T): Promise<Receipted<T>> {
    return signReceipt(this.#key, receiptSubject({ operationId, planDigest: plan.digest }, step, made), found);
  }

  /** @throws ApplicationFailure `OutputNotSigned`, non-retryable, unless a worker found it for this step */
  require({ operationId, plan, step }: FoundFor, made: MadeKeys, found: Found | undefined): void {
    const subject = receiptSubject({ operationId, planDigest: plan.digest }, step, made);
    const fault = this.verifier.fault(subject, found ?? {});
    if (fault === undefined) return;
    throw needsPerson(
      fault.code,
      `${fault.detail} Nothing was written. Keep every key listed under keysNeeded. Find out who changed the workflow in Temporal, cancel the operation, and ask for a new one.`,
    );
  }
}
