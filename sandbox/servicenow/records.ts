/**
 * Change requests of a ServiceNow instance: the table, its query language, and how a row is shown.
 *
 * Has the trap of the real one: a part of a query that is not understood is ignored, so that a wrong query finds all rows. Sources: the
 * Table API reference; the property glide.invalid_query.returns_no_rows, which is false by default.
 */
import { randomBytes } from 'node:crypto';
import { z } from 'zod';

const time = z
  .string()
  .regex(/^\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}$/, { error: 'Expected 2026-01-31 22:00:00, in UTC.' });

/** What the control API takes: values as the database has them. */
export const ChangeFields = z.strictObject({
  state: z.enum(['-5', '-4', '-3', '-2', '-1', '0', '3', '4']).optional(),
  approval: z.enum(['not requested', 'requested', 'approved', 'rejected']).optional(),
  on_hold: z.enum(['true', 'false']).optional(),
  on_hold_reason: z.string().optional(),
  start_date: time.or(z.literal('')).optional(),
  end_date: time.or(z.literal('')).optional(),
  short_description: z.string().optional(),
  sys_id: z
    .string()
    .regex(/^[0-9a-f]{32}$/)
    .optional(),
});
/** What the control API takes. */
export type ChangeFields = z.infer<typeof ChangeFields>;

/** A row. */
export type Row = Readonly<Record<string, string>>;

const LABELS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  state: {
    '-5': 'New',
    '-4': 'Assess',
    '-3': 'Authorize',
    '-2': 'Scheduled',
    '-1': 'Implement',
    '0': 'Review',
    '3': 'Closed',
    '4': 'Canceled',
  },
  approval: {
    'not requested': 'Not Yet Requested',
    requested: 'Requested',
    approved: 'Approved',
    rejected: 'Rejected',
  },
};
/** How the user of the integration sees times. */
const USER_TIME = new Intl.DateTimeFormat('de-CH', {
  timeZone: 'Europe/Zurich',
  dateStyle: 'medium',
  timeStyle: 'medium',
});

/** The table `change_request`. */
export class ChangeRequests {
  readonly #rows = new Map<string, Row>();

  /** Makes a change request, or changes one. */
  set(number: string, { ...fields }: ChangeFields): Row {
    const row = {
      ...(this.#rows.get(number) ?? {
        sys_id: randomBytes(16).toString('hex'),
        number,
        state: '-5',
        approval: 'not requested',
        on_hold: 'false',
        on_hold_reason: '',
        start_date: '',
        end_date: '',
        short_description: '',
      }),
      ...fields,
    };
    this.#rows.set(number, row);
    return row;
  }

  remove(number: string): void {
    this.#rows.delete(number);
  }

  all(): Row[] {
    return [...this.#rows.values()];
  }

  byId(id: string): Row | undefined {
    return this.all().find(({ sys_id }) => sys_id === id);
  }

  /** Rows for which every condition holds that is understood. */
  find(query: string): Row[] {
    const conditions = query.split('^').flatMap((part) => {
      const match = /^([a-z_]+)(!=|=)(.*)$/.exec(part);
      const [, field = '', operator, value = ''] = match ?? [];
      // The trap: what is no condition on a field of the table is no condition at all.
      return match === null || !COLUMNS.has(field) ? [] : [{ field, operator, value: value.toLowerCase() }];
    });
    return this.all().filter((row) =>
      conditions.every(
        ({ field, operator, value }) => ((row[field] ?? '').toLowerCase() === value) === (operator === '='),
      ),
    );
  }
}

const COLUMNS: ReadonlySet<string> = new Set(['number', ...Object.keys(ChangeFields.shape)]);

/** A row as `sysparm_display_value` asks for it: values, texts for people, or both. */
export function shown(row: Row, display: string, fields: readonly string[] | undefined): Record<string, unknown> {
  const names = Object.keys(row).filter((name) => fields === undefined || fields.includes(name));
  return Object.fromEntries(
    names.map((name): [string, unknown] => {
      const value = row[name] ?? '';
      if (display === 'all') return [name, { display_value: displayed(name, value), value }];
      return [name, display === 'true' ? displayed(name, value) : value];
    }),
  );
}

function displayed(name: string, value: string): string {
  if (name.endsWith('_date') && value !== '') return USER_TIME.format(new Date(`${value.replace(' ', 'T')}Z`));
  return LABELS[name]?.[value] ?? value;
}
