/** The middle of an operation on a test cluster: baseline, switch, convergence, rewrite, proof. */
import { removeCanaries, takeBaseline } from '../../activities/canaries';
import { awaitConvergence } from '../../activities/convergence';
import type { KubeConnection } from '../../activities/kubernetes/connection';
import { proveSecrets } from '../../activities/secrets/proof';
import { rewriteSecrets } from '../../activities/secrets/rewrite';
import { boundsOf, type Baseline, type Convergence } from '../../domain/convergence';
import type { EncryptionTarget } from '../../domain/encryption';
import type { Proof, ProofBounds, RewriteReport } from '../../domain/proof';
import { LIMITS, PACE, type TestCluster, testRunning } from './cluster-support';

/** What an operation saw and did. */
export interface Turned {
  readonly baseline: Baseline;
  readonly convergence: Convergence;
  readonly bounds: ProofBounds;
  readonly report: RewriteReport;
  readonly proof: Proof;
}

let operations = 0;

/** An operation id that no other operation of this test file has. */
export function newOperationId(): string {
  operations++;
  return `op-t${process.pid.toString(36)}${String(operations).padStart(4, '0')}`;
}

/** Runs a whole operation around a switch. @param target asked for after the switch, so that it may name a new key */
export async function turn(
  c: TestCluster,
  switching: () => Promise<void>,
  target: () => EncryptionTarget,
  connection: KubeConnection = c.connection,
): Promise<Turned> {
  const operationId = newOperationId();
  const baseline = await takeBaseline(connection, operationId);
  await switching();
  const input = { target: target(), operationId };
  const convergence = await awaitConvergence(connection, { ...input, baseline }, testRunning(), LIMITS);
  const bounds = boundsOf(convergence);
  const report = await rewriteSecrets(connection, { bounds, operationId, pace: PACE }, testRunning());
  const proof = await proveSecrets(connection, { ...input, bounds, convergence, pace: PACE }, testRunning(), LIMITS);
  await removeCanaries(connection, operationId);
  return { baseline, convergence, bounds, report, proof };
}

/** Proves the key that the cluster writes with, without a switch. */
export async function prove(
  c: TestCluster,
  target: EncryptionTarget,
): Promise<{ readonly convergence: Convergence; readonly proof: Proof }> {
  const { connection } = c;
  const input = { target, operationId: newOperationId() };
  const convergence = await awaitConvergence(connection, input, testRunning(), LIMITS);
  const bounds = boundsOf(convergence);
  const proof = await proveSecrets(connection, { ...input, bounds, convergence, pace: PACE }, testRunning(), LIMITS);
  await removeCanaries(connection, input.operationId);
  return { convergence, proof };
}
