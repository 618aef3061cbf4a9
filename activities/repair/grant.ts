/**
 * Gives the identity of a cluster the rights on a key that AKS needs, and waits until Azure shows them.
 *
 * Does: reads first; writes once, what is missing; reads again.
 * Never does: take a right away, change the permission model of the vault, or grant to a principal that was not approved.
 */
import type { AzureAccess } from '../../azure/access';
import { ArmError } from '../../azure/errors';
import { readAccessToVault } from '../../azure/identity-access';
import { denyingAssignments, rightsOf, type IdentityAccess } from '../../domain/identity-access';
import type { StepOf } from '../../domain/plan/steps';
import { modelName } from '../../domain/provisioning';
import { resourceName } from '../../domain/resource-ids';
import { needsPerson, sentenceOf, tryAgain } from '../failures';
import { lookUntil, type Running } from '../running';

type GrantStep = Pick<
  StepOf<'grant-key-access'>,
  'vaultId' | 'permissionModel' | 'keyName' | 'identityId' | 'principalId'
>;
type Azure = Pick<AzureAccess, 'vaults' | 'roles' | 'identities' | 'grants'>;

/** Between two looks at what Azure shows. A role assignment takes up to ten minutes to work. */
const LOOK_IN_MS = 5_000;

/**
 * @returns the principal, and whether something had to be given
 * @throws ApplicationFailure `GrantRefused`, non-retryable; `AzureUnavailable` while ARM does not know a new principal; ArmError, TokenError
 */
export async function grantKeyAccess(
  azure: Azure,
  step: GrantStep,
  abortSignal: AbortSignal,
): Promise<{ principalId: string; granted: boolean }> {
  const options = { abortSignal };
  const principalId = await principalOf(azure, step, abortSignal);
  const access = await accessOf(azure, { ...step, principalId }, abortSignal);
  if (!access.vault.known) throw refused(step, access.vault.why);
  const { permissionModel } = access.vault.value;
  if (step.permissionModel !== null && permissionModel !== step.permissionModel) {
    throw refused(
      step,
      `The vault gives rights by ${modelName(permissionModel)} now, and ${modelName(step.permissionModel)} was approved.`,
    );
  }
  refuseDenied(step, access);
  if (rightsOf(access).missing.length === 0) return { principalId, granted: false };
  const grant = { vaultId: step.vaultId, principalId };
  try {
    if (permissionModel === 'rbac') await azure.grants.assignRole(grant, options);
    else await azure.grants.addToPolicy(grant, options);
  } catch (error) {
    if (!(error instanceof ArmError)) throw error;
    if (error.code === 'PrincipalNotFound') {
      throw tryAgain(
        'AzureUnavailable',
        `ARM does not know the principal ${principalId} yet: a new managed identity takes minutes to be known everywhere.`,
        undefined,
        error,
      );
    }
    if (error.retryable || error.status === 401) throw error;
    throw refused(step, sentenceOf(error), error);
  }
  return { principalId, granted: true };
}

/** @throws ApplicationFailure `GrantRefused`, non-retryable, when a deny assignment takes the rights; ArmError, TokenError */
export async function awaitKeyAccess(
  azure: Azure,
  step: GrantStep & { readonly principalId: string },
  running: Running,
): Promise<void> {
  await lookUntil<void>(running, { first: 'Azure to answer', everyMs: LOOK_IN_MS }, async () => {
    const access = await accessOf(azure, step, running.signal);
    refuseDenied(step, access);
    if (!access.vault.known) return { waitsFor: `the vault: ${access.vault.why}` };
    const { missing } = rightsOf(access);
    if (missing.length === 0) return { answer: undefined };
    return {
      waitsFor: `Azure to show that ${nameOf(step)} may ${missing.join(' and ')} with the key ${step.keyName}: a grant takes up to ten minutes to work`,
    };
  });
}

/** The principal that was approved, as long as it still is the identity's. */
async function principalOf(azure: Azure, step: GrantStep, abortSignal: AbortSignal): Promise<string> {
  const found = await azure.identities.read(step.identityId, { abortSignal });
  const { principalId: approved } = step;
  if (!found.found) {
    if (found.state === 'unknown' && approved !== null) return approved;
    throw refused(step, found.why);
  }
  if (approved !== null && approved.toLowerCase() !== found.principalId.toLowerCase()) {
    throw refused(
      step,
      `The identity was deleted and made again since the approval: it stands for the principal ${found.principalId}, and ${approved} was approved.`,
    );
  }
  return found.principalId;
}

async function accessOf(
  azure: Azure,
  { vaultId, keyName, identityId, principalId }: GrantStep & { readonly principalId: string },
  abortSignal: AbortSignal,
): Promise<IdentityAccess> {
  const identity = { name: resourceName(identityId), principalId };
  return await readAccessToVault(azure, { identity, vaultId, keyName }, { abortSignal });
}

/** No grant helps against a deny assignment. */
function refuseDenied(step: GrantStep, access: IdentityAccess): void {
  const names = denyingAssignments(access);
  if (names.length === 0) return;
  throw refused(
    step,
    `The deny assignment ${names.join(', ')} takes the rights on the key from the identity, whatever roles give. The owner of the subscription, or the managed application that made it, must remove it.`,
  );
}

function refused(step: GrantStep, why: string, cause?: unknown): Error {
  return needsPerson(
    'GrantRefused',
    `Access to the key ${step.keyName} was not given to ${nameOf(step)}. ${why} Keys and cluster are as they were. Remove the cause, then retry; or cancel, and ask for a new operation if identity or vault were changed. To grant, Keyturn needs Microsoft.Authorization/roleAssignments/write at the vault, or Microsoft.KeyVault/vaults/accessPolicies/write.`,
    cause,
  );
}

function nameOf({ identityId }: Pick<GrantStep, 'identityId'>): string {
  return `the identity ${resourceName(identityId)}`;
}
