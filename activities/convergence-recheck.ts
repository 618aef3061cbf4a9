/**
 * The recheck of convergence, after the last write: do all API servers still write with the target?
 *
 * Stricter than the first check: canaries are under the target by now, so one single change means that a server has written
 * with another key.
 */
import { sameProcesses, type Convergence } from '../domain/convergence';
import type { EncryptionTarget } from '../domain/encryption';
import { awaitConvergence, type ConvergenceLimits } from './convergence';
import { isNotConverged } from './failures';
import type { KubeConnection } from './kubernetes/connection';
import type { Running } from './running';

/** The result. */
export interface Recheck {
  readonly holds: boolean;
  readonly weaknesses: readonly string[];
}

/** Only the metrics of a server that has just been restarted need a moment. */
const LONGEST_WAIT_IN_MS = 2 * 60_000;

/**
 * Whether convergence holds: no probe changes a canary, the metrics still confirm if they did before, and the servers are the
 * same processes.
 * @throws KubeError when the cluster refuses a probe outright; the signal's reason
 */
export async function recheckConvergence(
  connection: KubeConnection,
  input: { readonly target: EncryptionTarget; readonly operationId: string; readonly convergence: Convergence },
  running: Running,
  limits: ConvergenceLimits,
): Promise<Recheck> {
  const { target, operationId, convergence: first } = input;
  // That replaced servers had ended was waited for before Rc, and no server has been replaced since: the processes show it.
  const patience = { ...limits, deadlineInMs: Math.min(limits.deadlineInMs, LONGEST_WAIT_IN_MS), drainInMs: 0 };
  let second: Convergence;
  try {
    second = await awaitConvergence(connection, { target, operationId }, running, patience);
  } catch (error) {
    if (isNotConverged(error)) return { holds: false, weaknesses: [] };
    throw error;
  }
  const { weaknesses } = second;
  const holds =
    second.flips === 0 &&
    // A server that stores a canary with other content may have stored it under another key, and that would not show.
    (second.contentChanges ?? 0) === 0 &&
    (first.metrics !== 'confirmed' || second.metrics === 'confirmed') &&
    // A server that was started since may have written with any key in between, whatever key it writes with now.
    sameProcesses(first.processes, second.processes);
  return { holds, weaknesses };
}
