/**
 * The connection that Service Connector makes between a cluster and a vault: found, or asked for once and waited for.
 *
 * Never does: overwrite a connection that works or goes elsewhere, or make a second one to a vault: Azure answers that with a 409 without
 *             a word (azure-cli#30296).
 */
import type { AzureAccess } from '../../azure/access';
import { ArmError } from '../../azure/errors';
import { connectionBody, type ObservedConnection } from '../../azure/service-connections';
import { isBusy } from '../../domain/cluster-change';
import type { StepOf } from '../../domain/plan/steps';
import { resourceName, sameText } from '../../domain/resource-ids';
import { needsPerson, sentenceOf, tryAgain } from '../failures';
import { lookUntil, type Looked, type Running } from '../running';

type Azure = Pick<AzureAccess, 'clusters' | 'serviceConnections'>;
type ConnectionStep = Pick<StepOf<'create-service-connection'>, 'name' | 'namespace' | 'vaultId' | 'exists'>;

/** Between two looks. Azure needs minutes: it turns the add-on on. */
const LOOK_IN_MS = 2_000;
const BUSY_RETRY_IN_MS = 15_000;
/** Source: Microsoft documents, "Use Service Connector in AKS", Conflict. */
const CONFLICT_HINT =
  'Azure answers so when the subscription is not registered for the two resource providers that do it (az provider register --namespace Microsoft.ServiceLinker, and --namespace Microsoft.KubernetesConfiguration).';
const ENDED_BADLY: readonly string[] = ['Failed', 'Canceled'];

/** @throws ApplicationFailure `ConnectionRefused`, `ConnectionNotAsApproved`, non-retryable; `ClusterBusy`; ArmError, TokenError */
export async function createServiceConnection(
  { clusters, serviceConnections }: Azure,
  step: ConnectionStep & { readonly cluster: string },
  running: Running,
): Promise<{ changed: boolean }> {
  const options = { abortSignal: running.signal };
  const { cluster, name, vaultId, exists } = step;
  const first = `Service Connector to make the connection ${name}`;
  let asked: { readonly operationUrl?: string } | undefined;

  const ask = async (): Promise<Looked<never>> => {
    try {
      asked = await serviceConnections.create(step, options);
    } catch (error) {
      if (!(error instanceof ArmError) || error.retryable || error.status === 401) throw error;
      const { provisioningState } = (await clusters.read(cluster, options)).observed;
      if (error.status === 409 && isBusy(provisioningState)) {
        const detail = `Azure is busy with the cluster: its provisioning state is ${provisioningState}. Service Connector said: ${sentenceOf(error)}`;
        throw tryAgain('ClusterBusy', detail, BUSY_RETRY_IN_MS, error);
      }
      const hint = error.status === 409 ? ` ${CONFLICT_HINT}` : '';
      throw refused(step, `${sentenceOf(error)}${hint}`, error);
    }
    return { waitsFor: first };
  };

  return await lookUntil<{ changed: boolean }>(running, { first, everyMs: LOOK_IN_MS }, async () => {
    const connections = await serviceConnections.list(cluster, options);
    const found = connections.find(({ targetId }) => sameText(targetId, vaultId));
    const ended = asked?.operationUrl === undefined ? undefined : await failureOf(asked.operationUrl);
    if (ended !== undefined) throw refused(step, ended);
    if (!found) {
      const other = connections.find((one) => sameText(one.name, name));
      if (other) throw notAsApproved(step, `There is a connection ${other.name} to ${other.targetId} now.`);
      if (exists) throw notAsApproved(step, 'The connection that the plan found is gone.');
      return asked ? { waitsFor: first } : await ask();
    }
    if (!found.byCsiDriver) {
      throw notAsApproved(step, `The connection ${found.name} to the vault does not use the Secrets Store CSI driver.`);
    }
    if (found.provisioningState === 'Succeeded') return { answer: { changed: asked !== undefined } };
    if (!ENDED_BADLY.includes(found.provisioningState)) return { waitsFor: waitFor(found) };
    if (asked) throw refused(step, `Service Connector ended ${found.provisioningState}, and gave no reason.`);
    // One that failed before: the same PUT again is what az does, too. Under its own name: Azure takes one for a vault.
    if (!sameText(found.name, name)) {
      throw notAsApproved(step, `The connection ${found.name} to the vault is ${found.provisioningState}.`);
    }
    return await ask();
  });

  async function failureOf(operationUrl: string): Promise<string | undefined> {
    const { status, error } = await clusters.operation(operationUrl, options);
    if (!ENDED_BADLY.includes(status)) return undefined;
    const why = [error.code, error.message].filter(Boolean).join(': ') || 'It gave no reason.';
    return `Its operation ended ${status}. ${why}`;
  }
}

