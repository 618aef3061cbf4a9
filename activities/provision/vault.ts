/**
 * The vault and the key of a cluster that is to get KMS: looked at before a plan, made once.
 *
 * Does: reads first; writes what is not there; a second try finds by tags what the first one made.
 * Never does: change a vault or a key that exists, make another version of a key of others, or recover anything.
 */
import type { AzureAccess } from '../../azure/access';
import { VaultError } from '../../azure/errors';
import type { VersionMark } from '../../azure/keys';
import type { ObservedCluster, ObservedKey } from '../../domain/observed';
import type { StepOf } from '../../domain/plan/steps';
import { ownRightsCommand, vaultShortcomings, type Provisioning } from '../../domain/provisioning';
import { parseClusterId, resourceName, shortKeyId } from '../../domain/resource-ids';
import { keyProblems } from '../../domain/rules';
import { needsPerson, sentenceOf } from '../failures';
import { sleep } from '../running';
import { expiryDate } from '../vault';

type Azure = Pick<AzureAccess, 'newVaults' | 'own' | 'keys'>;
type VaultStep = Omit<StepOf<'create-vault'>, 'id' | 'title' | 'reason' | 'type'>;
type KeyStep = Omit<StepOf<'create-key'>, 'id' | 'title' | 'reason' | 'type'>;

/** Between two looks at a vault that Azure is making. */
const LOOK_IN_MS = 2_000;

/** What a request names of vault and key. */
export interface ProvisioningRequest {
  readonly vaultName: string;
  readonly vaultResourceGroup?: string;
  readonly keyName: string;
}

/** What there is of the vault and the key that a request names. @throws ArmError, VaultError, TokenError */
export async function observeProvisioning(
  { newVaults, own, keys }: Azure,
  { resourceId, location }: ObservedCluster,
  { vaultName, vaultResourceGroup, keyName }: ProvisioningRequest,
  options: { readonly abortSignal?: AbortSignal },
): Promise<{ readonly provisioning: Provisioning; readonly provisionedKey?: ObservedKey } | undefined> {
  const cluster = parseClusterId(resourceId);
  if (!cluster) return undefined;
  const { subscriptionId, resourceGroup } = cluster;
  const vaultId = `/subscriptions/${subscriptionId}/resourceGroups/${vaultResourceGroup ?? resourceGroup}/providers/Microsoft.KeyVault/vaults/${vaultName}`;
  const [found, tenantId, ownObjectId] = await Promise.all([
    newVaults.look(vaultId, location, options),
    own.tenantOf(subscriptionId, options),
    own.objectId(options),
  ]);
  const facts = { vaultId, tenantId, ownObjectId };
  if (found.state !== 'exists') return { provisioning: { ...facts, vault: found, key: 'none' } };
  const vault = { state: 'exists' as const, vault: found.vault };
  const key = await keys.newest({ vaultName, keyName }, options);
  const provisioning = { ...facts, vault, key: key.state };
  return key.state === 'exists' ? { provisioning, provisionedKey: key.key } : { provisioning };
}

/**
 * Makes the vault, or checks the one that the plan found; waits until Azure has made it.
 * @throws ApplicationFailure `VaultNotAsApproved`, non-retryable; ArmError, TokenError
 */
export async function createVault(
  { newVaults, own }: Azure,
  step: VaultStep,
  mark: VersionMark,
  signal: AbortSignal,
): Promise<{ vaultId: string; created: boolean }> {
  const options = { abortSignal: signal };
  const { vaultId, exists } = step;
  for (let asked = false; ; asked = true) {
    const found = await newVaults.look(vaultId, step.location, options);
    if (found.state === 'exists') {
      const ours = found.mark.operationId === mark.operationId && found.mark.nonce === mark.nonce;
      if (!exists && !ours) throw notAsApproved(vaultId, 'another client made it since the plan was made');
      const shortcomings = vaultShortcomings(resourceName(vaultId), found.vault, step);
      if (shortcomings.length > 0) throw notAsApproved(vaultId, shortcomings.join(' '));
      if (found.ready) return { vaultId, created: !exists };
    } else if (exists) {
      throw notAsApproved(vaultId, 'it is not there any more');
    } else if (found.state !== 'free' && !asked) {
      throw notAsApproved(vaultId, found.why);
    } else if (!asked) {
      await newVaults.create({ ...step, ownObjectId: await own.objectId(options), mark }, options);
      continue;
    }
    await sleep(LOOK_IN_MS, signal);
  }
}

