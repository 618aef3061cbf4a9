/**
 * The managed identity of a cluster that is to be made: made once, and given the right that a private vault needs.
 *
 * Does: reads first; writes once, what is missing; reads again.
 * Never does: use an identity that was not approved, or take a right away.
 */
import type { AzureAccess } from '../../azure/access';
import { ArmError } from '../../azure/errors';
import type { VersionMark } from '../../azure/keys';
import { mayApproveEndpoint } from '../../domain/identity-access';
import type { StepOf } from '../../domain/plan/steps';
import { resourceName } from '../../domain/resource-ids';
import { needsPerson, sentenceOf, tryAgain } from '../failures';
import { lookUntil, type Running } from '../running';

type IdentityStep = Pick<StepOf<'create-identity'>, 'identityId' | 'location'>;
type ApprovalStep = Pick<StepOf<'grant-endpoint-approval'>, 'vaultId' | 'identityId' | 'principalId'>;

/** Between two looks at what Azure shows. A role assignment takes up to ten minutes to work. */
const LOOK_IN_MS = 5_000;
const PRINCIPAL_RETRY_IN_MS = 10_000;

/**
 * Makes the identity; one that an earlier try made is found by its tags.
 * @throws ApplicationFailure `IdentityNotAsApproved`, non-retryable; ArmError, TokenError
 */
export async function createIdentity(
  { identities }: Pick<AzureAccess, 'identities'>,
  { identityId, location }: IdentityStep,
  mark: VersionMark,
  abortSignal: AbortSignal,
): Promise<{ principalId: string }> {
  const options = { abortSignal };
  const found = await identities.read(identityId, options);
  if (found.found) {
    if (found.mark.operationId === mark.operationId && found.mark.nonce === mark.nonce) return found;
    throw needsPerson(
      'IdentityNotAsApproved',
      `Another client made the managed identity ${resourceName(identityId)} since the plan was made, so Keyturn gives it no rights. No cluster was made, and keys are as they were. Find out who made it; then cancel, and ask again, which plans with it; or delete it and retry.`,
    );
  }
  if (found.state === 'unknown') throw needsPerson('IdentityNotAsApproved', `${found.why} No cluster was made.`);
  return { principalId: await identities.create(identityId, location, mark, options) };
}

/**
 * Gives the identity Key Vault Contributor at the vault, unless it may approve private endpoints already.
 * @throws ApplicationFailure `GrantRefused`, `IdentityNotAsApproved`, both non-retryable; `AzureUnavailable` while ARM does not know a new
 *         principal; ArmError, TokenError
 */
export async function grantEndpointApproval(
  azure: Pick<AzureAccess, 'identities' | 'roles' | 'grants'>,
  { vaultId, identityId, principalId: approved }: ApprovalStep,
  abortSignal: AbortSignal,
): Promise<{ principalId: string; granted: boolean }> {
  const options = { abortSignal };
  const found = await azure.identities.read(identityId, options);
  if (!found.found || (approved !== null && approved.toLowerCase() !== found.principalId.toLowerCase())) {
    const why = found.found
      ? `It stands for the principal ${found.principalId} now, and ${approved} was approved: it was deleted and made again.`
      : found.why;
    throw needsPerson(
      'IdentityNotAsApproved',
      `The managed identity ${resourceName(identityId)} is not as the plan names it. ${why} No right was given; clusters and keys are as they were. Cancel, and ask again.`,
    );
  }
  const { principalId } = found;
  if ((await mayApprove(azure, vaultId, principalId, abortSignal)) === 'yes') return { principalId, granted: false };
  try {
    await azure.grants.assignContributor({ vaultId, principalId }, options);
  } catch (error) {
    if (!(error instanceof ArmError)) throw error;
    if (error.code === 'PrincipalNotFound') {
      const detail = `Azure does not know the principal of the new identity ${resourceName(identityId)} yet: ${sentenceOf(error)}`;
      throw tryAgain('AzureUnavailable', detail, PRINCIPAL_RETRY_IN_MS, error);
    }
    if (error.retryable || error.status === 401) throw error;
    throw needsPerson(
      'GrantRefused',
      `The right to approve private endpoints of the vault ${resourceName(vaultId)} was not given to ${resourceName(identityId)}: ${sentenceOf(error)} Clusters and keys are as they were. Keyturn needs Microsoft.Authorization/roleAssignments/write at the vault. Give it, or give the role yourself (az role assignment create --role "Key Vault Contributor" --assignee-object-id ${principalId} --assignee-principal-type ServicePrincipal --scope ${vaultId}); then retry, or cancel.`,
      error,
    );
  }
  return { principalId, granted: true };
}

/** Waits until Azure shows the right. What Keyturn may not see is not waited for: AKS says so then. @throws ArmError, TokenError */
export async function awaitEndpointApproval(
  azure: Pick<AzureAccess, 'roles'>,
  { vaultId, identityId, principalId }: Pick<ApprovalStep, 'vaultId' | 'identityId'> & { readonly principalId: string },
  running: Running,
): Promise<void> {
  const waitsFor = `Azure to show that ${resourceName(identityId)} may approve private endpoints of the vault ${resourceName(vaultId)}: a grant takes up to ten minutes to work, and a deny assignment keeps it from working`;
  await lookUntil<void>(running, { first: waitsFor, everyMs: LOOK_IN_MS }, async () =>
    (await mayApprove(azure, vaultId, principalId, running.signal)) === 'no' ? { waitsFor } : { answer: undefined },
  );
}

async function mayApprove(
  { roles }: Pick<AzureAccess, 'roles'>,
  vaultId: string,
  principalId: string,
  abortSignal: AbortSignal,
): Promise<'yes' | 'no' | 'unknown'> {
  const query = { principalId, scope: vaultId };
  const [granted, denied] = await Promise.all([
    roles.granted(query, { abortSignal }),
    roles.denied(query, { abortSignal }),
  ]);
  const answer = mayApproveEndpoint({ roles: granted, denials: denied });
  return typeof answer === 'object' ? 'unknown' : answer;
}
