/**
 * Whether what a record says was allowed and is consistent: the signatures of request and decisions, the quorum of each gate, the digest
 * of the plan, the receipts of what proves, and that result and keys needed follow from what the steps gave.
 */
import { canonicalJson } from '../canonical';
import { isKeyKnown } from '../encryption';
import type { EvidenceRecord, UnsealedRecord } from '../evidence';
import { OperationStatus } from '../operation';
import { keysNeededNow, madeKeys, resultOf, type Outputs, type StepOutput } from '../plan/outputs';
import { digestOfPlan } from '../plan/plan';
import type { StepOf } from '../plan/steps';
import { isConclusive } from '../proof';
import { scopeFaults } from './plan-scope';
import { quorumFault } from './quorum';
import { receiptSubject } from './receipt-subject';
import type { Found, ReceiptVerifier } from './receipts';
import {
  factsOfRequest,
  textsDigest,
  type DecisionFacts,
  type Signed,
  type StatementVerifier,
  type Verb,
} from './statements';

/** What a record is checked with. */
export interface RecordChecks {
  /** Verifies the statements of the API; absent: nobody said which keys are the API's, and they are not checked. */
  readonly statements?: StatementVerifier;
  /** The fewest approvals of any gate. */
  readonly minimumApprovals: number;
  /** Verifies that workers found what the record says that they found. */
  readonly receipts: ReceiptVerifier;
}

type SignedDecision = DecisionFacts & Signed;

/** Everything that is wrong with a record, in sentences; empty when it holds. */
export function recordFaults(record: UnsealedRecord, checks: RecordChecks): string[] {
  const faults = [...statementFaults(record, checks), ...approvalFaults(record, checks)];
  // What the steps of a swept operation gave is lost.
  if (record.swept === true) return faults;
  // Without them nothing can be said of the key that a step was about.
  const unmade = unmadeKeyFaults(record);
  if (unmade.length > 0) return [...faults, ...unmade];
  return [...faults, ...receiptFaults(record, checks), ...consistencyFaults(record)];
}

function statementFaults(
  { operation, seal }: Pick<EvidenceRecord, 'operation' | 'seal'>,
  { statements }: RecordChecks,
): string[] {
  const { id, approvals, denial, acceptance, cancellation } = operation;
  const { signature, ...granted } = seal;
  const facts = { operationId: id, ...factsOfRequest({ ...operation, ...granted }) };
  const faults = [statements?.requestFault(facts, signature)?.detail];
  const decided = (verb: Verb, decision: SignedDecision, words?: string): void => {
    const fault = statements?.decisionFault(id, verb, decision);
    if (fault) faults.push(`${decision.by.name}, ${verb}: ${fault.detail}`);
    if (decision.texts !== textsDigest(decision.by, words, decision.breakGlass))
      faults.push(`${decision.by.name}, ${verb}: the name or the words are not those that the API signed.`);
  };
  for (const approval of approvals) decided('approve', approval, approval.comment);
  if (denial) decided('deny', denial, denial.comment);
  if (acceptance) decided('accept', acceptance, acceptance.reason);
  if (cancellation?.signature && cancellation.at !== undefined && cancellation.texts !== undefined) {
    const { at, texts, signature: own } = cancellation;
    decided('cancel', { ...cancellation, at, texts, signature: own }, cancellation.comment);
  }
  return faults.filter((fault) => fault !== undefined);
}

function approvalFaults(
  { operation, seal }: Pick<EvidenceRecord, 'operation' | 'seal'>,
  { minimumApprovals }: RecordChecks,
): string[] {
  const { plan, steps, approvals, requestedBy, endedAt } = operation;
  if (plan === null) return [];
  if (digestOfPlan(plan) !== plan.digest) return ['The digest of the plan is not that of the plan.'];
  const begun = steps.filter((step) => step.startedAt !== undefined && step.status !== 'pending');
  const gates = new Set(plan.steps.filter(({ type }) => type === 'gate').map(({ id }) => id));
  // The last one that began has all the gates before it that any other has.
  const last = begun.findLast(({ id }) => !gates.has(id));
  if (last === undefined) return [];
  const rules = { requestedBy, minimumApprovals, now: endedAt ?? '' };
  const faults = [quorumFault(plan, last.id, approvals, rules), ...scopeFaults(plan, seal.policy)];
  return faults.flatMap((fault) => (fault === undefined ? [] : [fault.detail]));
}

