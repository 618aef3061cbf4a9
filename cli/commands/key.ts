/** `keyturn key users`: which clusters need a key version. */
import { Command } from 'commander';
import { answerOf } from '../client/client';
import type { components } from '../client/schema';
import { contextOf } from '../context';
import { cleanLine } from '../output/clean';
import { table } from '../output/table';

type KeyUsers = components['schemas']['KeyUsers'];

/** The commands. */
export function keyCommand(): Command {
  const command = new Command('key').description('Questions about keys. Nothing is written.');
  command
    .command('users')
    .description('Which clusters need a key version, in every subscription that Keyturn can read.')
    .argument('<key id>', 'https://{vault}.vault.azure.net/keys/{name}/{version}')
    .addHelpText(
      'after',
      '\nExample:\n  keyturn key users https://kv1.vault.azure.net/keys/etcd/95a76f34842c4fcf9e2cc929e38359c0',
    )
    .action(async (keyId: string, _options: object, self: Command) => {
      const { api, output, signal } = contextOf(self);
      const found = await answerOf(api, api.client.GET('/v1/keys/users', { params: { query: { keyId } }, signal }));
      output.answer(found, () => usersText(found));
    });
  return command;
}

function usersText({ users, warnings }: KeyUsers): string {
  const why = { current: 'its KMS key', ledger: 'by its ledger' } as const;
  return [
    users.length === 0
      ? 'No cluster that Keyturn can see needs this key.'
      : table(
          ['CLUSTER', 'NEEDS IT AS'],
          users.map(({ cluster, by }) => [cluster, why[by]]),
        ),
    '',
    ...warnings.map(({ detail }) => cleanLine(detail)),
  ].join('\n');
}
