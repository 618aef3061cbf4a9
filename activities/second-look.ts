/**
 * The second look at convergence, after the last write: do all API servers still write with the target key?
 *
 * Stricter than the first: canaries are under the target key by now, so one single change means that a server has written
 * with another key.
 */
import type { Convergence } from '../domain/convergence';
import { awaitConvergence, type ConvergenceLimits } from './convergence';
import { isNotConverged } from './failures';
import type { KubeConnection } from './kubernetes/connection';
import { heartbeating, type Running } from './running';

/** Metrics of a server that has just been restarted need a moment; nothing else does. */
const LONGEST_WAIT_IN_MS = 2 * 60_000;

/**
 * Whether convergence holds: canaries keep still from the first probe on, the metrics still confirm when they did, and the
 * servers are the same processes, or were confirmed anew.
 * @param heartbeat what heartbeats go on to say meanwhile
 * @throws KubeError when the cluster refuses a probe outright; the signal's reason
 */
export async function convergenceHolds(
  connection: KubeConnection,
  input: { readonly keyId: string; readonly operationId: string; readonly convergence: Convergence },
  running: Running,
  limits: ConvergenceLimits,
  heartbeat: unknown,
): Promise<boolean> {
  const { keyId, operationId, convergence: first } = input;
  const patience = { ...limits, deadlineInMs: Math.min(limits.deadlineInMs, LONGEST_WAIT_IN_MS) };
  let second: Convergence;
  try {
    second = await heartbeating(
      running,
      () => heartbeat,
      () => awaitConvergence(connection, { keyId, operationId }, running, patience),
    );
  } catch (error) {
    if (isNotConverged(error)) return false;
    throw error;
  }
  if (second.flips > 0) return false;
  if (first.metrics === 'confirmed' && second.metrics !== 'confirmed') return false;
  const restarted = second.leases.some(({ holder }) => !first.leases.some((lease) => lease.holder === holder));
  return !restarted || second.metrics === 'confirmed';
}
