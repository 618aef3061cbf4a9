/**
 * The contestant that the documents of AKS name: `kubectl get secrets -A -o json | kubectl replace -f -`.
 *
 * Needs: the admin kubeconfig, and every Secret stale.
 * Does: runs the two programs with a pipe between them, as a shell does, and takes the time of both.
 */
import { execFile } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { startChild, type Child } from '../tools/child-process';
import type { Rig } from './rig';

/** How the pipe ended. */
export interface KubectlRun {
  readonly seconds: number;
  /** Objects that were refused because somebody wrote them in between, such as Keyturn's own or the system's. */
  readonly conflicts: number;
}

const SECRETS_AS_JSON = ['get', 'secrets', '--all-namespaces', '--output', 'json'];
const REPLACE = ['replace', '--filename', '-'];

/**
 * Runs the pipe. Whether every Secret that matters moved is for the caller to see in etcd.
 * @param kubectl path of the program
 * @throws Error when either program fails for another reason than conflicts
 */
export async function runKubectl(kubectl: string, rig: Rig): Promise<KubectlRun> {
  const file = (name: string): string => path.join(rig.directory, name);
  const [pipe, getLog, replaceLog] = [file('kubectl.pipe'), file('kubectl-get.log'), file('kubectl-replace.log')];
  // Left by an earlier run.
  for (const left of [pipe, getLog, replaceLog]) rmSync(left, { force: true });
  await promisify(execFile)('mkfifo', ['-m', '600', pipe]);
  const common = ['--kubeconfig', rig.cluster.kubeconfig, '--cache-dir', file('kubectl-cache')];
  // Both ask what the API server serves before they do anything; a person's kubectl has that in its cache.
  await promisify(execFile)(kubectl, [...common, 'get', 'namespaces']);

  const startedAt = performance.now();
  const get = throughPipe('kubectl get', `>${quoted(pipe)}`, getLog, [kubectl, ...common, ...SECRETS_AS_JSON]);
  const replace = throughPipe('kubectl replace', `<${quoted(pipe)}`, replaceLog, [kubectl, ...common, ...REPLACE]);
  try {
    const [got, replaced] = await Promise.all([get.exited, replace.exited]);
    const seconds = (performance.now() - startedAt) / 1000;
    if (got.code !== 0) throw new Error(`kubectl get failed: ${get.tail()}`);
    const { conflicts, others } = sortErrors(readFileSync(replaceLog, 'utf8'));
    if (others.length > 0 || (replaced.code !== 0 && conflicts === 0)) {
      throw new Error(`kubectl replace failed: ${others.slice(0, 5).join('\n') || replace.tail()}`);
    }
    return { seconds, conflicts };
  } finally {
    await Promise.all([get.stop(), replace.stop()]);
  }
}

/** What `kubectl replace` printed: refusals because of a newer state, and everything else that is an error. */
export function sortErrors(output: string): { readonly conflicts: number; readonly others: readonly string[] } {
  const errors = output.split('\n').filter((line) => line !== '' && !/^secret\/\S+ replaced$/.test(line));
  const others = errors.filter((line) => !/^Error from server \((Conflict|NotFound)\)/.test(line));
  return { conflicts: errors.length - others.length, others };
}

/**
 * A program with one end of a named pipe. The shell opens it and then becomes the program, so each end has its own exit
 * code, and what ends with this process is the program itself.
 */
function throughPipe(name: string, redirection: string, logFile: string, command: readonly string[]): Child {
  return startChild({
    name,
    command: '/bin/sh',
    args: ['-c', `exec "$@" ${redirection}`, name, ...command],
    logFile,
  });
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
