/**
 * What the API signed, verified where a workflow asks: whether an operation may begin, a decision counts, a record may be sealed. What is
 * not signed has a line in the audit log: somebody wrote to Temporal past the API.
 */
import type { Fault } from '../domain/errors';
import { recordFaults, type RecordChecks } from '../domain/trust/record-check';
import { textsDigest, type StatementVerifier, type Verb } from '../domain/trust/statements';
import type { AuditTrail } from '../evidence/audit-log';
import type { TrustRules } from './approved-plan';
import type { Activities } from './contract';
import { needsPerson, tryAgain } from './failures';

/** What statements are verified with, and where it is noted that one is not signed. */
export interface Verifying {
  readonly statements: StatementVerifier;
  readonly audit?: AuditTrail;
}

/** @throws ApplicationFailure `NotSigned`, non-retryable */
export async function requireSignedRequest(
  { statements, audit }: Verifying,
  operationId: string,
  { request: { signature, ...facts } }: Parameters<Activities['admitOperation']>[0],
): Promise<void> {
  const fault = statements.requestFault({ operationId, ...facts }, signature);
  if (fault !== undefined) await refuse(fault, audit, operationId, 'request');
}

/** @throws ApplicationFailure `NotSigned`, non-retryable */
export async function requireSignedDecision(
  { statements, audit }: Verifying,
  operationId: string,
  { verb, decision, words }: Parameters<Activities['verifyDecision']>[0],
): Promise<void> {
  const fault = statements.decisionFault(operationId, verb, decision);
  if (fault !== undefined) await refuse(fault, audit, operationId, verb);
  if (decision.texts === textsDigest(decision.by, words, decision.breakGlass)) return;
  const detail = 'The name or the words of the decision are not those that the API signed. It does not count.';
  await refuse({ code: 'NotSigned', detail }, audit, operationId, verb);
}

async function refuse(
  { code, detail }: Fault,
  audit: AuditTrail | undefined,
  operation: string,
  what: Verb | 'request',
): Promise<never> {
  await audit?.append({ event: 'not-signed', operation: operation.slice(0, 128), what });
  throw needsPerson(code, detail);
}

/**
 * Evidence says that people asked and approved, so it is only made of what the API signed.
 * @throws ApplicationFailure `NotSigned`, retryable: a key of the API, or an earlier one of evidence, may be missing in the settings of this worker
 */
export function requireSealable(
  { statements, minimumApprovals, receipts }: TrustRules & Pick<RecordChecks, 'receipts'>,
  operationId: string,
  record: Parameters<Activities['sealEvidence']>[0]['record'],
): void {
  const foreign = record.operation.id === operationId ? [] : ['The record is of another operation.'];
  // The input of an activity may have any member: a swept record need not be consistent.
  const swept = 'swept' in record ? ['Only the sweeper says that an operation was ended from outside.'] : [];
  const [first] = [...foreign, ...swept, ...recordFaults(record, { statements, minimumApprovals, receipts })];
  if (first !== undefined) throw tryAgain('NotSigned', `The evidence was not sealed. ${first}`);
}
