/** Performers of the steps that connect pods with a vault, and take the connection away. Each looks before it writes. */
import { ActivityFailure, CancellationScope, log } from '@temporalio/workflow';
import type { Activities } from '../../activities/contract';
import type { StepOf } from '../../domain/plan/steps';
import { resourceName } from '../../domain/resource-ids';
import { bestEffort, stopping } from '../activities';
import { awaitIdleCluster } from '../cluster-idle';
import { underLock } from '../held-cluster';
import type { StepAttempt, StepOutcome } from '../operation-run';
import { changeCluster, earlierOperations } from './change';
import type { Execution } from './execution';

/** Changes what AKS runs for the whole cluster, and sees that the cluster shows it. */
export async function changeFeatures(
  step: StepOf<'enable-secrets-provider' | 'enable-workload-identity' | 'disable-secrets-provider'>,
  { run }: Execution,
): Promise<StepOutcome> {
  await awaitIdleCluster(run, run.plan.cluster);
  const ended = await changeCluster(step, run, 'Wait until Azure has changed the cluster');
  return {
    output: { type: step.type, armOperations: [...earlierOperations(step, run), ended] },
    text: `Azure's operation ended ${ended.status}.`,
  };
}

/** Adds the identity to the nodes that lack it. */
export async function assignNodeIdentity(
  step: StepOf<'assign-node-identity'>,
  { run }: Execution,
): Promise<StepOutcome> {
  const { changed, nodes } = await underLock(run).lasting(step.title).assignNodeIdentity(run.reference(step.id));
  return {
    output: { type: 'assign-node-identity', changed, nodes: [...nodes] },
    text: `${nodes.map(resourceName).join(', ')} ${changed ? 'got the identity' : 'had the identity already'}.`,
  };
}

/** Makes the federated credential, or finds it. */
export async function createFederatedCredential(
  step: StepOf<'create-federated-credential'>,
  { run }: Execution,
): Promise<StepOutcome> {
  const { changed, issuer } = await underLock(run).quick(step.title).createFederatedCredential(run.reference(step.id));
  return {
    output: { type: 'create-federated-credential', changed, issuer },
    text: `${changed ? 'Made' : 'Found'} the federated credential ${step.name} for the issuer ${issuer}.`,
  };
}

/** Gives the identity the rights, and waits until Azure shows them. */
export async function grantVaultRead(step: StepOf<'grant-vault-read'>, { run }: Execution): Promise<StepOutcome> {
  const { quick, lasting } = underLock(run);
  const reference = run.reference(step.id);
  const { principalIds, changed } = await quick(step.title).grantVaultRead(reference);
  await run.interruptibly(() =>
    lasting('Wait until Azure shows the rights').awaitVaultRead({ ...reference, principalIds }),
  );
  return {
    output: { type: 'grant-vault-read', principalIds: [...principalIds], changed },
    text: `${principalIds.length === 1 ? 'The principal' : 'The principals'} ${principalIds.join(', ')} ${changed ? 'may read the vault' : 'had the rights already'}.`,
  };
}

/** Has Service Connector connect cluster and vault, or finds that it has. */
export async function createServiceConnection(
  step: StepOf<'create-service-connection'>,
  { run }: Execution,
): Promise<StepOutcome> {
  await awaitIdleCluster(run, run.plan.cluster);
  const { changed } = await underLock(run).lasting(step.title).createServiceConnection(run.reference(step.id));
  return {
    output: { type: 'create-service-connection', changed },
    text: changed ? `Service Connector made ${step.name}.` : `The connection ${step.name} was there already.`,
  };
}

/** Makes or removes one object: a Kubernetes object, a credential, or a connection. */
export async function changeConnectionPart(
  step: StepOf<
    | 'create-service-account'
    | 'create-secret-provider-class'
    | 'delete-secret-provider-class'
    | 'delete-service-account'
    | 'delete-federated-credential'
    | 'delete-service-connection'
  >,
  { run }: Execution,
): Promise<StepOutcome> {
  const { quick, lasting } = underLock(run);
  // Service Connector works on the cluster, for minutes; the rest is one request.
  const byAzure = step.type === 'delete-service-connection';
  if (byAzure) await awaitIdleCluster(run, run.plan.cluster);
  const { changed } = await (byAzure ? lasting : quick)(step.title).changeConnectionPart(run.reference(step.id));
  const made = step.type.startsWith('create');
  return {
    output: { type: step.type, changed },
    text: changed ? (made ? `${step.name} was made.` : `${step.name} was removed.`) : `${step.name} was so already.`,
  };
}

/** Has a pod mount the class and compare. */
export async function proveMount(step: StepOf<'prove-mount'>, { run }: Execution): Promise<StepOutcome> {
  const { files, receipt } = await run.interruptibly(() =>
    underLock(run).lasting(step.title).proveMount(run.reference(step.id)),
  );
  return {
    output: { type: 'prove-mount', files: [...files], receipt },
    text: `A pod mounted ${files.length === 1 ? 'one file' : `${files.length} files`}, equal to what the vault has: ${files.map(({ file }) => file).join(', ')}.`,
  };
}

/** Has a pod see that the file of a probe follows the vault. Pod, class and probe are removed at the end, also after a failure or a cancellation. */
export async function proveRotation(
  step: StepOf<'prove-rotation'>,
  { run }: Execution,
  { number: attempt }: StepAttempt,
): Promise<StepOutcome> {
  const reference = { ...run.reference(step.id), attempt };
  run.requireLock();
  let isRemoved = false;
  const prove = async (): ReturnType<Activities['proveRotation']> => {
    try {
      return await run.interruptibly(() => stopping(step.title).proveRotation(reference));
    } finally {
      isRemoved = await CancellationScope.nonCancellable(() => removeRotation(reference));
    }
  };
  const { probe, from, to, receipt } = await prove();
  const left = isRemoved ? '' : ` Keyturn could not remove ${probe} and its SecretProviderClass: remove them.`;
  return {
    output: { type: 'prove-rotation', probe, from, to, receipt },
    text: `A pod had ${probe} in the version ${from}, and saw the version ${to} without a restart.${left}`,
  };
}

/** A vault or a cluster that does not answer must not keep the operation. @returns whether all is gone */
async function removeRotation(
  reference: Parameters<ReturnType<typeof bestEffort>['removeRotation']>[0],
): Promise<boolean> {
  try {
    await bestEffort('Remove what rotation was proven with').removeRotation(reference);
    return true;
  } catch (error) {
    if (!(error instanceof ActivityFailure)) throw error;
    log.warn('What rotation was proven with could not be removed', { step: reference.step });
    return false;
  }
}
