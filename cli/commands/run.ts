/** `keyturn run`: asks for an operation, and follows it when told to. */
import { randomUUID } from 'node:crypto';
import { Command, Option } from 'commander';
import { answerOf, type Operation } from '../client/client';
import { contextOf } from '../context';
import { CommandFailed, ExitCode } from '../exit-codes';
import { follow, UNTIL, type Until } from '../follow';
import { operationText } from '../output/operation';
import { requestOf, takesRequest, wholeNumber, type RequestOptions } from './request';

const EXAMPLES = `
Examples:
  keyturn run rotate-key --cluster /subscriptions/…/managedClusters/aks1 --change CHG0030192
  keyturn run --file request.yaml --idempotency-key "$CHANGE-1" --wait --timeout 14400 --output json`;

interface RunOptions extends RequestOptions {
  readonly idempotencyKey?: string;
  readonly wait?: true;
  readonly until: Until;
  readonly timeout?: string;
}

/** The command. */
export function runCommand(): Command {
  return takesRequest(new Command('run'))
    .description('Asks for an operation. It makes its plan, and waits for an approver who is not you.')
    .option(
      '--idempotency-key <key>',
      'the same key with the same request is the same operation, however often it is sent',
    )
    .option('--wait', 'follow the operation; exit code 6 when it is blocked')
    .addOption(new Option('--until <what>', 'what --wait waits for').choices([...UNTIL]).default('blocked'))
    .option('--timeout <seconds>', 'the longest time that --wait waits')
    .addHelpText('after', EXAMPLES)
    .action(async (kind: string | undefined, options: RunOptions, command: Command) => {
      const { api, output, signal } = contextOf(command);
      const timeoutInSeconds = options.timeout === undefined ? undefined : wholeNumber('--timeout', options.timeout);
      const body = requestOf(kind, options);
      const key = options.idempotencyKey ?? randomUUID();
      const post = (): Promise<unknown> =>
        answerOf<unknown>(
          api,
          api.client.POST('/v1/operations', { params: { header: { 'Idempotency-Key': key } }, body, signal }),
        );
      // Sent again once where no answer came: with the same key that starts nothing twice.
      const asked = (await post().catch((error: unknown) => {
        if (error instanceof CommandFailed && error.exitCode === ExitCode.Unavailable) return post();
        throw error;
      })) as Operation;
      if (options.wait) {
        output.note(`Operation ${asked.id}`);
        const followed = await follow(api, output, asked.id, { until: options.until, timeoutInSeconds, signal });
        output.answer(followed.operation, () => operationText(followed.operation));
        process.exitCode = followed.exitCode;
        return;
      }
      output.answer(asked, () =>
        [`Operation ${asked.id}: ${asked.status}`, `Follow it with: keyturn watch ${asked.id}`].join('\n'),
      );
    });
}
