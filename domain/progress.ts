/** The one text that API, CLI, Temporal UI and logs show of an operation's progress. Markdown, but readable as it is. */
import { OperationStatus, type Operation, type StepState } from './operation';
import { shortKeyId } from './resource-ids';

const MARKS: Record<StepState['status'], string> = {
  pending: '·',
  running: '▶',
  blocked: '■',
  done: '✓',
  skipped: '–',
};

/** Where the operation is, what it waits for and who may act. Pure: the same operation gives the same text. */
export function renderProgress(operation: Operation): string {
  return [headline(operation), ...waits(operation), ...plan(operation), ...steps(operation), ...keys(operation)].join(
    '\n',
  );
}

/** The first line alone, for lists and terminals. */
export function headline(operation: Operation): string {
  const current = operation.steps.findIndex(({ status }) => status === 'running' || status === 'blocked');
  const where = current < 0 ? '' : `, step ${current + 1} of ${operation.steps.length}`;
  const why = operation.reason ? `: ${operation.reason.detail}` : '';
  return `**${operation.status}**${where}${why}`;
}

function waits({ waitingFor, approvalDeadline, status, offers }: Operation): string[] {
  if (waitingFor === null) return [];
  const until =
    status === OperationStatus.AwaitingApproval && approvalDeadline !== null ? ` Until ${approvalDeadline}.` : '';
  const offered = offers.length > 0 ? ` Possible now: ${offers.join(', ')}.` : '';
  return ['', `Waiting for ${waitingFor}${until}${offered}`];
}

function plan({ plan: current, planRevision }: Operation): string[] {
  if (!current) return [];
  return [
    '',
    current.summary,
    '',
    `Plan ${planRevision}, digest \`${current.digest}\``,
    ...current.warnings.map(({ detail }) => `- Warning: ${detail}`),
  ];
}

function steps({ steps: all, progress }: Operation): string[] {
  if (all.length === 0) return [];
  return [
    '',
    ...all.map((step, index) => `${index + 1}. ${MARKS[step.status]} ${step.title}${outcome(step, progress)}`),
  ];
}

function outcome(step: StepState, progress: Operation['progress']): string {
  if (step.result !== undefined) return ` — ${step.result}`;
  if (step.status !== 'running' || progress?.step !== step.id) return '';
  const rate = progress.perSecond === undefined ? '' : `, ${Math.round(progress.perSecond)} a second`;
  return ` — ${progress.done} of ${progress.total}${rate}`;
}

function keys({ keysNeeded }: Operation): string[] {
  if (keysNeeded.length === 0) return [];
  return ['', `Keys that must stay enabled, unexpired and undeleted: ${keysNeeded.map(shortKeyId).join(', ')}`];
}
