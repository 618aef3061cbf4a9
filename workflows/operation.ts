/**
 * One operation, end to end: check the rules, plan, ask for approval, take the cluster's lock, look again, execute, seal the
 * evidence. The same for every kind: the plan says what is done.
 */
import {
  ActivityFailure,
  allHandlersFinished,
  ApplicationFailure,
  CancellationScope,
  CancelledFailure,
  condition,
  log,
  makeContinueAsNewFunc,
  workflowInfo,
} from '@temporalio/workflow';
import type { Census } from '../domain/census';
import type { KmsProfile } from '../domain/cluster-change';
import type { ErrorCode } from '../domain/errors';
import { newOperation } from '../domain/new-operation';
import { OperationStatus, type StoredFault } from '../domain/operation';
import type { Plan } from '../domain/plan/plan';
import { profileOf } from '../domain/plan/change-of-step';
import { resultOf } from '../domain/plan/outputs';
import type { StepOf } from '../domain/plan/steps';
import { factsOfRequest } from '../domain/trust/statements';
import { bestEffort, lasting, quick } from './activities';
import { Announcer } from './announcer';
import { awaitIdleCluster } from './cluster-idle';
import { awaitChangeOfPlan } from './change-wait';
import { ClusterLockGuard } from './cluster-lock';
import { awaitClusterFree, clusterHolder } from './cluster-wait';
import { execute } from './execute';
import { firstGates, firstGatesStood, handleMessages, passGate } from './gate';
import { HeldCluster } from './held-cluster';
import type { OperationInput } from './messages';
import { faultOf, OperationEnds } from './endings';
import { OperationRun, WHILE_RUNNING, type RunState } from './operation-run';
import { now } from './published-operation';

/** Refused because of earlier evidence, it leaves that evidence alone; what nobody asked the API for is no operation of Keyturn's. */
const LEAVES_NO_EVIDENCE: ReadonlySet<string | undefined> = new Set<ErrorCode>(['EvidenceExists', 'NotSigned']);

/** How long a lock that is being released is still there. */
const LOCK_ENDS_WITHIN_IN_MS = 1_000;

/**
 * Runs one operation. Its workflow id is the operation's id.
 * In Temporal it is Completed when it Succeeded, and when people decided against it (denied, expired, canceled through
 * Keyturn); Failed when it failed; Canceled when it was canceled through Temporal.
 */
export async function operation(
  input: OperationInput,
): Promise<{ status: OperationStatus; reason: StoredFault | null }> {
  const { continued } = input;
  const first = newOperation({ id: workflowInfo().workflowId, ...input });
  const run = new OperationRun(continued?.operation ?? first, (state) => continueAs(input, state), continued);
  const { denial } = handleMessages(run, input.policy);
  const announcer = input.webhooks === true ? new Announcer(input.request.cluster) : undefined;
  run.onMilestone = () => announcer?.announce();
  const guard = new ClusterLockGuard(input.request.cluster);
  let canceledByTemporal = false;
  CancellationScope.current().cancelRequested.catch(() => {
    canceledByTemporal = true;
    run.requestCancel('The workflow was canceled through Temporal.');
  });

  // Cancellation is a wish, honoured at safe points: nothing here is cut off in the middle.
  return await CancellationScope.nonCancellable(async () => {
    try {
      const pass = (gate: StepOf<'gate'>): Promise<void> => passGate(run, gate, denial, input.approvalTimeoutInMs);
      await refusing(
        quick('Check that the API signed the request').admitOperation({
          request: { ...factsOfRequest(input), signature: input.signature },
        }),
      );
      if (continued === undefined) await planAndApprove(run, input, pass, guard);
      const held = new HeldCluster(run, guard, input.request.cluster, profileBefore(run.plan));
      run.useLock(held);
      if (continued !== undefined) await held.release();
      await execute(run, pass);
      run.publish({ result: resultOf(run.plan, run.outputs) });
      run.end(OperationStatus.Succeeded, []);
    } catch (error) {
      if (!(error instanceof OperationEnds)) throw error;
      run.end(error.status, error.faults);
      await removeCanaries(run);
    }
    // Sealing is retried for as long as it takes: the cluster must not wait for it.
    await guard.release();
    if (!LEAVES_NO_EVIDENCE.has(run.operation.reason?.code)) {
      const { policy, approvalTimeoutInMs, signature } = input;
      const record = {
        operation: run.operation,
        outputs: run.outputs,
        seal: { policy: { ...policy }, approvalTimeoutInMs, signature },
      };
      run.publish({ evidence: await quick('Seal the evidence').sealEvidence({ record }) });
    }
    await announcer?.finish();
    await condition(allHandlersFinished);

    const { status, reason } = run.operation;
    if (status === OperationStatus.Failed)
      throw ApplicationFailure.nonRetryable(reason?.detail ?? status, reason?.code);
    if (canceledByTemporal && status === OperationStatus.Canceled) throw new CancelledFailure(reason?.detail ?? status);
    return { status, reason };
  });
}

/**
 * Canaries of an operation that did not finish are Secrets like any other: one that is left under an old key would be unreadable
 * after later rotations. A cluster that does not answer must not keep the operation from ending, so this gives up.
 */
async function removeCanaries(run: OperationRun): Promise<void> {
  const { plan, steps } = run.operation;
  const touched = steps.some(({ changes, startedAt }) => startedAt !== undefined && changes === 'kubernetes');
  if (!plan || !touched) return;
  try {
    await bestEffort('Delete the canaries').removeCanaries({ planDigest: plan.digest });
  } catch (error) {
    if (!(error instanceof ActivityFailure)) throw error;
    log.warn('The canaries could not be deleted; the next operation rewrites them like any Secret', {
      cluster: plan.cluster,
    });
  }
}

