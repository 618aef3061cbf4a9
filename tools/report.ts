/** Words for people: why something failed, how long it takes, that it still goes on, and the last error of a search. */
import { inspect, types } from 'node:util';
import type { Tool } from './table';
import type { Settings } from './settings';

const HEARTBEAT_IN_MS = 15_000;

/** One place that was looked at, and what was there. */
export interface Attempt {
  readonly where: string;
  readonly result: string;
}

/** No place had the tool. `message` names every attempt and what to do. */
export class ToolUnavailableError extends Error {
  override readonly name = 'ToolUnavailableError';

  constructor(
    readonly tool: string,
    readonly attempts: readonly Attempt[],
    advice: readonly string[],
  ) {
    const list = (items: readonly string[]): string => items.map((item) => `  - ${indent(item)}`).join('\n');
    super(
      `${tool} is not available on this machine. Tried, in this order:\n` +
        `${list(attempts.map(({ where, result }) => `${where}: ${result}`))}\nDo one of these:\n${list(advice)}`,
    );
  }
}

/** What helps when neither a download nor a build worked. */
export function adviceFor(tool: Tool, settings: Settings): string[] {
  const { source, minutesOn2Cores } = tool.build.from;
  return [
    `Install Go 1.26 or newer from https://go.dev/dl and run this again: ${source} is then built here, in about ` +
      `${minutesOn2Cores} min on 2 cores. Go needs a module proxy for that (GOPROXY).`,
    `Allow network access to ${settings.origin}. HTTPS_PROXY and NO_PROXY are honoured; KEYTURN_TOOLS_MIRROR names a ` +
      'mirror to use instead of https://github.com.',
    `Set ${tool.variable} to the path of ${tool.binary}, ${acceptedVersions(tool)}.`,
  ];
}

/** `version 1.34.x`, `version 1.5.1 or newer`. */
export function acceptedVersions(tool: Tool): string {
  const { rule, version } = tool.accepts;
  return rule === 'at-least' ? `version ${version} or newer` : `version ${version.replace(/\.\d+$/, '.x')}`;
}

/** The whole chain of causes in one line: fetch and sockets hide the telling one at the bottom. */
export function reasonOf(error: unknown): string {
  const parts: string[] = [];
  for (let next: unknown = error; next !== undefined && next !== null;) {
    const text = types.isNativeError(next) ? next.message : inspect(next, { compact: true });
    if (text !== '' && !parts.some((part) => part.includes(text))) parts.push(text);
    // An AggregateError of a host with several addresses: one of them tells enough.
    const inner: unknown = next instanceof AggregateError ? next.errors[0] : undefined;
    next = inner ?? (types.isNativeError(next) ? next.cause : undefined);
  }
  return parts.join(': ') || 'unknown error';
}

/** `ENOENT`, `ELOCKED`: the code that Node and many libraries put on errors. */
export function codeOf(error: unknown): string | undefined {
  const isCoded = typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string';
  return isCoded ? String(error.code) : undefined;
}

/** `45 s`, `6 min 50 s`. */
export function duration(inMs: number): string {
  const seconds = Math.round(inMs / 1000);
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

/** Says `describe()` every 15 s while `work` goes on, so that minutes of silence are not mistaken for a hang. */
export async function withHeartbeat<T>(
  say: (line: string) => void,
  describe: (elapsed: string) => string,
  work: () => Promise<T>,
): Promise<T> {
  const start = Date.now();
  const timer = setInterval(() => say(describe(duration(Date.now() - start))), HEARTBEAT_IN_MS);
  try {
    return await work();
  } finally {
    clearInterval(timer);
  }
}

function indent(text: string): string {
  return text.replaceAll('\n', '\n      ');
}
