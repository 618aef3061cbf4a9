/**
 * What a change request of ServiceNow says: whether it may be carried out. Pure.
 *
 * Times and choices are taken by value, never by display value: those are in the language and the time zone of the user.
 */
import { z } from 'zod';
import type { ChangeAnswer } from '../../domain/change/window';
import type { ChangeWindow } from '../../domain/change/change';
import { inUtc } from '../../domain/times';

/** With `sysparm_display_value=all`, or as some instances answer, a field is an object. */
const field = z
  .union([z.string(), z.object({ value: z.string() }), z.null()])
  .optional()
  .transform((given) => (typeof given === 'string' ? given : (given?.value ?? '')).trim());

/** The fields that are read. A field that the user may not read is missing or empty. */
export const CHANGE_FIELDS = ['sys_id', 'number', 'state', 'approval', 'on_hold', 'start_date', 'end_date'] as const;

/** A record of the table `change_request`. */
export const ChangeRecord = z.object({
  sys_id: field,
  number: field,
  state: field,
  approval: field,
  on_hold: field,
  start_date: field,
  end_date: field,
});
/** A record of the table `change_request`. */
export type ChangeRecord = z.infer<typeof ChangeRecord>;

/** The states of the base system. */
const STATES: Readonly<Record<string, string>> = {
  '-5': 'New',
  '-4': 'Assess',
  '-3': 'Authorize',
  '-2': 'Scheduled',
  '-1': 'Implement',
  '0': 'Review',
  '3': 'Closed',
  '4': 'Canceled',
};
const IMPLEMENT = '-1';

/** Whether a record allows its change now. The window is judged by who asked, since only they know the time. */
export function answerOfRecord(record: ChangeRecord): ChangeAnswer {
  const window = windowOf(record);
  const shown = window === undefined ? {} : { window };
  const against = [
    ...(record.state === IMPLEMENT ? [] : [`its state is ${nameOfState(record.state)}, not Implement`]),
    ...(record.approval === 'approved' ? [] : [`its approval is ${shortWord(record.approval)}, not approved`]),
    ...(record.on_hold === 'false'
      ? []
      : [record.on_hold === 'true' ? 'it is on hold' : 'it does not show whether it is on hold']),
    ...(window === undefined ? ['it shows no planned start and end'] : []),
  ];
  if (against.length === 0) return { state: 'allowed', ...shown };
  return { state: 'refused', says: `${against.join(', ')}.`, ...shown };
}

function windowOf({ start_date, end_date }: ChangeRecord): ChangeWindow | undefined {
  const [start, end] = [timeOf(start_date), timeOf(end_date)];
  return start === undefined || end === undefined || start >= end ? undefined : { start, end };
}

/** Values of times are `2026-01-31 22:00:00`, in UTC. */
function timeOf(text: string): string | undefined {
  const match = /^(\d{4}-\d{2}-\d{2}) (\d{2}:\d{2}:\d{2})$/.exec(text);
  if (match === null) return undefined;
  const iso = `${match[1]}T${match[2]}Z`;
  return z.iso.datetime().safeParse(iso).success ? inUtc(iso) : undefined;
}

function nameOfState(value: string): string {
  return STATES[value] ?? shortWord(value);
}

function shortWord(value: string): string {
  return /^[\w -]{1,40}$/.test(value) ? value : 'not shown';
}
