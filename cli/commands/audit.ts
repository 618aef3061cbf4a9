/** `keyturn audit verify`: checks the audit log, offline, by the program of this folder that does so. */
import { Command } from 'commander';
import { contextOf } from '../context';
import { hasProgram, runProgram } from './offline';

const PROGRAM = 'verify-audit';

/** The commands; undefined in an installation without the program. */
export function auditCommand(): Command | undefined {
  if (!hasProgram(PROGRAM)) return undefined;
  const command = new Command('audit').description('Checks the audit log.');
  command
    .command('verify')
    .description('Checks that no line of the audit log was changed, removed or added.')
    .argument('[arguments...]', 'as the program takes them: "keyturn audit verify -- --help" lists them')
    .action((args: string[], _options: object, self: Command) => runProgram(PROGRAM, args, contextOf(self).output));
  return command;
}
