/** The demo's story: the request, the plan, the refused and the given approvals, and the progress to the end. */
import { randomUUID } from 'node:crypto';
import type { SandboxFacts } from '../launch/sandbox';
import { isFinal, type StepState } from '../domain/operation';
import type { PlanStep } from '../domain/plan/steps';
import { ApiClient, ApiProblem, type OperationAnswer } from './api-client';
import { bold, confirm, dim, heading, say } from './terminal';

/** What is asked for, and by whom. */
export interface DemoRequest {
  readonly apiUrl: string;
  readonly people: SandboxFacts['people'];
  readonly cluster: string;
  readonly kind: string;
  readonly parameters: Readonly<Record<string, unknown>>;
  /** Why, in the words of the change-management system. */
  readonly reason: string;
  /** Approve as the second person without asking. */
  readonly yes: boolean;
}

type Gate = Extract<PlanStep, { readonly type: 'gate' }>;

const CHANGE_NUMBER = 'CHG0030192';
const LONG_POLL_IN_SECONDS = 1;

/** Runs one operation through the API and shows it. Resolves when the operation has ended, or is blocked. */
export async function askAndFollow(request: DemoRequest): Promise<OperationAnswer> {
  const { apiUrl, people, kind, cluster, parameters, reason } = request;
  const requester = new ApiClient(apiUrl, people.requester.token);

  heading(`1. The change-management system asks for ${kind}, as ${people.requester.name}`);
  const body = { kind, cluster, parameters, change: { number: CHANGE_NUMBER, reason } };
  const { status, operation: asked } = await requester.create(body, randomUUID());
  say(`POST /v1/operations, change ${CHANGE_NUMBER}: ${status}, operation ${bold(asked.id)}`);

  heading('2. The plan');
  const planned = await follow(requester, asked, ({ plan, status: now }) => plan !== null || isFinal(now));
  if (!planned.plan) return planned;
  showPlan(planned);

  heading('3. Four eyes');
  await showRefusal(requester, planned, people.requester.name);
  return await approveAndFollow(request, requester, planned);
}

/** Has each gate approved when it opens, and shows the progress in between. */
async function approveAndFollow(
  { apiUrl, people, yes }: DemoRequest,
  requester: ApiClient,
  planned: OperationAnswer,
): Promise<OperationAnswer> {
  const { name, token } = people.approver1;
  const approver = new ApiClient(apiUrl, token);
  const approved = new Set<string>();
  const shown = new Map<string, string>();
  for (let operation = planned; ;) {
    operation = await follow(
      requester,
      operation,
      (now) => isFinal(now.status) || now.status === 'Blocked' || openGate(now, approved) !== undefined,
      (now) => showProgress(now, shown),
    );
    const gate = openGate(operation, approved);
    if (gate === undefined) return operation;
    say(`   The gate ${bold(gate.id)}: ${gate.reason}`);
    if (!yes && !(await confirm(`Approve ${bold(gate.id)} as ${name}?`))) {
      const changed = approved.size === 0 ? 'Nothing was changed.' : 'The sandbox is stopped, and its cluster with it.';
      throw new Error(`${name} did not approve ${gate.id}. ${changed}`);
    }
    operation = await approver.approve(operation.id, operation.plan?.digest ?? '', gate.id);
    approved.add(gate.id);
    say(`   ${name} approves ${gate.id}.`);
    if (approved.size === 1) heading('4. Progress');
  }
}

/** The gate that waits for an approval; undefined while none does. */
function openGate({ offers, plan, steps }: OperationAnswer, approved: ReadonlySet<string>): Gate | undefined {
  if (!offers.includes('approve')) return undefined;
  const running = steps.find(({ status }) => status === 'running');
  const gate = plan?.steps.find((step): step is Gate => step.id === running?.id && step.type === 'gate');
  return gate === undefined || approved.has(gate.id) ? undefined : gate;
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