/** What Azure has to report before the first step; null of a cluster that the plan makes. */
function profileBefore({ from, steps }: Plan): KmsProfile | null {
  return steps.some(({ type }) => type === 'create-cluster') ? null : profileOf(from, {});
}

/** The next run of the workflow: the same id, type and memo, and a history of its own. */
function continueAs(input: OperationInput, state: RunState): Promise<never> {
  const { memo, typedSearchAttributes } = workflowInfo();
  return makeContinueAsNewFunc<(input: OperationInput) => Promise<unknown>>({ memo, typedSearchAttributes })({
    ...input,
    continued: state,
  });
}

/** Until there is a plan that is approved, holds under the cluster's lock, and is about to run. */
async function planAndApprove(
  run: OperationRun,
  input: OperationInput,
  pass: (gate: StepOf<'gate'>) => Promise<void>,
  guard: ClusterLockGuard,
): Promise<void> {
  const { cluster } = input.request;
  // While another operation changes the cluster there is nothing to plan from: an operation that was asked to wait, waits first.
  if (input.request.whenBusy === 'wait') await awaitClusterFree(run, cluster, OperationStatus.Planning);
  let planned = await makePlan(run, input, { waitsWhileBusy: input.request.whenBusy === 'wait' });
  run.takePlan(planned.plan);
  for (;;) {
    for (const gate of firstGates(run.plan)) await pass(gate);
    await refusing(awaitChangeOfPlan(run));
    // Approved = executed (O3): look again under the lock, and ask anew if the plan is not the approved one any more.
    let freeAt: string;
    do {
      await takeOrAwaitLock(run, input, guard);
      // Not after the look, which takes long on a large cluster: approvals that were in time stay in time.
      freeAt = now();
      planned = await makePlan(run, input, { waitsWhileBusy: true, earlier: planned.census });
    } while (guard.lost);
    const same = planned.plan.digest === run.plan.digest;
    if (same && firstGatesStood(run, freeAt)) {
      run.publish({ status: OperationStatus.Running, offers: WHILE_RUNNING });
      return;
    }
    await guard.release();
    // The plan that was approved too long ago keeps its approvals for the auditor, and asks for new ones.
    if (!same) run.takePlan(planned.plan);
  }
}

/**
 * Rules first; every Secret by the census when they leave a plan possible; then the plan. Azure may begin to change the cluster after
 * the rules were checked: then all is looked at again when that has ended.
 * @param options.earlier the census of before, if there is one: only what has changed since is asked again
 */
async function makePlan(
  run: OperationRun,
  { request, policy }: OperationInput,
  { waitsWhileBusy, earlier }: { readonly waitsWhileBusy: boolean; readonly earlier?: Census },
): Promise<{ readonly plan: Plan; readonly census?: Census }> {
  let taken = earlier;
  for (;;) {
    run.safePoint();
    const checked = await refusing(quick('Check the rules').checkRules({ request }));
    if (waitsWhileBusy && checked.busy !== null) {
      await refusing(awaitIdleCluster(run, request.cluster, checked.busy));
      continue;
    }
    refuse(checked.faults);
    let census: Census | null = null;
    if (checked.cluster !== null) {
      const { cluster, perSecond, state } = checked;
      // Under the lock, which is after the first plan, nothing is taken over from other operations.
      const input = { cluster, perSecond, earlier: taken, ...(earlier === undefined ? { state } : {}) };
      run.publish({ waitingFor: 'the census: Keyturn looks at every Secret. Nothing is stored.' });
      census = await run.interruptibly(() => refusing(lasting('Census: look at every Secret').takeCensus(input)));
      run.publish({ waitingFor: null });
      taken = census;
    }
    run.safePoint();
    const made = await refusing(quick('Make the plan').makePlan({ request, policy, census }));
    if (waitsWhileBusy && made.busy) {
      await refusing(awaitIdleCluster(run, request.cluster, made.busy));
      continue;
    }
    refuse(made.faults);
    if (!made.plan) throw new Error('The planner gave neither a plan nor a fault.');
    return { plan: made.plan, ...(census === null ? {} : { census }) };
  }
}

/** Before anything is changed, what an activity refuses ends the operation. */
async function refusing<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof OperationEnds || !(error instanceof ActivityFailure)) throw error;
    if (error.cause instanceof CancelledFailure) throw error;
    throw new OperationEnds(OperationStatus.Failed, [faultOf(error)]);
  }
}

function refuse(faults: readonly StoredFault[]): void {
  const [first, ...rest] = faults;
  if (first) throw new OperationEnds(OperationStatus.Failed, [first, ...rest]);
}

async function takeOrAwaitLock(run: OperationRun, { request }: OperationInput, guard: ClusterLockGuard): Promise<void> {
  for (;;) {
    run.safePoint();
    if (await guard.take()) return;
    const holder = await clusterHolder(request.cluster);
    if (holder !== null && request.whenBusy === 'refuse') {
      const detail = `Operation ${holder} is executing on this cluster. Ask again when it has ended, or ask to wait.`;
      throw new OperationEnds(OperationStatus.Failed, [{ code: 'ClusterBusy', detail }]);
    }
    if (holder !== null) await awaitClusterFree(run, request.cluster, OperationStatus.Planning);
    // The lock was there a moment ago and is not now: it is ending, and the next try may still be too early.
    else await run.pause(LOCK_ENDS_WITHIN_IN_MS);
  }
}