/**
 * Makes the key, or checks the version that the plan found. Two tries at the same moment can both make one: then every try uses the
 * oldest, and the other stays unused.
 * @throws ApplicationFailure, non-retryable: `KeyNotAsApproved`, `CreateKeyRefused`; VaultError, TokenError
 */
export async function createKey(
  { keys, own }: Azure,
  step: KeyStep,
  mark: VersionMark,
  abortSignal: AbortSignal,
): Promise<{ keyId: string; created: boolean }> {
  const options = { abortSignal };
  const { vaultId, keyName, sizeInBits, expiry, exists } = step;
  const place = { vaultName: resourceName(vaultId), keyName };
  try {
    if (exists !== null) {
      await requireUsable({ keys }, exists, undefined, abortSignal);
      return { keyId: exists, created: false };
    }
    const oldest = async (): Promise<string | undefined> => (await keys.findMarkedIn(place, mark, options))[0]?.keyId;
    let keyId = await oldest();
    if (keyId === undefined) {
      const { state } = await keys.newest(place, options);
      if (state === 'exists') {
        throw needsPerson(
          'KeyNotAsApproved',
          `The vault ${place.vaultName} has got a key ${keyName} since the plan was made, and this operation did not make it. Nothing of it was changed. Cancel, and ask again: the new plan uses it, if it is fit; or name another key.`,
        );
      }
      const made = await keys.createNew(
        place,
        { sizeInBits, expiresOn: expiryDate(expiry, Date.now()) },
        mark,
        options,
      );
      keyId = (await oldest()) ?? made;
    }
    await requireUsable({ keys }, keyId, sizeInBits, abortSignal);
    return { keyId, created: true };
  } catch (error) {
    if (!isMissingRight(error)) throw error;
    const command = ownRightsCommand(vaultId, step.permissionModel, await own.objectId(options));
    throw needsPerson(
      'CreateKeyRefused',
      `Keyturn's own identity may not do that with keys of the vault ${place.vaultName}: ${sentenceOf(error).split('\r\n')[0]} The vault stays as it is, and the cluster was not changed. Give the rights: ${command}. A role assignment takes up to ten minutes to work. Then retry; or cancel.`,
      error,
    );
  }
}

async function requireUsable(
  { keys }: Pick<Azure, 'keys'>,
  keyId: string,
  sizeInBits: number | undefined,
  abortSignal: AbortSignal,
): Promise<void> {
  const lookup = await keys.lookUp(keyId, { abortSignal });
  const problems = lookup.found ? [...keyProblems(lookup.key, new Date().toISOString()).broken] : [lookup.why];
  const size = lookup.found ? lookup.key.keySizeInBits : undefined;
  if (sizeInBits !== undefined && size !== undefined && size !== sizeInBits) {
    problems.push(`It has ${size} bits instead of ${sizeInBits}.`);
  }
  if (problems.length === 0) return;
  throw needsPerson(
    'KeyNotAsApproved',
    `${shortKeyId(keyId)} is not as the plan names it: ${problems.join(' ')} Keyturn does not change it. Repair it, then retry; or cancel, and ask again.`,
  );
}

function isMissingRight(error: unknown): error is VaultError {
  return error instanceof VaultError && ['ForbiddenByRbac', 'ForbiddenByPolicy'].includes(error.innerCode ?? '');
}

function notAsApproved(vaultId: string, why: string): Error {
  return needsPerson(
    'VaultNotAsApproved',
    `The vault ${resourceName(vaultId)} is not as the plan names it: ${why}${/[.!?]$/.test(why) ? '' : '.'} Keyturn changed nothing of it, and the cluster was not changed. Find out who changed it; then cancel, and ask again, which plans from what is there.`,
  );
}
