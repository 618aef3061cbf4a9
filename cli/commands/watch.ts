/** `keyturn watch`: follows an operation. */
import { Command, Option } from 'commander';
import { contextOf } from '../context';
import { follow, UNTIL, type Until } from '../follow';
import { operationText } from '../output/operation';
import { wholeNumber } from './request';

const HELP = `
Exit codes: 0 it Succeeded, 1 it ended Failed or Canceled, 6 it waits for people, 7 --timeout has passed, 130 Ctrl-C.
Ctrl-C stops the watching, never the operation.

Example:
  keyturn watch op-0f3b5c1d9e8a7b6c5d4e3f2a1b --until people`;

/** The command. */
export function watchCommand(): Command {
  return new Command('watch')
    .description('Follows an operation: a line for each step, and at a terminal a bar for the step that runs.')
    .argument('<operation>', 'id of the operation')
    .addOption(
      new Option('--until <what>', 'stop when it has ended; also when it is blocked; also when it waits for approval')
        .choices([...UNTIL])
        .default('ended'),
    )
    .option('--timeout <seconds>', 'the longest time to wait')
    .addHelpText('after', HELP)
    .action(async (id: string, options: { until: Until; timeout?: string }, command: Command) => {
      const { api, output, signal } = contextOf(command);
      const timeoutInSeconds = options.timeout === undefined ? undefined : wholeNumber('--timeout', options.timeout);
      const { operation, exitCode } = await follow(api, output, id, { until: options.until, timeoutInSeconds, signal });
      output.answer(operation, () => `\n${operationText(operation)}`);
      process.exitCode = exitCode;
    });
}
