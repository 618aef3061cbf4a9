/** Tables for people: columns without lines, so that they can be read, copied and piped. */
import Table from 'cli-table3';
import { cleanLine } from './clean';

const NO_LINES = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '  ',
} as const;

/** A table with a heading. Cells are cleaned: they may be texts of others. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return render(
    rows.map((row) => row.map(cleanLine)),
    head,
  );
}

/** Names and values, one pair a line; pairs without a value are left out. */
export function pairs(entries: readonly (readonly [name: string, value: string | null | undefined])[]): string {
  const given = entries.filter((entry): entry is readonly [string, string] => Boolean(entry[1]));
  return render(given.map(([name, value]) => [name, cleanLine(value)]));
}

function render(rows: readonly (readonly string[])[], head?: readonly string[]): string {
  const made = new Table({
    chars: NO_LINES,
    style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [] },
    ...(head === undefined ? {} : { head: [...head] }),
  });
  for (const row of rows) made.push([...row]);
  return made
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}
