/**
 * One operation, end to end: observe and plan, ask for approval, take the cluster's lock, look again, execute, seal the
 * evidence. DESIGN: "One operation, end to end".
 */
import {
  ActivityFailure,
  allHandlersFinished,
  ApplicationFailure,
  CancellationScope,
  CancelledFailure,
  condition,
  log,
  workflowInfo,
} from '@temporalio/workflow';
import { assertNever } from '../domain/assert-never';
import { newOperation } from '../domain/new-operation';
import type { Observation } from '../domain/observed';
import { OperationStatus, type StoredFault } from '../domain/operation';
import { StepId, type Plan } from '../domain/plan';
import { plan as makePlan } from '../domain/planner';
import { rewriteCeiling } from '../domain/rewrite-pace';
import { OperationKind } from '../domain/request';
import { brief, long, short } from './activities';
import { takeClusterLock, type HeldLock } from './cluster-lock';
import { awaitApproval, handleMessages } from './gate';
import type { OperationInput } from './messages';
import { rotateKey, type EvidenceFacts } from './procedures/rotate-key';
import { faultOf, OperationEnds, Run } from './run';

/**
 * Runs one operation. Its workflow id is the operation's id.
 * In Temporal it is Completed when it Succeeded, and when people decided against it (denied, expired, canceled through
 * Keyturn); Failed when it failed; Canceled when it was canceled through Temporal.
 */
export async function operation(
  input: OperationInput,
): Promise<{ status: OperationStatus; reason: StoredFault | null }> {
  const run = new Run(newOperation({ id: workflowInfo().workflowId, ...input }));
  const { denial } = handleMessages(run);
  let canceledByTemporal = false;
  CancellationScope.current().cancelRequested.catch(() => {
    canceledByTemporal = true;
    run.requestCancel('The workflow was canceled through Temporal.');
  });

  // Cancellation is a wish, honoured at safe points: nothing here is cut off in the middle.
  return await CancellationScope.nonCancellable(async () => {
    const facts: EvidenceFacts = { armOperations: [], baseline: null, convergence: null, ledger: null };
    try {
      await planApproveExecute(run, input, denial, facts);
      run.end(OperationStatus.Succeeded, []);
    } catch (error) {
      if (!(error instanceof OperationEnds)) throw error;
      run.end(error.status, error.faults);
      await removeCanaries(run);
    }
    const sealed = await short('Seal the evidence').sealEvidence({ record: { operation: run.operation, ...facts } });
    run.publish({ evidence: sealed });
    await condition(allHandlersFinished);

    const { status, reason } = run.operation;
    if (status === OperationStatus.Failed)
      throw ApplicationFailure.nonRetryable(reason?.detail ?? status, reason?.code);
    if (canceledByTemporal && status === OperationStatus.Canceled) throw new CancelledFailure(reason?.detail ?? status);
    return { status, reason };
  });
}

/**
 * Canaries of an operation that did not finish are Secrets like any other: one that is left under an old key would stand in
 * the way of later rotations. A cluster that does not answer must not keep the operation from ending, so this gives up.
 */
async function removeCanaries(run: Run): Promise<void> {
  const { id, plan, steps } = run.operation;
  const touched = steps.some(({ id: step, startedAt }) => startedAt !== undefined && step !== StepId.Approve);
  if (!plan || !touched) return;
  try {
    await brief('Delete the canaries').removeCanaries({ cluster: plan.cluster, operationId: id });
  } catch (error) {
    if (!(error instanceof ActivityFailure)) throw error;
    log.warn('The canaries could not be deleted; the next operation rewrites them like any Secret', {
      cluster: plan.cluster,
    });
  }
}

