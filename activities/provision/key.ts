/**
 * The key of a cluster that is to get KMS, made once: in its vault, or through ARM where the vault does not answer.
 *
 * Does: reads first; writes what is not there; a second try finds by tags what the first one made.
 * Never does: change a key that exists, make another version of a key of others, or recover anything.
 */
import type { AzureAccess } from '../../azure/access';
import { ArmError, VaultError } from '../../azure/errors';
import type { VersionMark } from '../../azure/keys';
import type { StepOf } from '../../domain/plan/steps';
import { ownRightsCommand } from '../../domain/provisioning';
import { mustParseVaultId, resourceName, shortKeyId } from '../../domain/resource-ids';
import { keyProblems } from '../../domain/rules';
import { needsPerson, sentenceOf } from '../failures';
import { expiryDate } from '../vault';

type Azure = Pick<AzureAccess, 'own' | 'keys' | 'armKeys'>;
type KeyStep = Omit<StepOf<'create-key'>, 'id' | 'title' | 'reason' | 'type'>;

/** What became of it. `through`: ARM made or showed it. */
export interface KeyMade {
  readonly keyId: string;
  readonly created: boolean;
  readonly through?: 'arm';
}

/**
 * Makes the key, or checks the version that the plan found. Two tries at the same moment can both make one in a vault: then every try
 * uses the oldest, and the other stays unused. ARM makes one at most.
 * @throws ApplicationFailure, non-retryable: `KeyNotAsApproved`, `CreateKeyRefused`; VaultError, ArmError, TokenError
 */
export async function createKey(
  azure: Azure,
  step: KeyStep,
  mark: VersionMark,
  abortSignal: AbortSignal,
): Promise<KeyMade> {
  const { vaultId, exists } = step;
  const place = { vaultName: resourceName(vaultId), keyName: step.keyName };
  try {
    if (exists !== null) {
      const through = await requireUsable(azure, step, exists, abortSignal);
      return { keyId: exists, created: false, ...through };
    }
    const { state } = await azure.keys.newest(place, { abortSignal });
    const keyId =
      state === 'unreachable'
        ? await makeThroughArm(azure, step, mark, abortSignal)
        : await makeInVault(azure, step, { mark, taken: state === 'exists' }, abortSignal);
    return { keyId, created: true, ...(await requireUsable(azure, step, keyId, abortSignal)) };
  } catch (error) {
    if (!isMissingRight(error)) throw error;
    const command = ownRightsCommand(vaultId, step.permissionModel, await azure.own.objectId({ abortSignal }));
    throw needsPerson(
      'CreateKeyRefused',
      `Keyturn's own identity may not do that with keys of the vault ${place.vaultName}: ${sentenceOf(error).split('\r\n')[0]} The vault stays as it is, and the cluster was not changed. Give the rights: ${command}. A role assignment takes up to ten minutes to work. Then retry; or cancel.`,
      error,
    );
  }
}

/** @param found.taken whether the vault has a key of the name: perhaps the one that an earlier try made */
async function makeInVault(
  { keys }: Azure,
  { vaultId, keyName, keyType, sizeInBits, expiry }: KeyStep,
  { mark, taken }: { readonly mark: VersionMark; readonly taken: boolean },
  abortSignal: AbortSignal,
): Promise<string> {
  const options = { abortSignal };
  const place = { vaultName: resourceName(vaultId), keyName };
  const oldest = async (): Promise<string | undefined> => (await keys.findMarkedIn(place, mark, options))[0]?.keyId;
  const earlier = await oldest();
  if (earlier !== undefined) return earlier;
  if (taken) throw ofOthers({ vaultId, keyName });
  const key = { keyType, sizeInBits, expiresOn: expiryDate(expiry, Date.now()) };
  const made = await keys.createNew(place, key, mark, options);
  return (await oldest()) ?? made;
}

async function makeThroughArm(
  { armKeys }: Azure,
  { vaultId, keyName, keyType, sizeInBits, expiry }: KeyStep,
  mark: VersionMark,
  abortSignal: AbortSignal,
): Promise<string> {
  const options = { abortSignal };
  const place = { vaultId, keyName };
  try {
    const found = await armKeys.newest(place, options);
    const key = { keyType, sizeInBits, expiresOn: expiryDate(expiry, Date.now()) };
    // ARM gives back what is there: another client may have been faster.
    const made = found.state === 'exists' ? found : await armKeys.createFirst(place, key, mark, options);
    if (made.mark.operationId !== mark.operationId || made.mark.nonce !== mark.nonce) throw ofOthers(place);
    return made.key.keyId;
  } catch (error) {
    if (!(error instanceof ArmError) || error.retryable || error.status === 401) throw error;
    const vault = resourceName(vaultId);
    throw needsPerson(
      'CreateKeyRefused',
      `The vault ${vault} does not answer from where Keyturn runs, and ARM did not make the key ${keyName}: ${sentenceOf(error)} The vault stays as it is, and no cluster was changed. Keyturn needs Microsoft.KeyVault/vaults/keys/read and /write at the vault (Key Vault Contributor). If a deleted key has the name, recover it from a network that reaches the vault (az keyvault key recover --vault-name ${vault} --name ${keyName}) and ask again; or ask with another name. Then retry; or cancel.`,
      error,
    );
  }
}

async function requireUsable(
  { keys }: Pick<Azure, 'keys'>,
  { vaultId, sizeInBits, exists }: KeyStep,
  keyId: string,
  abortSignal: AbortSignal,
): Promise<Pick<KeyMade, 'through'>> {
  const { subscriptionId } = mustParseVaultId(vaultId);
  const lookup = await keys.lookUpAnywhere(keyId, { subscriptionId, vaultId }, { abortSignal });
  const problems = lookup.found ? [...keyProblems(lookup.key, new Date().toISOString()).broken] : [lookup.why];
  const size = lookup.found ? lookup.key.keySizeInBits : undefined;
  if (exists === null && size !== undefined && size !== sizeInBits) {
    problems.push(`It has ${size} bits instead of ${sizeInBits}.`);
  }
  if (problems.length === 0) return lookup.found && lookup.key.seenThrough ? { through: lookup.key.seenThrough } : {};
  throw needsPerson(
    'KeyNotAsApproved',
    `${shortKeyId(keyId)} is not as the plan names it: ${problems.join(' ')} Keyturn does not change it. Repair it, then retry; or cancel, and ask again.`,
  );
}

function ofOthers({ vaultId, keyName }: { readonly vaultId: string; readonly keyName: string }): Error {
  return needsPerson(
    'KeyNotAsApproved',
    `The vault ${resourceName(vaultId)} has got a key ${keyName} since the plan was made, and this operation did not make it. Nothing of it was changed. Cancel, and ask again: the new plan uses it, if it is fit; or name another key.`,
  );
}

function isMissingRight(error: unknown): error is VaultError {
  return error instanceof VaultError && ['ForbiddenByRbac', 'ForbiddenByPolicy'].includes(error.innerCode ?? '');
}
