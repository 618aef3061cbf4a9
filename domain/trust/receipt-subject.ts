/** What the receipt of a step is for. */
import { keyOf, type MadeKeys } from '../encryption';
import type { PlanStep } from '../plan/steps';
import type { ReceiptSubject } from './receipts';

/** The subject of a receipt: the step, and the key that it sees in use. @param made the keys that earlier steps made */
export function receiptSubject(
  of: Pick<ReceiptSubject, 'operationId' | 'planDigest'>,
  step: PlanStep,
  made: MadeKeys,
): ReceiptSubject {
  const ofStep = { ...of, step: step.id };
  // Converge and prove are about the key that API servers write with, which a step before them may have made.
  return step.type === 'converge' || step.type === 'prove' ? { ...ofStep, key: keyOf(step.to, made) } : ofStep;
}
