/** `keyturn plan`: the plan that a request would get now, or its refusal. Starts nothing. */
import { Command } from 'commander';
import { answerOf, type PlanPreview } from '../client/client';
import { contextOf } from '../context';
import { planText } from '../output/operation';
import { cleanLine } from '../output/clean';
import { requestOf, takesRequest } from './request';

const EXAMPLES = `
Example:
  keyturn plan rotate-key --cluster /subscriptions/…/managedClusters/aks1 --change CHG0030192
  keyturn plan retire-key --cluster /subscriptions/…/managedClusters/aks1 --change CHG0030192 -p keyId=https://kv1.vault.azure.net/keys/k1/95a7…`;

/** The command. */
export function planCommand(): Command {
  return takesRequest(new Command('plan'))
    .description(
      'Shows the plan that a request would get now, with its warnings, or why it is refused. Starts nothing.',
    )
    .addHelpText('after', EXAMPLES)
    .action(async (kind: string | undefined, options: object, command: Command) => {
      const { api, output, signal } = contextOf(command);
      const body = requestOf(kind, options);
      const answer = api.client.POST('/v1/operations', {
        params: { query: { validateOnly: 'true' } },
        body,
        signal,
      });
      const preview = (await answerOf<unknown>(api, answer)) as PlanPreview;
      output.answer(preview, () => previewText(preview));
    });
}

function previewText({ plan, censusTaken, waitingFor }: PlanPreview): string {
  if (plan === null) return `The operation would wait first: ${cleanLine(waitingFor ?? '')}`;
  return [
    planText(plan),
    '',
    ...(censusTaken === false
      ? ['There was no time to look at every Secret: the operation may still be refused because of Secrets.']
      : []),
    'Nothing was started. Ask for it with "keyturn run" and the same options.',
  ].join('\n');
}
