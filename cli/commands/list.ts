/** `keyturn list`: operations, the newest first. */
import { Command, Option } from 'commander';
import { KINDS } from '../../domain/kinds';
import { answerOf, type OperationSummary } from '../client/client';
import type { paths } from '../client/schema';
import { contextOf } from '../context';
import { listText } from '../output/operation';
import { wholeNumber } from './request';

type Query = NonNullable<paths['/v1/operations']['get']['parameters']['query']>;
type Status = NonNullable<Query['status']>[number];

const STATUSES: readonly Status[] = [
  'Planning',
  'AwaitingApproval',
  'AwaitingCluster',
  'Running',
  'Blocked',
  'Succeeded',
  'Failed',
  'Canceled',
];
const LARGEST_PAGE = 100;

interface ListOptions {
  readonly cluster?: string;
  readonly kind?: Query['kind'];
  readonly status?: Status[];
  readonly waiting?: true;
  readonly change?: string;
  readonly requester?: string;
  readonly since?: string;
  readonly limit: string;
}

/** The command. */
export function listCommand(): Command {
  return new Command('list')
    .description('Lists operations, the newest first. All filters must hold. A * marks those that wait for people.')
    .option('--waiting', 'operations that wait for approval, or are blocked')
    .option('--cluster <id>', 'operations on this cluster, by ARM resource id')
    .addOption(new Option('--kind <kind>', 'operations of this kind').choices(KINDS.map(({ name }) => name)))
    .addOption(new Option('--status <status...>', 'operations of these statuses').choices([...STATUSES]))
    .option('--change <number>', 'operations of this change')
    .option('--requester <id>', 'operations that this person or program asked for, by object id; "me" is you')
    .option('--since <time>', 'operations that were asked for then or later: 2026-01-31T00:00:00Z')
    .option('--limit <number>', 'how many, at most', '50')
    .addHelpText(
      'after',
      '\nExamples:\n  keyturn list --waiting\n  keyturn list --requester me --since 2026-01-01T00:00:00Z --output json',
    )
    .action(async ({ limit, waiting, change, ...filters }: ListOptions, command: Command) => {
      const { api, output, signal } = contextOf(command);
      const most = wholeNumber('--limit', limit);
      const query: Query = {
        ...filters,
        ...(waiting ? { waitingForPeople: 'true' as const } : {}),
        ...(change === undefined ? {} : { changeNumber: change }),
      };
      const operations: OperationSummary[] = [];
      const unreadable: string[] = [];
      for (let pageToken: string | undefined; operations.length < most;) {
        const pageSize = String(Math.min(LARGEST_PAGE, most - operations.length));
        const params = { query: { ...query, pageSize, ...(pageToken === undefined ? {} : { pageToken }) } };
        const page = await answerOf(api, api.client.GET('/v1/operations', { params, signal }));
        operations.push(...page.operations);
        unreadable.push(...page.unreadable);
        pageToken = page.nextPageToken;
        if (pageToken === undefined) break;
      }
      output.answer({ operations, unreadable }, () => listText(operations));
      if (unreadable.length > 0) output.note(`Another version of Keyturn wrote ${unreadable.join(', ')}: not shown.`);
    });
}
