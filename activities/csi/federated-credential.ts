/**
 * The federated credential that lets a service account be an identity: made once, with the issuer that the cluster has at that moment.
 *
 * Does: reads first; writes once. Two writes for one identity at the same moment are retried (azurerm#19968).
 * Never does: overwrite a credential, or delete one that is not the step's.
 */
import type { AzureAccess } from '../../azure/access';
import { ArmError } from '../../azure/errors';
import type { FederatedCredential } from '../../domain/csi/facts';
import { isCredentialFor, TOKEN_AUDIENCE } from '../../domain/csi/parameters';
import type { StepOf } from '../../domain/plan/steps';
import { resourceName, sameText } from '../../domain/resource-ids';
import { needsPerson, sentenceOf } from '../failures';

type CredentialStep = Pick<StepOf<'create-federated-credential'>, 'identityId' | 'name' | 'subject'>;

/** @throws ApplicationFailure `ConnectionNotAsApproved`, `ConnectionRefused`, non-retryable; ArmError, TokenError */
export async function createFederatedCredential(
  { clusters, federatedCredentials }: Pick<AzureAccess, 'clusters' | 'federatedCredentials'>,
  { cluster, identityId, name, subject }: CredentialStep & { readonly cluster: string },
  abortSignal: AbortSignal,
): Promise<{ changed: boolean; issuer: string }> {
  const options = { abortSignal };
  const { issuerUrl: issuer } = (await clusters.read(cluster, options)).observed;
  if (issuer === undefined) {
    throw notAsApproved(`Azure reports no OIDC issuer of ${resourceName(cluster)}, so no token of it could be taken.`);
  }
  const wanted = { name, issuer, subject, audiences: [TOKEN_AUDIENCE] };
  const credentials = await refusing(identityId, () => federatedCredentials.list(identityId, options));
  if (credentials.some((one) => isCredentialFor(one, wanted))) return { changed: false, issuer };
  // Azure takes no second credential of an issuer and a subject.
  const other = credentials.find(
    (one) => sameText(one.name, name) || (one.issuer === issuer && one.subject === subject),
  );
  if (other) {
    throw notAsApproved(
      `The identity ${resourceName(identityId)} has a federated credential ${describe(other)}. ${describe(wanted)} is wanted, and a token matches byte by byte only.`,
    );
  }
  await refusing(identityId, () => federatedCredentials.create(identityId, wanted, options));
  return { changed: true, issuer };
}

/**
 * Deletes the credential of the name, if it is of the subject.
 * @returns unchanged when there is none, or no such identity
 * @throws ApplicationFailure `ConnectionNotAsApproved`, `ConnectionRefused`, non-retryable; ArmError, TokenError
 */
export async function deleteFederatedCredential(
  { federatedCredentials }: Pick<AzureAccess, 'federatedCredentials'>,
  { identityId, name, subject }: CredentialStep,
  abortSignal: AbortSignal,
): Promise<{ changed: boolean }> {
  const options = { abortSignal };
  const credentials = await refusing(identityId, async () => {
    try {
      return await federatedCredentials.list(identityId, options);
    } catch (error) {
      if (!(error instanceof ArmError) || error.status !== 404) throw error;
      return [];
    }
  });
  const found = credentials.find((one) => sameText(one.name, name));
  if (!found) return { changed: false };
  if (found.subject !== subject) {
    throw notAsApproved(
      `The federated credential ${name} of the identity ${resourceName(identityId)} is of the subject ${found.subject}, and not of ${subject}: another client made or changed it.`,
    );
  }
  await refusing(identityId, () => federatedCredentials.delete(identityId, found.name, options));
  return { changed: true };
}

async function refusing<T>(identityId: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof ArmError) || error.retryable || error.status === 401) throw error;
    throw needsPerson(
      'ConnectionRefused',
      `Azure refused a request for the federated credentials of the identity ${resourceName(identityId)}: ${sentenceOf(error)} Keys and cluster are as they were. Keyturn needs Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials/read, write and delete there, and an identity takes 20 of them. Remove the cause, then retry; or cancel.`,
      error,
    );
  }
}

function describe({ name, issuer, subject, audiences }: FederatedCredential): string {
  return `${name} (issuer ${issuer}, subject ${subject}, audience ${audiences.join(', ')})`;
}

function notAsApproved(why: string): Error {
  return needsPerson(
    'ConnectionNotAsApproved',
    `${why} Keyturn overwrites and deletes nothing of others: nothing was changed, and keys are as they were. Find out who changed it; then retry, or cancel and ask again.`,
  );
}