async function planApproveExecute(
  run: Run,
  input: OperationInput,
  denial: ReturnType<typeof handleMessages>['denial'],
  facts: EvidenceFacts,
): Promise<void> {
  await awaitQuietCluster(run, input);
  run.takePlan(await observeAndPlan(run, input));
  for (;;) {
    await awaitApproval(run, denial, input.approvalTimeoutInMs);
    const lock = await takeOrAwaitLock(run, input);
    // Approved = executed (O3): look again under the lock, and ask anew if the plan is not the approved one any more.
    const fresh = await observeAndPlan(run, input);
    if (fresh.digest === run.operation.plan?.digest) {
      run.publish({ status: OperationStatus.Running });
      run.publish({ result: await execute(run, fresh, facts) });
      await lock.release();
      return;
    }
    await lock.release();
    run.takePlan(fresh);
  }
}

async function observeAndPlan(run: Run, { request, policy }: OperationInput): Promise<Plan> {
  run.safePoint();
  let observation;
  try {
    observation = await observe(run, request);
  } catch (error) {
    if (error instanceof OperationEnds) throw error;
    throw new OperationEnds(OperationStatus.Failed, [faultOf(error)]);
  }
  run.safePoint();
  const { plan, faults } = makePlan(request, observation, policy);
  const [first, ...rest] = faults;
  if (plan) return plan;
  if (!first) throw new Error('The planner gave neither a plan nor a fault.');
  throw new OperationEnds(OperationStatus.Failed, [first, ...rest]);
}

/** Azure and the ledger first; every Secret by a dry run when those leave a plan possible. */
async function observe(run: Run, request: OperationInput['request']): Promise<Observation> {
  const observation = await short('Observe the cluster, its keys and its ledger').observe({ request });
  const { azure, ledger } = observation;
  if (ledger === undefined || !azure.cluster.found) return observation;
  run.publish({ waitingFor: 'the census: a dry run of the rewrite of every Secret. Nothing is stored.' });
  const input = { cluster: azure.cluster.cluster.resourceId, perSecond: rewriteCeiling(azure) };
  const census = await run.interruptibly(() => long('Census: try out every Secret').takeCensus(input));
  run.publish({ waitingFor: null });
  return { ...observation, census };
}

async function takeOrAwaitLock(run: Run, { request }: OperationInput): Promise<HeldLock> {
  for (;;) {
    run.safePoint();
    const lock = await takeClusterLock(request.cluster);
    if (lock) return lock;
    const holder = await clusterHolder(request.cluster);
    if (holder === null) continue;
    if (request.whenBusy === 'refuse') {
      const detail = `Operation ${holder} is executing on this cluster. Ask again when it has ended, or ask to wait.`;
      throw new OperationEnds(OperationStatus.Failed, [{ code: 'ClusterBusy', detail }]);
    }
    await awaitHolder(run, request.cluster, holder);
  }
}

/** While another operation changes the cluster there is nothing to plan from: who asked to wait, waits first. */
async function awaitQuietCluster(run: Run, { request }: OperationInput): Promise<void> {
  if (request.whenBusy !== 'wait') return;
  for (;;) {
    run.safePoint();
    const holder = await clusterHolder(request.cluster);
    if (holder === null) return;
    await awaitHolder(run, request.cluster, holder);
  }
}

async function clusterHolder(cluster: string): Promise<string | null> {
  return (await short('Read who holds the cluster').readClusterHolder({ cluster })).operationId;
}

async function awaitHolder(run: Run, cluster: string, holder: string): Promise<void> {
  run.publish({
    status: OperationStatus.AwaitingCluster,
    waitingFor: `operation ${holder} to end: it executes on this cluster.`,
  });
  await run.interruptibly(() => long(`Wait for operation ${holder}`).awaitClusterFree({ cluster }));
  run.publish({ status: OperationStatus.Planning, waitingFor: null });
}

async function execute(run: Run, plan: Plan, facts: EvidenceFacts): Promise<Awaited<ReturnType<typeof rotateKey>>> {
  const { kind } = run.operation.request;
  switch (kind) {
    case OperationKind.RotateKey:
      return await rotateKey(run, plan, facts);
    default:
      return assertNever(kind);
  }
}
