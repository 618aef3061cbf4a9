/** The request for an operation, from the options of `plan` and `run`. */
import { readFileSync } from 'node:fs';
import { Argument, Option, type Command } from 'commander';
import { parse } from 'yaml';
import { KINDS } from '../../domain/kinds';
import { CommandFailed, ExitCode } from '../exit-codes';
import type { paths } from '../client/schema';

/** The body of `POST /v1/operations`. */
export type RequestBody = NonNullable<paths['/v1/operations']['post']['requestBody']>['content']['application/json'];

/** The options that a request is made from. */
export interface RequestOptions {
  readonly cluster?: string;
  readonly change?: string;
  readonly reason?: string;
  readonly parameter?: readonly string[];
  readonly file?: string;
  readonly whenBusy?: string;
  readonly approvalTimeout?: string;
}

/** Adds what a request is made from. */
export function takesRequest(command: Command): Command {
  return command
    .addArgument(new Argument('[kind]', 'what to do').choices(KINDS.map(({ name }) => name)))
    .option('--cluster <id>', 'ARM resource id of the cluster')
    .option('--change <number>', 'number of the change record')
    .option('--reason <text>', 'why, for the approver and the auditor')
    .option('-p, --parameter <name=value...>', 'a parameter of the kind; the value is JSON, or a text')
    .option('--file <file>', 'the whole request as YAML or JSON; "-" reads standard input; options replace its members')
    .addOption(
      new Option('--when-busy <what>', 'while another operation executes on the cluster').choices(['refuse', 'wait']),
    )
    .option('--approval-timeout <seconds>', 'how long the plan waits for approval');
}

/** The body that the options make. The API checks it. @throws CommandFailed when it cannot be made */
export function requestOf(kind: string | undefined, options: RequestOptions): RequestBody {
  const { cluster, change, reason, parameter = [], file, whenBusy, approvalTimeout } = options;
  const given = file === undefined ? {} : readRequest(file);
  const ofChange = { ...(change === undefined ? {} : { number: change }), ...(reason === undefined ? {} : { reason }) };
  const body: Record<string, unknown> = {
    ...given,
    ...(kind === undefined ? {} : { kind }),
    ...(cluster === undefined ? {} : { cluster }),
    change: { ...objectOf(given.change), ...ofChange },
    ...(whenBusy === undefined ? {} : { whenBusy }),
    ...(approvalTimeout === undefined
      ? {}
      : { approvalTimeoutInSeconds: wholeNumber('--approval-timeout', approvalTimeout) }),
  };
  const parameters = { ...objectOf(given.parameters), ...Object.fromEntries(parameter.map(readParameter)) };
  if (Object.keys(parameters).length > 0) body.parameters = parameters;
  const lacks = [
    ...(body.kind === undefined ? ['the kind'] : []),
    ...(body.cluster === undefined ? ['--cluster'] : []),
    ...(objectOf(body.change).number === undefined ? ['--change'] : []),
  ];
  if (lacks.length > 0) throw new CommandFailed(`Name ${lacks.join(', ')}, or give them in --file.`, ExitCode.Usage);
  // What is in it is the API's to check: it names every fault, in the words of its document.
  return body as unknown as RequestBody;
}

/** A whole number. @throws CommandFailed */
export function wholeNumber(option: string, text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new CommandFailed(`${option} wants a whole number, not "${text}".`, ExitCode.Usage);
}

function readParameter(text: string): [name: string, value: unknown] {
  const at = text.indexOf('=');
  if (at < 1) throw new CommandFailed(`--parameter wants name=value, not "${text}".`, ExitCode.Usage);
  const [name, value] = [text.slice(0, at), text.slice(at + 1)];
  try {
    return [name, JSON.parse(value) as unknown];
  } catch {
    return [name, value];
  }
}

function readRequest(file: string): Record<string, unknown> {
  let text: string;
  try {
    text = readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch (error) {
    throw new CommandFailed(
      `${file} cannot be read: ${error instanceof Error ? error.message : 'no reason given'}`,
      ExitCode.Usage,
    );
  }
  try {
    const read: unknown = parse(text);
    if (typeof read === 'object' && read !== null && !Array.isArray(read)) return read as Record<string, unknown>;
  } catch (error) {
    throw new CommandFailed(
      `${file} is neither YAML nor JSON. ${error instanceof Error ? error.message : ''}`,
      ExitCode.Usage,
    );
  }
  throw new CommandFailed(`${file} is not a request: an object with kind, cluster and change.`, ExitCode.Usage);
}

function objectOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}
