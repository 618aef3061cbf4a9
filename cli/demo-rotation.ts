/** The demo's story: the request, the plan, the refused and the given approval, and the progress to the end. */
import { randomUUID } from 'node:crypto';
import type { SandboxFacts } from '../launch/sandbox';
import { isFinal, type StepState } from '../domain/operation';
import { ApiClient, ApiProblem, type OperationAnswer } from './api-client';
import { bold, confirm, dim, heading, say } from './terminal';

/** Who rotates what. */
export interface DemoRotation {
  readonly apiUrl: string;
  readonly people: SandboxFacts['people'];
  readonly cluster: string;
  /** Approve as the second person without asking. */
  readonly yes: boolean;
}

const CHANGE_NUMBER = 'CHG0030192';
const LONG_POLL_IN_SECONDS = 1;

/** Runs one rotation through the API and shows it. Resolves when the operation has ended. */
export async function rotateAndFollow({ apiUrl, people, cluster, yes }: DemoRotation): Promise<OperationAnswer> {
  const requester = new ApiClient(apiUrl, people.requester.token);
  const approver = new ApiClient(apiUrl, people.approver1.token);

  heading(`1. The change-management system asks for rotate-key, as ${people.requester.name}`);
  const body = {
    kind: 'rotate-key',
    cluster,
    change: { number: CHANGE_NUMBER, reason: 'Yearly rotation of the encryption key' },
  };
  const { status, operation: asked } = await requester.create(body, randomUUID());
  say(`POST /v1/operations, change ${CHANGE_NUMBER}: ${status}, operation ${bold(asked.id)}`);

  heading('2. The plan');
  const planned = await follow(requester, asked, ({ plan, status: now }) => plan !== null || isFinal(now));
  if (!planned.plan) return planned;
  showPlan(planned);

  heading('3. Four eyes');
  await showRefusal(requester, planned, people.requester.name);
  if (!yes && !(await confirm(`Approve this plan as ${people.approver1.name}?`))) {
    throw new Error('The plan was not approved. Nothing was changed.');
  }
  const waiting = await follow(requester, planned, ({ offers }) => offers.includes('approve'));
  await approver.approve(waiting.id, waiting.plan?.digest ?? '');
  say(`${people.approver1.name} approved the plan.`);

  heading('4. Progress');
  const shown = new Map<string, string>();
  return await follow(
    requester,
    planned,
    ({ status: now }) => isFinal(now) || now === 'Blocked',
    (operation) => showProgress(operation, shown),
  );
}

/** Polls until something holds; the API answers sooner when the status changes. */
async function follow(
  client: ApiClient,
  from: OperationAnswer,
  until: (operation: OperationAnswer) => boolean,
  show: (operation: OperationAnswer) => void = () => undefined,
): Promise<OperationAnswer> {
  for (let operation = from; ; operation = await client.get(operation.id, LONG_POLL_IN_SECONDS)) {
    show(operation);
    // The evidence is sealed right after the end.
    if (until(operation) && (!isFinal(operation.status) || operation.evidence !== null)) return operation;
  }
}

function showPlan({ plan }: OperationAnswer): void {
  if (!plan) return;
  say(plan.summary, dim(`digest ${plan.digest}`), '');
  for (const [index, step] of plan.steps.entries()) say(`${index + 1}. ${step.title}`, dim(`   ${step.reason}`));
  for (const warning of plan.warnings) say('', `Warning: ${warning.detail}`);
}

async function showRefusal(requester: ApiClient, { id, plan }: OperationAnswer, name: string): Promise<void> {
  try {
    await requester.approve(id, plan?.digest ?? '');
  } catch (error) {
    if (!(error instanceof ApiProblem)) throw error;
    say(`${name} tries to approve: ${bold(`${error.status} ${error.code}`)}. ${error.detail}`);
    return;
  }
  throw new Error('The requester could approve their own request: this must never happen.');
}

function showProgress(operation: OperationAnswer, shown: Map<string, string>): void {
  for (const [index, step] of operation.steps.entries()) {
    const line = progressLine(step, operation);
    if (line === undefined || shown.get(step.id) === line) continue;
    shown.set(step.id, line);
    say(`${index + 1}. ${line}`);
  }
}

function progressLine(step: StepState, { progress }: OperationAnswer): string | undefined {
  if (step.status === 'pending' || step.status === 'skipped') return undefined;
  if (step.status === 'running') {
    return progress?.step === step.id ? `… ${step.title}: ${progress.done} of ${progress.total}` : `… ${step.title}`;
  }
  return `${step.status === 'done' ? '✓' : '■'} ${step.title}: ${step.result ?? ''}`;
}
