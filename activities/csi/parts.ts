/** One part of a connection, made or removed where it is: in Azure, or in the cluster. */
import type { AzureAccess } from '../../azure/access';
import type { StepWork } from '../run-activity';
import { deleteFederatedCredential } from './federated-credential';
import { changeKubernetesPart } from './kubernetes-parts';
import { removeNotedConnection } from './noted-connection';

/** The types of steps that make or remove one part. */
export const CONNECTION_PARTS = [
  'create-service-account',
  'create-secret-provider-class',
  'delete-secret-provider-class',
  'delete-service-account',
  'delete-federated-credential',
  'delete-service-connection',
] as const;

/** @throws ApplicationFailure `ConnectionNotAsApproved`, `ConnectionRefused`, non-retryable; ArmError, KubeError, TokenError */
export async function changeConnectionPart(
  azure: AzureAccess,
  work: StepWork<(typeof CONNECTION_PARTS)[number]>,
): Promise<{ changed: boolean }> {
  const { step, signal } = work;
  if (step.type === 'delete-federated-credential') return await deleteFederatedCredential(azure, step, signal);
  if (step.type === 'delete-service-connection') return await removeNotedConnection(azure, { ...work, step });
  return await changeKubernetesPart(azure, { ...work, step });
}
