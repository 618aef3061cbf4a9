/** `keyturn evidence`: gets the signed evidence of an operation, and checks it offline. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Command } from 'commander';
import { answerOf, type Api } from '../client/client';
import { contextOf } from '../context';
import { CommandFailed, ExitCode } from '../exit-codes';
import { runProgram } from './offline';

const OPERATION_ID = /^op-[0-9a-f]{26}$/;

/** The commands. */
export function evidenceCommand(): Command {
  const command = new Command('evidence').description('Gets the signed evidence of an operation, and checks it.');
  command
    .command('get')
    .description('Writes the evidence, byte for byte as it was signed.')
    .argument('<operation>', 'id of the operation')
    .option('--to <file>', 'where to; default: standard output')
    .addHelpText('after', '\nExample:\n  keyturn evidence get op-0f3b5c1d9e8a7b6c5d4e3f2a1b --to evidence.json')
    .action(async (id: string, { to }: { to?: string }, self: Command) => {
      const { api, output, signal } = contextOf(self);
      const bytes = await evidenceOf(api, id, signal);
      if (to === undefined) {
        output.out.write(bytes.toString('utf8'));
        return;
      }
      writeFileSync(to, bytes);
      output.answer({ file: to, bytes: bytes.length }, () => `${bytes.length} bytes in ${to}`);
    });
  command
    .command('verify')
    .description(
      'Checks that evidence is what Keyturn signed, and says what it is evidence of. A file is checked offline.',
    )
    .argument('<file or operation>', 'the evidence file, or the id of an operation whose evidence the API has')
    .option('--key <file>', 'public key (PEM) that it must be signed with')
    .option('--earlier-key <files...>', 'public keys (PEM) that evidence was signed with before')
    .option('--api-key <files...>', 'public keys (PEM) of the API, which signed request and decisions')
    .option('--minimum-approvals <number>', 'approvals that each gate needs at least')
    .addHelpText(
      'after',
      '\nExample:\n  keyturn evidence verify evidence.json --key evidence-key.pub.pem --api-key api-key.pub.pem',
    )
    .action(async (what: string, options: VerifyOptions, self: Command) => {
      const { api, output, signal } = contextOf(self);
      const keyArguments = argumentsOf(options);
      if (!OPERATION_ID.test(what)) {
        requireReadable(what);
        runProgram('verify-evidence', [what, ...keyArguments], output);
        return;
      }
      const bytes = await evidenceOf(api, what, signal);
      const directory = mkdtempSync(path.join(tmpdir(), 'keyturn-'));
      try {
        const file = path.join(directory, `${what}.json`);
        writeFileSync(file, bytes);
        runProgram('verify-evidence', [file, ...keyArguments], output);
      } finally {
        rmSync(directory, { recursive: true, force: true });
      }
    });
  return command;
}

/** What `verify` is told; the program that checks has the defaults. */
interface VerifyOptions {
  readonly key?: string;
  readonly earlierKey?: readonly string[];
  readonly apiKey?: readonly string[];
  readonly minimumApprovals?: string;
}

function argumentsOf({ key, earlierKey = [], apiKey = [], minimumApprovals }: VerifyOptions): string[] {
  return [
    ...(key === undefined ? [] : ['--key', key]),
    ...earlierKey.flatMap((file) => ['--earlier-key', file]),
    ...apiKey.flatMap((file) => ['--api-key', file]),
    ...(minimumApprovals === undefined ? [] : ['--minimum-approvals', minimumApprovals]),
  ];
}

async function evidenceOf(api: Api, id: string, signal: AbortSignal): Promise<Buffer> {
  // As bytes: evidence that is parsed and written again is not what was signed.
  const answer = api.client.GET('/v1/operations/{id}/evidence', {
    params: { path: { id } },
    parseAs: 'arrayBuffer',
    signal,
  });
  return Buffer.from(await answerOf<ArrayBuffer>(api, answer));
}

function requireReadable(file: string): void {
  try {
    readFileSync(file);
  } catch (error) {
    const why = error instanceof Error ? error.message : 'no reason given';
    throw new CommandFailed(
      `${file} is neither a file that can be read nor the id of an operation: ${why}`,
      ExitCode.NotFound,
    );
  }
}
