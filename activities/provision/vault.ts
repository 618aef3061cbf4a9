/**
 * The vault and the key of a cluster that is to get KMS, looked at before a plan; and the vault, made once.
 *
 * Does: reads first; makes a vault that is not there; a second try finds by tags what the first one made.
 * Never does: change a vault that exists, or recover anything. The key is made in key.ts.
 */
import type { AzureAccess } from '../../azure/access';
import type { CallOptions } from '../../azure/call-options';
import type { VersionMark } from '../../azure/keys';
import type { ObservedCluster, ObservedKey } from '../../domain/observed';
import type { StepOf } from '../../domain/plan/steps';
import { vaultShortcomings, type Provisioning } from '../../domain/provisioning';
import { parseClusterId, parseKeyId, resourceName } from '../../domain/resource-ids';
import { needsPerson } from '../failures';
import { sleep } from '../running';

type Azure = Pick<AzureAccess, 'newVaults' | 'own' | 'keys' | 'armKeys'>;
type VaultStep = Omit<StepOf<'create-vault'>, 'id' | 'title' | 'reason' | 'type'>;

/** Between two looks at a vault that Azure is making. */
const LOOK_IN_MS = 2_000;

/** What a request names of vault and key. */
export interface ProvisioningRequest {
  readonly vaultName: string;
  readonly vaultResourceGroup?: string;
  readonly keyName: string;
}

/** What was found. */
export interface Provisioned {
  readonly provisioning: Provisioning;
  readonly provisionedKey?: ObservedKey;
}

/** What there is of the vault and the key that a request names. @throws ArmError, VaultError, TokenError */
export async function observeProvisioning(
  azure: Azure,
  { resourceId, location }: Pick<ObservedCluster, 'resourceId' | 'location'>,
  { vaultName, vaultResourceGroup, keyName }: ProvisioningRequest,
  options: CallOptions,
): Promise<Provisioned | undefined> {
  const cluster = parseClusterId(resourceId);
  if (!cluster) return undefined;
  const { subscriptionId, resourceGroup } = cluster;
  const vaultId = `/subscriptions/${subscriptionId}/resourceGroups/${vaultResourceGroup ?? resourceGroup}/providers/Microsoft.KeyVault/vaults/${vaultName}`;
  return await observeVaultAndKey(azure, { vaultId, location, keyName, clusterSubscription: subscriptionId }, options);
}

/** What there is of a vault that is known by its ARM id, and of a key in it. @throws ArmError, VaultError, TokenError */
export async function observeVaultAndKey(
  azure: Azure,
  {
    vaultId,
    location,
    keyName,
    clusterSubscription,
  }: Record<'vaultId' | 'location' | 'keyName' | 'clusterSubscription', string>,
  options: CallOptions,
): Promise<Provisioned> {
  const [found, tenantId, ownObjectId] = await Promise.all([
    azure.newVaults.look(vaultId, location, options),
    azure.own.tenantOf(clusterSubscription, options),
    azure.own.objectId(options),
  ]);
  const facts = { vaultId, tenantId, ownObjectId };
  if (found.state !== 'exists') return { provisioning: { ...facts, vault: found, key: 'none' } };
  const vault = { state: 'exists' as const, vault: found.vault };
  const direct = await azure.keys.newest({ vaultName: resourceName(vaultId), keyName }, options);
  if (direct.state !== 'unreachable') {
    const provisioning = { ...facts, vault, key: direct.state };
    return direct.state === 'exists' ? { provisioning, provisionedKey: direct.key } : { provisioning };
  }
  const shown = await azure.armKeys.newest({ vaultId, keyName }, options);
  const provisioning = { ...facts, vault, key: shown.state, keyThroughArm: true as const };
  return shown.state === 'exists' ? { provisioning, provisionedKey: shown.key } : { provisioning };
}

/** What there is of a key of a name in the vault of the current key; undefined without KMS. @throws ArmError, VaultError, TokenError */
export async function observeNewKey(
  azure: Azure & Pick<AzureAccess, 'vaults'>,
  { resourceId, location, kms }: Pick<ObservedCluster, 'resourceId' | 'location' | 'kms'>,
  keyName: string,
  options: CallOptions,
): Promise<Provisioned | undefined> {
  const cluster = parseClusterId(resourceId);
  const current = parseKeyId(kms.keyId ?? '');
  if (!cluster || !kms.enabled || 'fault' in current) return undefined;
  const { subscriptionId } = cluster;
  const query = { key: current, subscriptionId, vaultId: kms.vaultId, principalId: '' };
  const vault = await azure.vaults.find(query, options);
  if (!vault.known) {
    const unseen = { state: 'unseen' as const, why: vault.why };
    return { provisioning: { vaultId: '', tenantId: '', ownObjectId: '', vault: unseen, key: 'none' } };
  }
  const { vaultId } = vault.value;
  return await observeVaultAndKey(azure, { vaultId, location, keyName, clusterSubscription: subscriptionId }, options);
}

/**
 * Makes the vault, or checks the one that the plan found; waits until Azure has made it.
 * @throws ApplicationFailure `VaultNotAsApproved`, non-retryable; ArmError, TokenError
 */
export async function createVault(
  { newVaults, own }: Pick<Azure, 'newVaults' | 'own'>,
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

function notAsApproved(vaultId: string, why: string): Error {
  return needsPerson(
    'VaultNotAsApproved',
    `The vault ${resourceName(vaultId)} is not as the plan names it: ${why}${/[.!?]$/.test(why) ? '' : '.'} Keyturn changed nothing of it, and the cluster was not changed. Find out who changed it; then cancel, and ask again, which plans from what is there.`,
  );
}