/**
 * Deletes the connection of the name, if it goes to the vault; waits until it is gone.
 * @throws ApplicationFailure `ConnectionNotAsApproved`, non-retryable; ArmError, TokenError
 */
export async function deleteServiceConnection(
  { serviceConnections }: Pick<AzureAccess, 'serviceConnections'>,
  { cluster, name, vaultId }: Pick<ConnectionStep, 'name' | 'vaultId'> & { readonly cluster: string },
  running: Running,
): Promise<{ changed: boolean }> {
  const options = { abortSignal: running.signal };
  const first = `Service Connector to delete the connection ${name}`;
  let asked = false;
  const look = async (): Promise<Looked<{ changed: boolean }>> => {
    const found = (await serviceConnections.list(cluster, options)).find((one) => sameText(one.name, name));
    if (!found) return { answer: { changed: asked } };
    if (!sameText(found.targetId, vaultId)) {
      throw notAsApproved({ name, vaultId }, `The connection ${found.name} goes to ${found.targetId}.`);
    }
    if (!asked) await serviceConnections.delete(cluster, found.name, options);
    asked = true;
    return { waitsFor: first };
  };
  try {
    return await lookUntil(running, { first, everyMs: LOOK_IN_MS }, look);
  } catch (error) {
    if (!(error instanceof ArmError) || error.retryable || error.status === 401) throw error;
    throw needsPerson(
      'ConnectionRefused',
      `Service Connector did not delete the connection ${name}: ${sentenceOf(error)} Pods and keys are as they were. Keyturn needs Microsoft.ServiceLinker/linkers/read and delete at the cluster. Remove the cause, then retry; or cancel.`,
      error,
    );
  }
}

/**
 * A connection that others made since the plan must not be noted as Keyturn's.
 * @throws ApplicationFailure `ConnectionNotAsApproved`, non-retryable; ArmError, TokenError
 */
export async function requireNoConnection(
  { serviceConnections }: Pick<AzureAccess, 'serviceConnections'>,
  { cluster, name, vaultId }: Pick<ConnectionStep, 'name' | 'vaultId'> & { readonly cluster: string },
  abortSignal: AbortSignal,
): Promise<void> {
  const found = (await serviceConnections.list(cluster, { abortSignal })).find(
    (one) => sameText(one.name, name) || sameText(one.targetId, vaultId),
  );
  if (found) {
    throw notAsApproved({ name, vaultId }, `The plan found none, and there is ${found.name} to ${found.targetId} now.`);
  }
}

function waitFor({ name, provisioningState }: ObservedConnection): string {
  return `Service Connector: the connection ${name} is ${provisioningState}`;
}

/** Azure often gives no reason: what was sent is then all that a person can go by. */
function refused(step: ConnectionStep & { readonly cluster: string }, why: string, cause?: unknown): Error {
  const { cluster, name, vaultId } = step;
  return needsPerson(
    'ConnectionRefused',
    `Service Connector did not make the connection ${name} of ${resourceName(cluster)} to the vault ${resourceName(vaultId)}. ${why} Keyturn sent PUT ${cluster}/providers/Microsoft.ServiceLinker/linkers/${name} with ${JSON.stringify(connectionBody(step))}. Keys are as they were; the add-on may be on already. Service Connector gives the rights as the caller: Keyturn needs Microsoft.ServiceLinker/linkers/write at the cluster, and Microsoft.Authorization/roleAssignments/write at the vault. Remove the cause, then retry; or cancel, and ask for the mode managed-identity, which needs no Service Connector.`,
    cause,
  );
}

function notAsApproved({ name, vaultId }: Pick<ConnectionStep, 'name' | 'vaultId'>, why: string): Error {
  return needsPerson(
    'ConnectionNotAsApproved',
    `The connection ${name} to the vault ${resourceName(vaultId)} is not as the plan names it. ${why} Keyturn overwrites and deletes nothing of others: nothing was changed, and keys are as they were. Find out who changed it; then retry, or cancel and ask again.`,
  );
}
