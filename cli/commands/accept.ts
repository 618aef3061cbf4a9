/** `keyturn accept`: an approver accepts the Secrets that block an operation as they are. */
import { Command } from 'commander';
import { answerOf } from '../client/client';
import { contextOf } from '../context';
import { CommandFailed, ExitCode } from '../exit-codes';
import { blockedText, statusLine } from '../output/operation';
import { readOperation } from './show';

interface AcceptOptions {
  readonly digest?: string;
  readonly reason?: string;
  readonly yes?: true;
}

/** The command. */
export function acceptCommand(): Command {
  return new Command('accept')
    .description(
      'Accepts the Secrets that block an operation as they are: it goes on without them, and says so in its evidence.',
    )
    .argument('<operation>', 'id of the operation')
    .option('--digest <digest>', 'accept the list with this digest, and no other')
    .option('--reason <text>', 'why, for the auditor')
    .option('--yes', 'do not ask; needs --digest and --reason')
    .addHelpText('after', '\nExample:\n  keyturn accept op-0f3b5c1d9e8a7b6c5d4e3f2a1b')
    .action(async (id: string, { digest, reason, yes }: AcceptOptions, command: Command) => {
      const { api, output, signal, ask } = contextOf(command);
      const { blockedSecrets, ...operation } = await readOperation(api, id, signal);
      if (blockedSecrets === null) {
        const status = statusLine({ ...operation, blockedSecrets });
        throw new CommandFailed(`Operation ${id} waits for no Secrets: ${status}`, ExitCode.Refused);
      }
      let why = reason;
      if (!(yes && digest !== undefined && reason !== undefined)) {
        if (ask === undefined) {
          throw new CommandFailed(
            'This is not a terminal that could ask: use --yes, --digest and --reason.',
            ExitCode.Usage,
          );
        }
        output.say(`${blockedText(blockedSecrets)}\n`);
        const said = yes ? 'yes' : await ask('Accept these Secrets as they are? They stay under the older key. [y/N] ');
        if (!/^y(es)?$/i.test(said)) {
          output.note('Nothing was sent.');
          process.exitCode = ExitCode.Refused;
          return;
        }
        why ??= await ask('Reason for the auditor: ');
      }
      const body = { digest: digest ?? blockedSecrets.digest, reason: why ?? '' };
      const answer = api.client.POST('/v1/operations/{id}:accept', { params: { path: { id } }, body, signal });
      const accepted = await answerOf(api, answer);
      output.answer(accepted, () => `Accepted.\nOperation ${id}: ${statusLine(accepted)}`);
    });
}