/** A step that began is about a key that is there, or that an earlier step made. */
function unmadeKeyFaults({
  operation: { plan, steps },
  outputs,
}: Pick<EvidenceRecord, 'operation' | 'outputs'>): string[] {
  const made = madeKeys(outputs);
  return (plan?.steps ?? []).flatMap((step) => {
    const begun = outputs[step.id] !== undefined || steps.some(({ id, startedAt }) => id === step.id && startedAt);
    if (!begun || !('to' in step) || typeof step.to === 'string' || isKeyKnown(step.to, made)) return [];
    return [`The step ${step.id} began, and the step that makes its key made none.`];
  });
}

/** What proves is signed by the worker that found it, and a proof follows from the convergence before it. */
function receiptFaults(
  { operation: { id, plan }, outputs }: Pick<EvidenceRecord, 'operation' | 'outputs'>,
  { receipts }: RecordChecks,
): string[] {
  if (plan === null) return [];
  return plan.steps.flatMap((step) => {
    const output = outputs[step.id];
    if (output === undefined) return [];
    const found = findingOf(output);
    const subject = receiptSubject({ operationId: id, planDigest: plan.digest }, step, madeKeys(outputs));
    const fault = found === undefined ? undefined : receipts.fault(subject, found)?.detail;
    return [fault, step.type === 'record-proof' ? recordedFault(step, outputs) : undefined].filter(
      (one) => one !== undefined,
    );
  });
}

/** What of an output carries a receipt; undefined when it is of a type that proves nothing. */
function findingOf(output: StepOutput): Found | undefined {
  if (output.type === 'take-baseline') return output.baseline;
  if (output.type === 'converge') return output.convergence;
  if (output.type === 'prove') return output.proof;
  if (output.type !== 'disable-key-version' && output.type !== 'prove-mount' && output.type !== 'prove-rotation')
    return undefined;
  const { type: _type, ...found } = output;
  return found;
}

function recordedFault({ id, proof }: StepOf<'record-proof'>, outputs: Outputs): string | undefined {
  const recorded = outputs[id];
  if (recorded?.type !== 'record-proof' || !recorded.proven) return undefined;
  const proven = outputs[proof];
  return proven?.type === 'prove' && isConclusive(proven.proof)
    ? undefined
    : `The step ${id} recorded a proof, and the step ${proof} gave none that is conclusive.`;
}

function consistencyFaults({ operation, outputs }: Pick<EvidenceRecord, 'operation' | 'outputs'>): string[] {
  const { plan, steps, status, result, keysNeeded } = operation;
  const same = (one: unknown, other: unknown): boolean => canonicalJson(one) === canonicalJson(other);
  const faults: string[] = [];
  if (plan === null) return status === OperationStatus.Succeeded ? ['The operation succeeded without a plan.'] : [];
  const undone = steps.filter((step) => step.status !== 'done').map(({ id }) => id);
  if (status === OperationStatus.Succeeded && undone.length > 0)
    faults.push(`The operation succeeded, and these steps were not done: ${undone.join(', ')}.`);
  for (const { id, type } of plan.steps) {
    const done = steps.some((step) => step.id === id && step.status === 'done');
    if (done && outputs[id]?.type !== type) faults.push(`The step ${id} was done and gave no output of its type.`);
  }
  if (faults.length > 0) return faults;
  if (status === OperationStatus.Succeeded && !same(result, resultOf(plan, outputs)))
    faults.push('The result is not what the outputs of the steps give.');
  if (!same(keysNeeded, keysNeededNow(plan, steps, outputs)))
    faults.push('The keys needed are not those that the outputs of the steps leave.');
  return faults;
}
