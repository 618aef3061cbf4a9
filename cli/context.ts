/** What every command has: the API, the output, the environment, and a way to ask the person at the terminal. */
import { createInterface } from 'node:readline/promises';
import type { Command } from 'commander';
import { apiClient, type Api } from './client/client';
import { CommandFailed, ExitCode } from './exit-codes';
import { accessToken } from './login/access-token';
import { Output, type Format } from './output/output';

/** Where the API is unless something else is said: where `npm start` has it. */
export const DEFAULT_URL = 'http://127.0.0.1:8080';

/** What every command has. */
export interface Context {
  readonly env: NodeJS.ProcessEnv;
  readonly output: Output;
  readonly api: Api;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
  /** Asks the person; undefined where nobody can answer. */
  readonly ask: ((question: string) => Promise<string>) | undefined;
}

/** The context of a command that was called. */
export function contextOf(command: Command, env: NodeJS.ProcessEnv = process.env): Context {
  const { output = 'table', url } = command.optsWithGlobals<{ output?: Format; url?: string }>();
  const apiUrl = checkedUrl(url ?? env.KEYTURN_URL ?? DEFAULT_URL);
  const stopped = new AbortController();
  process.once('SIGINT', () => stopped.abort());
  process.once('SIGTERM', () => stopped.abort());
  return {
    env,
    output: new Output(output, process.stdout, process.stderr),
    api: apiClient(apiUrl, accessToken(env, apiUrl)),
    signal: stopped.signal,
    ask: process.stdin.isTTY && process.stdout.isTTY ? askAtTerminal(stopped.signal) : undefined,
  };
}

function checkedUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw new CommandFailed(`"${text}" is not the URL of an API: set --url or KEYTURN_URL.`, ExitCode.Usage);
  }
  return text.replace(/\/+$/, '');
}

function askAtTerminal(signal: AbortSignal): (question: string) => Promise<string> {
  return async (question) => {
    const terminal = createInterface({ input: process.stdin, output: process.stdout });
    try {
      return (await terminal.question(question, { signal })).trim();
    } finally {
      terminal.close();
    }
  };
}
