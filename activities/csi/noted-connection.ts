/**
 * Removes a connection of Service Connector that a class notes as Keyturn's, and the roles that Service Connector gave with it.
 *
 * Does: looks again right before: the class notes it, and neither a pod mounts the class nor another class needs the connection.
 * Never does: remove a connection or a role of others, a role of before, or one that `grant-vault-read` gave.
 */
import type { AzureAccess } from '../../azure/access';
import { ArmError } from '../../azure/errors';
import { classesNeeding } from '../../domain/csi/service-connection';
import { listed } from '../../domain/listed';
import type { StepOf } from '../../domain/plan/steps';
import { resourceName, sameText } from '../../domain/resource-ids';
import { needsPerson, sentenceOf } from '../failures';
import type { StepWork } from '../run-activity';
import { readClasses } from './inside';
import { deleteServiceConnection } from './service-connection';

type Step = StepOf<'delete-service-connection'>;
type Azure = Pick<AzureAccess, 'clusters' | 'serviceConnections' | 'grants' | 'own' | 'vaults'>;

/** @throws ApplicationFailure `ConnectionNotAsApproved`, `ConnectionRefused`, non-retryable; ArmError, KubeError, TokenError */
export async function removeNotedConnection(
  azure: Azure,
  work: StepWork<'delete-service-connection'>,
): Promise<{ changed: boolean }> {
  const { step, cluster, signal, inside } = work;
  const addOn = (await azure.clusters.read(cluster, { abortSignal: signal })).observed.secretsProvider?.identity;
  const classes = (await inside((connection) => readClasses(connection, signal))) ?? [];
  const { namespace, class: name } = step.noted;
  const found = classes.find((one) => one.namespace === namespace && one.name === name);
  const noted = found?.connection;
  if (!found || !noted || !sameText(noted.name, step.name) || !sameText(noted.vaultId, step.vaultId)) {
    throw notAsApproved(step, `The SecretProviderClass ${namespace}/${name} does not note it any more.`);
  }
  if (found.pods.length > 0) {
    throw notAsApproved(step, `Pods mount ${namespace}/${name} by now: ${listed(found.pods)}.`);
  }
  const of = { namespace, name };
  const others = classesNeeding(step, { classes, of, addOnClientId: addOn?.clientId });
  if (others.length > 0) throw notAsApproved(step, `Other classes need it by now: ${listed(others)}.`);
  const { changed } = await deleteServiceConnection(azure, { ...step, cluster }, work);
  const taken = addOn === undefined ? 0 : await takeRoles(azure, step, addOn.objectId, signal);
  return { changed: changed || taken > 0 };
}

/** Takes the roles that came with the connection from the identity of the add-on. @returns how many */
async function takeRoles(
  { grants, own, vaults }: Azure,
  { name, vaultId, noted }: Step,
  principalId: string,
  abortSignal: AbortSignal,
): Promise<number> {
  const options = { abortSignal };
  const vault = await vaults.forReading(vaultId, principalId, options);
  // In a vault with access policies it is not documented what Service Connector sets; a vault that is gone has no roles.
  if (!vault.known || vault.value.permissionModel !== 'rbac') return 0;
  // Service Connector gives rights as its caller.
  const createdBy = await own.objectId(options);
  try {
    return await grants.removeReaders({ vaultId, principalId }, { createdBy, since: noted.since }, options);
  } catch (error) {
    if (!(error instanceof ArmError) || error.retryable || error.status === 401) throw error;
    throw needsPerson(
      'ConnectionRefused',
      `The connection ${name} is gone, and Azure did not take the roles that came with it from the identity of the add-on at the vault ${resourceName(vaultId)}: ${sentenceOf(error)} Keys are as they were. Keyturn needs Microsoft.Authorization/roleAssignments/read and delete at the vault. Or take them yourself: az role assignment delete --assignee ${principalId} --scope ${vaultId}. Then retry; or cancel.`,
      error,
    );
  }
}

function notAsApproved({ name, vaultId }: Step, why: string): Error {
  return needsPerson(
    'ConnectionNotAsApproved',
    `The connection ${name} to the vault ${resourceName(vaultId)} was not removed. ${why} Nothing was changed, and keys are as they were. Cancel, and ask again.`,
  );
}
