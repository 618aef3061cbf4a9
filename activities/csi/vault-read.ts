/**
 * Lets the identity of pods read object types of a vault, and waits until Azure shows it.
 *
 * Does: reads first; writes once, what is missing; reads again.
 * Never does: take a right away, change the permission model of the vault, or give more than reading the types needs.
 */
import type { AzureAccess } from '../../azure/access';
import { ArmError } from '../../azure/errors';
import { policyWords, READ_RIGHTS, type ObjectType } from '../../domain/csi/objects';
import { denyingNames, missingTypes } from '../../domain/csi/read-rights';
import type { StepOf } from '../../domain/plan/steps';
import { modelName } from '../../domain/provisioning';
import { resourceName } from '../../domain/resource-ids';
import { needsPerson, sentenceOf, tryAgain } from '../failures';
import { lookUntil, type Running } from '../running';
import { principalsOf, type Principal } from './identity';
import { readingRights } from './rights';

type ReadStep = Pick<StepOf<'grant-vault-read'>, 'vaultId' | 'permissionModel' | 'types' | 'history' | 'identity'>;
type Azure = Pick<AzureAccess, 'vaults' | 'roles' | 'identities' | 'clusters' | 'nodeMachines' | 'grants'>;

/** Between two looks at what Azure shows. A role assignment takes up to ten minutes to work. */
const LOOK_IN_MS = 5_000;
const PRINCIPAL_RETRY_IN_MS = 10_000;

/**
 * @returns the principals, and whether something had to be given to one of them
 * @throws ApplicationFailure `ReadGrantRefused`, `IdentityNotAsApproved`, non-retryable; `AzureUnavailable` while ARM does not know a new
 *         principal; ArmError, TokenError
 */
export async function grantVaultRead(
  azure: Azure,
  step: ReadStep & { readonly cluster: string },
  abortSignal: AbortSignal,
): Promise<{ principalIds: readonly string[]; changed: boolean }> {
  const principals = await principalsOf(azure, step.cluster, step.identity, { abortSignal });
  let changed = false;
  for (const principal of principals) {
    if (await grantTo(azure, step, principal, abortSignal)) changed = true;
  }
  return { principalIds: principals.map(({ principalId }) => principalId), changed };
}

/** @returns whether something had to be given */
async function grantTo(
  azure: Azure,
  step: ReadStep,
  { principalId, name }: Principal,
  abortSignal: AbortSignal,
): Promise<boolean> {
  const options = { abortSignal };
  const { vaultId, types, history } = step;
  const who = { ...step, principalId };
  const { missing, sure } = await look(azure, who, abortSignal);
  // What Keyturn may not see is given: the same again changes nothing.
  const wanted = sure ? missing : types;
  if (wanted.length === 0) return false;
  const grant = { vaultId, principalId };
  try {
    if (step.permissionModel === 'rbac') await azure.grants.assignReaders(grant, wanted, options);
    else await azure.grants.addReadToPolicy(grant, { types: wanted, history }, options);
  } catch (error) {
    if (!(error instanceof ArmError)) throw error;
    if (error.code === 'PrincipalNotFound') {
      const detail = `Azure does not know the principal of ${name} yet: ${sentenceOf(error)}`;
      throw tryAgain('AzureUnavailable', detail, PRINCIPAL_RETRY_IN_MS, error);
    }
    if (error.retryable || error.status === 401) throw error;
    throw refused(who, sentenceOf(error), error);
  }
  return true;
}

/**
 * Waits until Azure shows the rights. What Keyturn may not see is not waited for: the mount shows it.
 * @throws ApplicationFailure `ReadGrantRefused`, non-retryable, when a deny assignment takes the rights; ArmError, TokenError
 */
export async function awaitVaultRead(
  azure: Pick<AzureAccess, 'vaults' | 'roles'>,
  { principalIds, ...step }: ReadStep & { readonly principalIds: readonly string[] },
  running: Running,
): Promise<void> {
  const waiting = [...principalIds];
  await lookUntil<void>(running, { first: 'Azure to answer', everyMs: LOOK_IN_MS }, async () => {
    let missing: readonly ObjectType[] = [];
    for (; waiting[0] !== undefined; waiting.shift()) {
      ({ missing } = await look(azure, { ...step, principalId: waiting[0] }, running.signal));
      if (missing.length > 0) break;
    }
    const [principalId] = waiting;
    if (principalId === undefined) return { answer: undefined };
    return {
      waitsFor: `Azure to show that the principal ${principalId} may read ${missing.join(', ')} objects of the vault ${resourceName(step.vaultId)}: a grant takes up to ten minutes to work`,
    };
  });
}

async function look(
  azure: Pick<AzureAccess, 'vaults' | 'roles'>,
  step: ReadStep & { readonly principalId: string },
  abortSignal: AbortSignal,
): Promise<{ readonly missing: readonly ObjectType[]; readonly sure: boolean }> {
  const { vaultId, principalId, types, history } = step;
  const rights = await readingRights(azure, { vaultId, principalId }, { abortSignal });
  if (!rights.vault.known) throw refused(step, rights.vault.why);
  const { permissionModel } = rights.vault.value;
  if (permissionModel !== step.permissionModel) {
    throw refused(
      step,
      `The vault gives rights by ${modelName(permissionModel)} now, and ${modelName(step.permissionModel)} was approved.`,
    );
  }
  const facts = { ...rights, identity: { state: 'exists' as const, principalId } };
  const denials = denyingNames(facts, { types, history });
  if (denials.length > 0) {
    throw refused(
      step,
      `The deny assignment ${denials.join(', ')} takes the right to read from the identity, whatever roles give. The owner of the subscription, or the managed application that made it, must remove it.`,
    );
  }
  return {
    missing: missingTypes(facts, { types, history }),
    sure: permissionModel === 'access-policy' || rights.roles?.known === true,
  };
}

function refused(step: ReadStep & { readonly principalId: string }, why: string, cause?: unknown): Error {
  const { vaultId, principalId } = step;
  return needsPerson(
    'ReadGrantRefused',
    `The right to read the vault ${resourceName(vaultId)} was not given to the principal ${principalId}. ${why} Keys and cluster are as they were. To give it, Keyturn needs Microsoft.Authorization/roleAssignments/write at the vault, or Microsoft.KeyVault/vaults/accessPolicies/write. Or give it yourself: ${commandsFor(step).join('; ')}. Then retry; or cancel.`,
    cause,
  );
}

function commandsFor({
  vaultId,
  principalId,
  permissionModel,
  types,
  history = [],
}: ReadStep & { readonly principalId: string }): string[] {
  if (permissionModel === 'access-policy') {
    const words = { secrets: 'secret', keys: 'key', certificates: 'certificate' } as const;
    const rights = types
      .map((type) => `--${words[READ_RIGHTS[type].policy]}-permissions ${policyWords(type, history).join(' ')}`)
      .join(' ');
    return [`az keyvault set-policy --name ${resourceName(vaultId)} --object-id ${principalId} ${rights}`];
  }
  return [...new Set(types.map((type) => READ_RIGHTS[type].role.name))].map(
    (role) =>
      `az role assignment create --role "${role}" --assignee-object-id ${principalId} --assignee-principal-type ServicePrincipal --scope ${vaultId}`,
  );
}
