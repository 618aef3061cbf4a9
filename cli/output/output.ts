/** Where a command writes: tables for people or JSON for programs on standard output, notes on standard error. */
import { clean } from './clean';

/** The formats of `--output`. */
export const FORMATS = ['table', 'json'] as const;
/** One of them. */
export type Format = (typeof FORMATS)[number];

/** A place for text. */
export interface Stream {
  write(text: string): unknown;
  readonly isTTY?: boolean;
}

/** The output of one command. */
export class Output {
  constructor(
    readonly format: Format,
    readonly out: Stream,
    readonly err: Stream,
  ) {}

  /** Whether a person at a terminal reads along. */
  get isLive(): boolean {
    return this.format === 'table' && this.out.isTTY === true;
  }

  /** The answer of the command: the value itself as JSON, or the text for people. */
  answer(value: unknown, text: () => string): void {
    this.out.write(this.format === 'json' ? `${JSON.stringify(value, null, 2)}\n` : `${text()}\n`);
  }

  /** Something for people that is not the answer; left out of JSON. */
  say(text: string): void {
    if (this.format === 'table') this.out.write(`${clean(text)}\n`);
  }

  /** A note beside the answer, also with JSON: on standard error. */
  note(text: string): void {
    this.err.write(`${clean(text)}\n`);
  }
}
