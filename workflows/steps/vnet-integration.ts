/**
 * Performers of the steps that turn API Server VNet Integration on and bring it into effect: a PUT, a stop, a start, and a wait.
 *
 * Each asks Azure only for what the cluster does not show already. Between the stop and the request for the start nothing can be canceled:
 * a stopped cluster serves nobody.
 */
import { profileOf } from '../../domain/plan/change-of-step';
import { madeKeys } from '../../domain/plan/outputs';
import type { StepOf } from '../../domain/plan/steps';
import { awaitIdleCluster } from '../cluster-idle';
import { underLock } from '../held-cluster';
import type { StepOutcome } from '../operation-run';
import { changeCluster, earlierOperations } from './change';
import type { Execution } from './execution';

/** Asks Azure for the integration, and waits until ARM reports it. */
export async function enableVnetIntegration(
  step: StepOf<'enable-vnet-integration'>,
  { run }: Execution,
): Promise<StepOutcome> {
  await awaitIdleCluster(run, run.plan.cluster);
  const ended = await changeCluster(step, run, 'Wait until Azure has turned API Server VNet Integration on');
  return {
    output: { type: step.type, armOperations: [...earlierOperations(step, run), ended] },
    text: `Azure's operation ended ${ended.status}. In effect after the stop and the start.`,
  };
}

/** Stops the cluster, or waits for a stop that is under way. */
export async function stopCluster(step: StepOf<'stop-cluster'>, { run }: Execution): Promise<StepOutcome> {
  await awaitIdleCluster(run, run.plan.cluster);
  const { quick, lasting } = underLock(run);
  const reference = run.reference(step.id);
  // A cluster that is stopped, or on its way, must not be compared with one that Succeeded when the lock was lost.
  run.expectProfile(null);
  const { operationUrl } = await quick(step.title).submitClusterChange(reference);
  // Not to be interrupted: the start has to follow.
  const ended = await lasting('Wait until Azure has stopped the cluster').awaitClusterChange({
    ...reference,
    operationUrl,
  });
  return {
    output: { type: step.type, armOperations: [...earlierOperations(step, run), ended] },
    text: `Azure's operation ended ${ended.status}; the cluster is stopped.`,
  };
}

/** Starts the cluster. Once Azure was asked, a person may end the operation without waiting for it. */
export async function startCluster(step: StepOf<'start-cluster'>, { run }: Execution): Promise<StepOutcome> {
  run.expectProfile(null);
  const ended = await changeCluster(step, run, 'Wait until Azure has started the cluster');
  run.expectProfile(profileOf(step.expect, madeKeys(run.outputs)));
  return {
    output: { type: step.type, armOperations: [...earlierOperations(step, run), ended] },
    text: `Azure's operation ended ${ended.status}; the cluster runs.`,
  };
}

/** Waits until the API servers answer, with the integration in effect. */
export async function awaitApiServers(step: StepOf<'await-api-servers'>, { run }: Execution): Promise<StepOutcome> {
  const { answers } = await underLock(run).lasting(step.title).awaitApiServers(run.reference(step.id));
  return {
    output: { type: step.type, answers },
    text: `The API servers answer from their new place: ${answers} health checks passed, each over a new connection.`,
  };
}
