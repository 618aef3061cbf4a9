/** `keyturn cancel`, `retry`, `pause` and `resume`: an operator or approver steers a running operation. */
import { Command } from 'commander';
import { answerOf, type Api, type Operation } from '../client/client';
import { contextOf } from '../context';
import { statusLine } from '../output/operation';

/** How one of them is called and sent. */
interface Steering {
  readonly verb: string;
  readonly description: string;
  /** The option that says why, and the member of the body that it becomes. */
  readonly why?: { readonly option: string; readonly member: string };
  readonly send: (api: Api, id: string, body: Record<string, string>, signal: AbortSignal) => Promise<Operation>;
}

/** The client without the types of routes: for those that the API document of this version may lack. */
type LooseClient = {
  POST(path: string, options: object): Promise<{ data?: Operation; error?: unknown; response: Response }>;
};

const loose =
  (path: string): Steering['send'] =>
  (api, id, body, signal) =>
    answerOf(api, (api.client as unknown as LooseClient).POST(path, { params: { path: { id } }, body, signal }));

const STEERINGS: readonly Steering[] = [
  {
    verb: 'cancel',
    description: 'Stops an operation at the next safe point. The ended operation says which keys are still needed.',
    why: { option: '--comment <text>', member: 'comment' },
    send: (api, id, body, signal) =>
      answerOf(api, api.client.POST('/v1/operations/{id}:cancel', { params: { path: { id } }, body, signal })),
  },
  {
    verb: 'retry',
    description: 'Tries the blocked step of an operation again. Fix the cause first: "keyturn show" names it.',
    send: (api, id, _body, signal) =>
      answerOf(api, api.client.POST('/v1/operations/{id}:retry', { params: { path: { id } }, body: {}, signal })),
  },
  {
    verb: 'pause',
    description: 'Pauses an operation before its next step. What runs goes on to its end.',
    why: { option: '--reason <text>', member: 'reason' },
    send: loose('/v1/operations/{id}:pause'),
  },
  {
    verb: 'resume',
    description: 'Lets a paused operation go on.',
    send: loose('/v1/operations/{id}:resume'),
  },
];

/** The commands. */
export function steeringCommands(): Command[] {
  return STEERINGS.map(({ verb, description, why, send }) => {
    const command = new Command(verb)
      .description(description)
      .argument('<operation>', 'id of the operation')
      .addHelpText('after', `\nExample:\n  keyturn ${verb} op-0f3b5c1d9e8a7b6c5d4e3f2a1b`);
    if (why !== undefined) command.option(why.option, 'why, for the auditor');
    return command.action(async (id: string, options: Record<string, string>, self: Command) => {
      const { api, output, signal } = contextOf(self);
      const text = why === undefined ? undefined : options[why.member];
      const body: Record<string, string> = why === undefined || text === undefined ? {} : { [why.member]: text };
      const operation = await send(api, id, body, signal);
      output.answer(operation, () => `Operation ${id}: ${statusLine(operation)}`);
    });
  });
}
