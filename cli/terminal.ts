/** The output of the commands: for people at a terminal, and for the log of a pipeline. */
import { createInterface } from 'node:readline/promises';

const useColor = process.stdout.isTTY && process.env.NO_COLOR === undefined;
const paint = (code: number) => (text: string) => (useColor ? `\u001b[${code}m${text}\u001b[0m` : text);

/** Emphasis, when the output is a terminal that shows it. */
export const bold = paint(1);
/** Less important than the rest. */
export const dim = paint(2);

/** A heading with an empty line before it. */
export function heading(text: string): void {
  console.log(`\n${bold(text)}`);
}

/** Indented lines. */
export function say(...lines: string[]): void {
  for (const line of lines) console.log(line === '' ? '' : `  ${line}`);
}

/** Whether a person at a terminal can answer. */
export function isInteractive(): boolean {
  return process.stdin.isTTY && process.stdout.isTTY;
}

/** Asks a yes-or-no question; any answer other than yes is no. */
export async function confirm(question: string): Promise<boolean> {
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  try {
    return /^y(es)?$/i.test((await terminal.question(`  ${question} [y/N] `)).trim());
  } finally {
    terminal.close();
  }
}

/** Resolves at the first SIGINT or SIGTERM. */
export function untilStopped(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
  });
}

/** Runs a command to its end: an error is one message, not a stack, unless KEYTURN_DEBUG is set. */
export function runCommand(main: () => Promise<number>): void {
  main().then(
    (code) => process.exit(code),
    (error: unknown) => {
      const message = error instanceof Error ? error.message : String(error);
      console.error(process.env.KEYTURN_DEBUG === undefined ? message : error);
      process.exit(1);
    },
  );
}
