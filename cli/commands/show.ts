/** `keyturn show`: an operation as it is now, and `readOperation` for the commands that act on one. */
import { Command } from 'commander';
import { answerOf, type Api, type Operation } from '../client/client';
import { contextOf } from '../context';
import { operationText } from '../output/operation';

/** The command. */
export function showCommand(): Command {
  return new Command('show')
    .description('Shows an operation: where it stands, its plan, who approved, and what can be done now.')
    .argument('<operation>', 'id of the operation')
    .addHelpText('after', '\nExample:\n  keyturn show op-0f3b5c1d9e8a7b6c5d4e3f2a1b')
    .action(async (id: string, _options: object, command: Command) => {
      const { api, output, signal } = contextOf(command);
      const operation = await readOperation(api, id, signal);
      output.answer(operation, () => operationText(operation));
    });
}

/** Reads an operation. @throws CommandFailed */
export async function readOperation(api: Api, id: string, signal: AbortSignal): Promise<Operation> {
  return await answerOf(api, api.client.GET('/v1/operations/{id}', { params: { path: { id } }, signal }));
}
