/**
 * A host name of its own for each API server of a cluster.
 *
 * Needs: Linux, the commands `unshare` and `hostname`, and the right to make a UTS namespace (root) or a user namespace.
 * Does: wraps the command line of a server so that the server sees another host name. An API server's identity lease is a
 *       hash of its host name (apiserver pkg/server/config.go), so servers on one host would share one lease.
 * Never does: fork. Every step is an `exec`: the process id stays the program's own, and so does its guard.
 */
import { execFile } from 'node:child_process';
import { hostname } from 'node:os';
import { promisify } from 'node:util';
import { messageOf } from '../message-of';

/** A program and its arguments. */
export interface CommandLine {
  readonly command: string;
  readonly args: readonly string[];
}

/** How servers of this machine can be named. */
export interface HostNames {
  /** What the server with this name will take for its host name. */
  seenBy(name: string): string;
  /** The command line that runs `inner` under this name. */
  wrap(name: string, inner: CommandLine): CommandLine;
  /** Why servers have no host name of their own; undefined when they have. */
  readonly problem?: string;
}

/** A host name that is also a label value has 63 characters at most. */
const NAME_LIMIT = 63;
const PROBE_NAME = 'keyturn-probe';
const PROBE_TIMEOUT_IN_MS = 5_000;
/** With root's rights; else with those that root of a user namespace of one's own has. */
const WAYS: readonly (readonly string[])[] = [['--uts'], ['--user', '--map-root-user', '--uts']];
// `$0` is the name, the rest is the program: nothing is quoted, nothing can be misread.
const NAME_AND_RUN = 'hostname "$0" && exec "$@"';

/** All servers see the machine's own host name. */
export function sharedHostName(problem?: string): HostNames {
  return { problem, seenBy: () => hostname(), wrap: (_name, inner) => inner };
}

/** Tries what this machine allows; takes some milliseconds. */
export async function findHostNames(): Promise<HostNames> {
  const problems: string[] = [];
  for (const way of WAYS) {
    const wrap = (name: string, { command, args }: CommandLine): CommandLine => ({
      command: 'unshare',
      args: [...way, '/bin/sh', '-c', NAME_AND_RUN, name, command, ...args],
    });
    const problem = await whyNot(wrap(PROBE_NAME, { command: 'hostname', args: [] }));
    if (problem === undefined) return { wrap, seenBy: (name) => name };
    problems.push(`unshare ${way.join(' ')}: ${problem}`);
  }
  return sharedHostName(
    `No host name of their own for API servers on this machine, so all of a cluster share one identity lease (${problems.join('; ')}).`,
  );
}

/** The host name of the n-th API server of a cluster, counted from 1: the same after every roll and restart. */
export function serverHostName(clusterName: string, number: number): string {
  const end = `-${number}`;
  // Underscores are allowed in the names of clusters but not in those of hosts.
  const start = `keyturn-${clusterName.toLowerCase().replaceAll('_', '-')}`.slice(0, NAME_LIMIT - end.length);
  return `${start.replace(/-+$/, '')}${end}`;
}

async function whyNot({ command, args }: CommandLine): Promise<string | undefined> {
  try {
    const { stdout } = await promisify(execFile)(command, args, { timeout: PROBE_TIMEOUT_IN_MS });
    return stdout.trim() === PROBE_NAME ? undefined : `the host name stayed ${stdout.trim()}`;
  } catch (error) {
    // The first line is the whole command again; what the command said comes after it.
    const lines = messageOf(error).trim().split('\n');
    return lines.slice(1).join(' ') || (lines[0] ?? '');
  }
}
