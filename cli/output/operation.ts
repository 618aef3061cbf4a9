/** Operations and plans as people read them at a terminal. */
import type { Operation, OperationSummary, Plan } from '../client/client';
import { MARKS } from '../../domain/progress';
import { resourceName, shortKeyId } from '../../domain/resource-ids';
import { cleanLine } from './clean';
import { pairs, table } from './table';

/** One step with how far it is. */
export type Step = Operation['steps'][number];

/** Everything that a person needs to decide about an operation. */
export function operationText(operation: Operation): string {
  const { plan, blockedSecrets } = operation;
  return [
    factsOf(operation),
    ...(plan === null ? [] : ['', planText(plan, operation.steps)]),
    ...(blockedSecrets === null ? [] : ['', blockedText(blockedSecrets)]),
    ...(operation.result === null ? [] : ['', resultText(operation.result)]),
    ...(operation.keysNeeded.length === 0 ? [] : ['', 'Keys that must stay enabled, unexpired and undeleted:']),
    ...operation.keysNeeded.map((key) => `  ${cleanLine(key)}`),
    ...(operation.offers.length === 0 ? [] : ['', nextText(operation)]),
  ].join('\n');
}

function factsOf(operation: Operation): string {
  const { request, requestedBy, approvals, reason, faults, evidence } = operation;
  const { number, reason: why } = request.change;
  return pairs([
    ['Operation', operation.id],
    ['Status', operation.status],
    ...faults.map(({ code, detail }): [string, string] => ['Why', `${code}: ${detail}`]),
    ['Why', faults.length === 0 && reason !== null ? `${reason.code}: ${reason.detail}` : null],
    ['Waits for', operation.waitingFor],
    ['Kind', operation.kind],
    ['Cluster', request.cluster],
    ['Change', why === undefined ? number : `${number}: ${why}`],
    ['Asked by', `${requestedBy.name} (${requestedBy.objectId}) at ${operation.requestedAt}`],
    ...approvals.map(({ by, at, gate, comment }): [string, string] => [
      'Approved',
      `${gate} by ${by.name} (${by.objectId}) at ${at}${comment === undefined ? '' : `: ${comment}`}`,
    ]),
    ['Approve by', operation.approvalDeadline],
    ['Ended', operation.endedAt],
    ['Evidence', evidence === null ? null : evidence.digest],
    ['Temporal UI', operation.links.temporalUi],
  ]);
}

/** A plan: what will be done, what to know, and each step. @param steps how far each is, where the operation has begun */
export function planText({ summary, digest, steps, warnings }: Plan, states: readonly Step[] = []): string {
  return [
    cleanLine(summary),
    `Plan digest ${digest}`,
    ...warnings.map(({ detail }) => `Warning: ${cleanLine(detail)}`),
    '',
    ...steps.map((step, index) => {
      const state = states.find(({ id }) => id === step.id);
      const mark = state === undefined ? '' : `${MARKS[state.status]} `;
      const outcome = state?.result === undefined ? '' : ` — ${cleanLine(state.result)}`;
      const line = `${String(index + 1).padStart(2)}. ${mark}${cleanLine(step.title)}${outcome}`;
      // Reasons are for the person who has not decided yet.
      return state?.startedAt === undefined ? `${line}\n      ${cleanLine(step.reason)}` : line;
    }),
  ].join('\n');
}

/** The Secrets that block a step. */
export function blockedText({ count, digest, secrets, acceptable }: NonNullable<Operation['blockedSecrets']>): string {
  const rows = secrets.map(({ namespace, name, reason, suggestion }) => [`${namespace}/${name}`, reason, suggestion]);
  return [
    `${count} Secret${count === 1 ? '' : 's'} block the step${acceptable ? '' : ', and cannot be accepted as they are'}. List digest ${digest}`,
    table(['SECRET', 'REASON', 'WHAT HELPS'], rows),
    ...(count > secrets.length ? [`and ${count - secrets.length} more: see the report of refused Secrets`] : []),
  ].join('\n');
}

function resultText({ previousKeyId, currentKeyId, keyId, rewrite, proof }: NonNullable<Operation['result']>): string {
  const name = (key: string | null): string => (key === null ? 'plaintext (KMS off)' : shortKeyId(key));
  return pairs([
    ['Key', `${name(previousKeyId)} -> ${name(currentKeyId)}`],
    ['Key ready', keyId],
    ['Rewritten', rewrite === null ? null : `${rewrite.rewritten} Secrets`],
    ['Proof', proof === null ? null : `${proof.secrets} Secrets, ${proof.unproven} not proven`],
  ]);
}

/** What can follow, as commands. */
export function nextText({ id, offers }: Pick<Operation, 'id' | 'offers'>): string {
  return ['Possible now:', ...offers.map((offer) => `  keyturn ${offer} ${id}`)].join('\n');
}

/** The line of an operation that goes by: for logs of pipelines. */
export function statusLine({ status, waitingFor, reason }: Operation): string {
  const why = reason === null ? '' : `: ${reason.code}: ${cleanLine(reason.detail)}`;
  return `${status}${why}${waitingFor === null ? '' : `, waits for ${cleanLine(waitingFor)}`}`;
}

/** A list of operations. */
export function listText(operations: readonly OperationSummary[]): string {
  if (operations.length === 0) return 'There are no such operations.';
  return table(
    ['OPERATION', 'STATUS', 'KIND', 'CLUSTER', 'CHANGE', 'ASKED BY', 'ASKED AT'],
    operations.map(({ id, status, kind, cluster, change, requestedBy, requestedAt, waitingForPeople }) => [
      id,
      waitingForPeople ? `${status} *` : status,
      kind,
      resourceName(cluster),
      change.number,
      requestedBy.name,
      requestedAt.replace(/\.\d+Z$/, 'Z'),
    ]),
  ).concat(operations.some(({ waitingForPeople }) => waitingForPeople) ? '\n* waits for people' : '');
}
