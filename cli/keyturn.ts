#!/usr/bin/env node
/** `keyturn`: the command line. Speaks only to the API, in the words of its OpenAPI document. Exit codes: exit-codes.ts. */
import { CommanderError } from 'commander';
import { CommandFailed, ExitCode } from './exit-codes';
import { clean } from './output/clean';
import { createProgram } from './program';

async function main(): Promise<ExitCode | undefined> {
  const program = createProgram();
  exitInsteadOfCommander(program);
  try {
    await program.parseAsync();
    return undefined;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? ExitCode.Ok : ExitCode.Usage;
    // Ctrl-C at a question or a request.
    if (error instanceof Error && error.name === 'AbortError') return ExitCode.Interrupted;
    if (!(error instanceof CommandFailed)) throw error;
    const asJson = program.opts<{ output?: string }>().output === 'json' && error.problem !== undefined;
    process.stderr.write(asJson ? `${JSON.stringify(error.problem, null, 2)}\n` : `${clean(error.message)}\n`);
    return error.exitCode;
  }
}

/** A wrong option is exit code 2, in every command: commander would end the process with 1. */
function exitInsteadOfCommander(program: ReturnType<typeof createProgram>): void {
  program.exitOverride();
  program.commands.forEach(exitInsteadOfCommander);
}

// A reader that has seen enough (`| head`) is no fault.
process.stdout.on('error', () => process.exit());
main().then(
  (code) => process.exit(code ?? process.exitCode),
  (error: unknown) => {
    const message = error instanceof Error ? error.message : String(error);
    console.error(process.env.KEYTURN_DEBUG === undefined ? clean(message) : error);
    process.exit(ExitCode.Refused);
  },
);
