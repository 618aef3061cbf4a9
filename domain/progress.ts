/** The one text that API, CLI, Temporal UI and logs show of an operation's progress. Markdown, but readable as it is. */
import { inMarkdown } from './markdown';
import { OperationStatus, type Operation, type StepProgress, type StepState } from './operation';
import { shortKeyId } from './resource-ids';

/** Secrets named in this text for people; the API has the whole list. */
const SHOWN_SECRETS = 20;
/** What stands before a step. */
export const MARKS: Record<StepState['status'], string> = {
  pending: '·',
  running: '▶',
  blocked: '■',
  done: '✓',
  interrupted: '✗',
  skipped: '–',
};

/** Where the operation is, what it waits for and who may act. Pure: the same operation gives the same text. */
export function renderProgress(operation: Operation): string {
  return [
    headline(operation),
    ...waits(operation),
    ...blocked(operation),
    ...accepted(operation),
    ...brokenGlass(operation),
    ...plan(operation),
    ...steps(operation),
    ...keys(operation),
  ].join('\n');
}

/** The same for a page that shows Markdown: comments, reasons and names are shown as they were written, and mark up nothing. */
export function progressInMarkdown(operation: Operation): string {
  return renderProgress(eachText(operation, inMarkdown));
}

function headline(operation: Operation): string {
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
  if (all.length === 0) return progress === null ? [] : ['', `Census${counts(progress)}`];
  return [
    '',
    ...all.map((step, index) => `${index + 1}. ${MARKS[step.status]} ${step.title}${outcome(step, progress)}`),
  ];
}

function outcome(step: StepState, progress: Operation['progress']): string {
  if (step.result !== undefined) return ` — ${step.result}`;
  return step.status === 'running' && progress?.step === step.id ? counts(progress) : '';
}

function counts(progress: StepProgress): string {
  const rate = progress.perSecond === undefined ? '' : `, ${rateText(progress.perSecond)} a second`;
  const eta = progress.etaInSeconds === undefined ? '' : `, about ${durationText(progress.etaInSeconds)} left`;
  return ` — ${progress.done} of ${progress.total}${rate}${eta}`;
}

/** Where a Secret takes seconds, whole numbers would say nothing. */
function rateText(perSecond: number): string {
  return String(perSecond < 10 ? Math.round(perSecond * 10) / 10 : Math.round(perSecond));
}

function durationText(seconds: number): string {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

/** The Secrets that block the step, each with what would help. */
function blocked({ blockedSecrets }: Operation): string[] {
  if (blockedSecrets === null) return [];
  const { count, secrets, digest, acceptable } = blockedSecrets;
  return [
    '',
    `Blocked Secrets: ${count}, list digest \`${digest}\`${acceptable ? '' : ' (cannot be accepted)'}`,
    ...secrets
      .slice(0, SHOWN_SECRETS)
      .map(
        ({ namespace, name, reason, message, suggestion }) =>
          `- ${namespace}/${name}: ${reason}: ${message} ${suggestion}`,
      ),
    ...(count > SHOWN_SECRETS ? [`- and ${count - SHOWN_SECRETS} more`] : []),
  ];
}

/** Who passed a gate alone: an emergency that everybody who reads this must see. */
function brokenGlass({ approvals }: Operation): string[] {
  const all = approvals.flatMap(({ by, at, gate, breakGlass }) =>
    breakGlass === undefined
      ? []
      : [`**Warning: break-glass.** ${by.name} passed the gate ${gate} alone at ${at}. Reason: ${breakGlass.reason}`],
  );
  return all.length === 0 ? [] : ['', ...all];
}

function accepted({ acceptance }: Operation): string[] {
  if (acceptance === null) return [];
  const names = acceptance.secrets.slice(0, SHOWN_SECRETS).map(({ namespace, name }) => `${namespace}/${name}`);
  const more =
    acceptance.secrets.length > SHOWN_SECRETS ? ` and ${acceptance.secrets.length - SHOWN_SECRETS} more` : '';
  return [
    '',
    `Accepted as not rewritten by ${acceptance.by.name}: ${names.join(', ')}${more}. Reason: ${acceptance.reason}`,
  ];
}

function keys({ keysNeeded }: Operation): string[] {
  if (keysNeeded.length === 0) return [];
  return ['', `Keys that must stay enabled, unexpired and undeleted: ${keysNeeded.map(shortKeyId).join(', ')}`];
}

/** The same value with another text for each text in it. */
function eachText<T>(value: T, change: (text: string) => string): T {
  if (typeof value === 'string') return change(value) as T;
  if (Array.isArray(value)) return value.map((one: unknown) => eachText(one, change)) as T;
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, eachText<unknown>(one, change)])) as T;
}
