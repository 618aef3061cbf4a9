/** `keyturn approve` and `deny`: a person reads a plan and decides on exactly that one. */
import { Command } from 'commander';
import { answerOf, type Operation } from '../client/client';
import { contextOf, type Context } from '../context';
import { CommandFailed, ExitCode } from '../exit-codes';
import { nextText, operationText, statusLine } from '../output/operation';
import { readOperation } from './show';

type Verb = 'approve' | 'deny';

interface DecideOptions {
  readonly digest?: string;
  readonly gate?: string;
  readonly comment?: string;
  readonly yes?: true;
}

const TEXTS = {
  approve: {
    description: 'Approves the plan of an operation. It shows the plan and asks. The requester cannot approve.',
    question: 'Approve this plan? [y/N] ',
    asksWhy: 'Comment for the auditor (may be empty): ',
    done: 'Approved.',
  },
  deny: {
    description:
      'Denies the plan of an operation: it ends Canceled, and nothing was changed. It shows the plan and asks.',
    question: 'Deny this plan? The operation then ends. [y/N] ',
    asksWhy: 'Reason for the auditor: ',
    done: 'Denied.',
  },
} as const;

/** `approve`. */
export const approveCommand = (): Command => decideCommand('approve');
/** `deny`. */
export const denyCommand = (): Command => decideCommand('deny');

function decideCommand(verb: Verb): Command {
  const texts = TEXTS[verb];
  return new Command(verb)
    .description(texts.description)
    .argument('<operation>', 'id of the operation')
    .option('--digest <digest>', 'decide on the plan with this digest, and on no other')
    .option('--gate <step>', 'the gate, by step id; default: the gate that waits now')
    .option('--comment <text>', 'why, for the auditor')
    .option('--yes', 'do not ask')
    .addHelpText(
      'after',
      `
In a script name the plan that was read: its digest is in "keyturn show ID --output json", at .plan.digest

Examples:
  keyturn ${verb} op-0f3b5c1d9e8a7b6c5d4e3f2a1b
  keyturn ${verb} op-0f3b5c1d9e8a7b6c5d4e3f2a1b --yes --digest sha256:4f0c… --comment "Agreed in CAB"`,
    )
    .action(async (id: string, options: DecideOptions, command: Command) => {
      const context = contextOf(command);
      const { api, output, signal } = context;
      const before = await readOperation(api, id, signal);
      const decided = await decisionOn(verb, before, options, context);
      if (decided === undefined) {
        output.note('Nothing was sent.');
        process.exitCode = ExitCode.Refused;
        return;
      }
      const path = `/v1/operations/{id}:${verb}` as const;
      const answer = api.client.POST(path, { params: { path: { id } }, body: decided, signal });
      const operation = await answerOf(api, answer);
      output.answer(operation, () =>
        [texts.done, `Operation ${id}: ${statusLine(operation)}`, `Follow it with: keyturn watch ${id}`].join('\n'),
      );
    });
}

/** The decision that is sent; undefined when the person said no. */
async function decisionOn(
  verb: Verb,
  operation: Operation,
  { digest, gate, comment, yes }: DecideOptions,
  { ask, output }: Context,
): Promise<{ planDigest: string; gate?: string; comment?: string } | undefined> {
  const { plan, id } = operation;
  if (plan === null) {
    const why = `Operation ${id} has no plan yet: ${statusLine(operation)}`;
    throw new CommandFailed(`${why}\n${nextText(operation)}`, ExitCode.Refused);
  }
  const open = gate ?? openGate(operation);
  const decision = { planDigest: digest ?? plan.digest, ...(open === undefined ? {} : { gate: open }) };
  if (yes && digest !== undefined) return { ...decision, ...(comment === undefined ? {} : { comment }) };
  if (ask === undefined) {
    const what = yes ? 'name the plan with --digest, so that no other plan is decided on' : 'use --yes and --digest';
    throw new CommandFailed(`This is not a terminal that could ask: ${what}.`, ExitCode.Usage);
  }
  output.say(`${operationText(operation)}\n`);
  if (digest !== undefined && digest !== plan.digest) output.say(`--digest names another plan: ${digest}\n`);
  if (!yes && !/^y(es)?$/i.test(await ask(`${open === undefined ? '' : `Gate ${open}. `}${TEXTS[verb].question}`)))
    return undefined;
  const why = comment ?? (await ask(TEXTS[verb].asksWhy));
  return { ...decision, ...(why === '' ? {} : { comment: why }) };
}

/** The gate that waits now, by step id. */
function openGate({ plan, steps }: Operation): string | undefined {
  const running = steps.find(({ status }) => status === 'running');
  return plan?.steps.find(({ id, type }) => id === running?.id && type === 'gate')?.id;
}
