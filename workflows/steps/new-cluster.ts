/** Performers of the steps that make a cluster and its identity. Each looks before it writes. */
import { describeState } from '../../domain/encryption';
import { profileOf } from '../../domain/plan/change-of-step';
import { madeKeys } from '../../domain/plan/outputs';
import type { StepOf } from '../../domain/plan/steps';
import { resourceName } from '../../domain/resource-ids';
import { underLock } from '../held-cluster';
import type { OperationRun, StepOutcome } from '../operation-run';
import type { Execution } from './execution';

/** Makes the identity, or finds the one that an earlier try made. */
export async function createIdentity(step: StepOf<'create-identity'>, { run }: Execution): Promise<StepOutcome> {
  const { principalId } = await underLock(run)
    .quick(step.title)
    .createIdentity({ ...run.reference(step.id), nonce: nonceOf(run, step.id) });
  return {
    output: { type: 'create-identity', principalId },
    text: `The managed identity ${resourceName(step.identityId)} was made. Its principal: ${principalId}`,
  };
}

/** Lets the identity approve private endpoints of the vault, and waits until Azure shows it. */
export async function grantEndpointApproval(
  step: StepOf<'grant-endpoint-approval'>,
  { run }: Execution,
): Promise<StepOutcome> {
  const { quick, lasting } = underLock(run);
  const reference = run.reference(step.id);
  const { principalId, granted } = await quick(step.title).grantEndpointApproval(reference);
  const waiting = 'Wait until Azure shows the right to approve private endpoints';
  await run.interruptibly(() => lasting(waiting).awaitEndpointApproval({ ...reference, principalId }));
  return {
    output: { type: 'grant-endpoint-approval', principalId, granted },
    text: `${resourceName(step.identityId)} ${granted ? 'may approve private endpoints of the vault' : 'had the right already'}.`,
  };
}

/** Asks ARM for the cluster, waits until it is there, and begins its ledger. */
export async function createCluster(step: StepOf<'create-cluster'>, { run }: Execution): Promise<StepOutcome> {
  const { quick, lasting } = underLock(run);
  const reference = run.reference(step.id);
  // Until it is seen, there may be none.
  run.expectProfile(null);
  const { operationUrl } = await quick(step.title).submitNewCluster({ ...reference, nonce: nonceOf(run, step.id) });
  // Waiting only reads: an operation that is canceled need not wait for Azure, and says that Azure was asked.
  const { operation, version } = await run.interruptibly(() =>
    lasting(`Wait until Azure has made ${resourceName(run.plan.cluster)}`).awaitNewCluster({
      ...reference,
      operationUrl,
    }),
  );
  await quick('Begin the ledger of the cluster').noteCreation(reference);
  run.expectProfile(profileOf(step.to, madeKeys(run.outputs)));
  return {
    output: { type: 'create-cluster', armOperations: [operation], version },
    text: `Azure's operation ended ${operation.status}; the cluster runs Kubernetes ${version} and writes with ${describeState(step.to)}.`,
  };
}

/** The same for every try of a step. */
function nonceOf(run: OperationRun, step: string): string {
  return `${run.nonce}/${step}`;
}
