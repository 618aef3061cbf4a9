/**
 * The milestones of an operation as they are stored in the memo of its workflow: each as one short word.
 *
 * What the view itself has, the word only points to: the time of a step, the approvals of the plan that stands. When a later plan takes
 * it away, the same milestone is written in full.
 */
import { MilestoneType, type Milestone } from './milestone';
import type { Operation } from './operation';
import { millisecondsAfter, millisecondsBetween } from './times';

/** Milestones in one field of the memo: a change writes that field again. */
const IN_ONE_FIELD = 12;

/** What words point to. */
export type MilestoneView = Pick<Operation, 'requestedAt' | 'steps' | 'approvals'>;

/** The fields of the memo, in order. */
export function storedMilestones(milestones: readonly Milestone[], view: MilestoneView): string[] {
  const words = milestones.map((milestone) => shortWord(milestone, view) ?? fullWord(milestone, view));
  return Array.from({ length: Math.ceil(words.length / IN_ONE_FIELD) }, (_, index) =>
    words.slice(index * IN_ONE_FIELD, (index + 1) * IN_ONE_FIELD).join(' '),
  );
}

/** The milestones that fields tell of. @throws ZodError, RangeError when they are none */
export function milestonesStored(fields: readonly string[], view: MilestoneView): Milestone[] {
  return fields.flatMap((field) => field.split(' ')).map((word) => read(word, view));
}

/** A letter for each type: by its place in the list. */
const letterOf = (type: MilestoneType): string => String.fromCharCode(97 + MilestoneType.options.indexOf(type));
const typeOf = (letter: string): MilestoneType => MilestoneType.parse(MilestoneType.options[letter.charCodeAt(0) - 97]);

/** Points to the view; undefined when the view does not have it. */
function shortWord(milestone: Milestone, view: MilestoneView): string | undefined {
  const { type } = milestone;
  const index =
    type === 'approved'
      ? view.approvals.findIndex(
          ({ at, by, gate }) => at === milestone.at && by.objectId === milestone.by && gate === milestone.step,
        )
      : view.steps.findIndex(({ id, ...step }) => id === milestone.step && timeOf(type, step) === milestone.at);
  return index < 0 ? undefined : `${letterOf(type)}${index.toString(36)}`;
}

function timeOf(
  type: MilestoneType,
  step: { readonly startedAt?: string; readonly endedAt?: string },
): string | undefined {
  if (type === 'step.started' || type === 'approval_requested') return step.startedAt;
  return type === 'step.done' ? step.endedAt : undefined;
}

function fullWord({ type, at, step, attempt, revision, code, by }: Milestone, { requestedAt }: MilestoneView): string {
  const since = millisecondsBetween(requestedAt, at).toString(36);
  const texts = [since, attempt ?? revision ?? '', step ?? '', encodeURIComponent(code ?? by ?? '')];
  return `${letterOf(type)},${texts.join(',')}`.replace(/,+$/, '');
}

function read(word: string, { requestedAt, steps, approvals }: MilestoneView): Milestone {
  const type = typeOf(word);
  if (!word.includes(',')) {
    const index = parseInt(word.slice(1), 36);
    const approval = approvals[index];
    if (type === 'approved' && approval)
      return { type, at: approval.at, step: approval.gate, by: approval.by.objectId };
    const step = steps[index];
    const at = step === undefined ? undefined : timeOf(type, step);
    if (step === undefined || at === undefined) throw new RangeError(`The milestone ${word} points to nothing.`);
    return { type, at, step: step.id };
  }
  const [, since = '', number = '', step = '', text = ''] = word.split(',');
  const why = decodeURIComponent(text);
  return {
    type,
    at: millisecondsAfter(requestedAt, parseInt(since, 36)),
    ...(step === '' ? {} : { step }),
    ...(number === '' ? {} : type === 'planned' ? { revision: Number(number) } : { attempt: Number(number) }),
    ...(why === '' ? {} : type === 'approved' || type === 'accepted' ? { by: why } : { code: why }),
  };
}
