/** Why the API servers of a cluster cannot use the keys of its slots, as Azure and they themselves show it. Writes nothing. */
import { VaultError } from '../azure/errors';
import { readIdentityAccess } from '../azure/identity-access';
import type { EvidenceRecord } from '../domain/evidence';
import type { Ledger } from '../domain/ledger';
import type { KeyLookup, ObservedCluster } from '../domain/observed';
import type { Recovery, SlotFacts, VaultState } from '../domain/recovery';
import { recoveryKeys } from '../domain/recovery-keys';
import { parseClusterId, parseKeyId, parseVaultId, type KeyId } from '../domain/resource-ids';
import { readKmsHealth } from './kubernetes/kms-health';
import { readIfItAnswers, type Look } from './look';

/** What is known before. */
export interface RecoveryQuery {
  readonly cluster: ObservedCluster;
  /** As the cluster has it; null when it has none, or does not answer. */
  readonly ledger: Ledger | null;
  /** Evidence of the cluster, for the time when it does not answer. */
  readonly records: () => Promise<readonly EvidenceRecord[]>;
  /** ISO 8601. */
  readonly at: string;
}

/** @throws ArmError, VaultError, TokenError when Azure cannot say now */
export async function observeRecovery(look: Look, query: RecoveryQuery): Promise<Recovery> {
  const { cluster, at } = query;
  const ledger = query.ledger ?? lastLedgerOf(await query.records());
  const identity = await readIdentity(look, cluster);
  const slots = recoveryKeys(cluster, ledger, at);
  const [facts, health] = await Promise.all([
    Promise.all(slots.map((slot) => slotFacts(look, cluster, slot, identity))),
    readIfItAnswers(look, cluster.resourceId, readKmsHealth),
  ]);
  return {
    slots: facts.filter((one) => one !== undefined),
    ...(identity === undefined ? {} : { identity }),
    ...('value' in health ? { kms: health.value } : {}),
  };
}

/** The ledger as the last operation on the cluster that wrote it left it. */
function lastLedgerOf(records: readonly EvidenceRecord[]): Ledger | null {
  const latest = [...records].sort((a, b) => (a.sealedAt < b.sealedAt ? 1 : -1));
  for (const { outputs } of latest) {
    const ledger = Object.values(outputs).findLast((output) => 'ledger' in output);
    if (ledger !== undefined && 'ledger' in ledger) return ledger.ledger;
  }
  return null;
}

async function readIdentity(
  { azure, signal }: Look,
  { identities, location }: ObservedCluster,
): Promise<Recovery['identity']> {
  const [own] = identities;
  if (own === undefined) return undefined;
  const id = own.resourceId;
  const found = await azure.identities.read(id, { abortSignal: signal });
  if (!found.found) return { id, location, state: found.state };
  const same = own.principalId === undefined || own.principalId.toLowerCase() === found.principalId.toLowerCase();
  return { id, location, state: same ? 'same' : 'replaced', principalId: found.principalId };
}

async function slotFacts(
  { azure, signal }: Look,
  cluster: ObservedCluster,
  { slot, keyId }: Pick<SlotFacts, 'slot' | 'keyId'>,
  identity: Recovery['identity'],
): Promise<SlotFacts | undefined> {
  const options = { abortSignal: signal };
  const key = parseKeyId(keyId);
  const subscriptionId = parseClusterId(cluster.resourceId)?.subscriptionId;
  if ('fault' in key || subscriptionId === undefined || key.cloud.name !== azure.cloud.name) return undefined;
  const principalId = identity?.principalId ?? cluster.identities[0]?.principalId ?? '';
  const [lookup, access] = await Promise.all([
    lookUpInAnyVault({ azure, signal }, keyId, cluster),
    readIdentityAccess(
      azure,
      {
        identity: { name: identity?.id.split('/').at(-1) ?? '', principalId },
        keyId,
        subscriptionId,
        vaultId: cluster.kms.vaultId,
      },
      options,
    ),
  ]);
  const deleted = await softDeleted({ azure, signal }, lookup);
  const vault: VaultState = access.vault.known
    ? { state: 'live', ...access.vault.value }
    : await vaultThatIsNotSeen(
        { azure, signal },
        // Where AKS knows the vault: Keyturn may not see that subscription at all.
        {
          key,
          lookup,
          subscriptionId: parseVaultId(cluster.kms.vaultId ?? '')?.subscriptionId ?? subscriptionId,
          why: access.vault.why,
        },
      );
  return {
    slot,
    keyId,
    key: lookup,
    ...(deleted === undefined ? {} : { softDeleted: deleted }),
    vault,
    // A principal that is gone has no rights to judge.
    ...(principalId === '' || identity?.state === 'missing' ? {} : { access }),
  };
}

/**
 * Looks a key up, also one whose vault is deleted: its name does not resolve any more, and a proxy on the way answers for it.
 * @throws VaultError, ArmError, TokenError when Azure cannot say now
 */
export async function lookUpInAnyVault(
  { azure, signal }: Pick<Look, 'azure' | 'signal'>,
  keyId: string,
  { resourceId, kms: { vaultId } }: Pick<ObservedCluster, 'resourceId' | 'kms'>,
): Promise<KeyLookup> {
  const options = { abortSignal: signal };
  const { subscriptionId = '' } = parseClusterId(resourceId) ?? {};
  try {
    return await azure.keys.lookUpAnywhere(keyId, { subscriptionId, vaultId }, options);
  } catch (error) {
    const key = parseKeyId(keyId);
    if (!(error instanceof VaultError) || !error.retryable || 'fault' in key) throw error;
    const deleted = await azure.vaults.findDeleted(key.vaultName, subscriptionId, options);
    if (deleted.state !== 'deleted') throw error;
    return { found: false, keyId, missing: 'vault', why: `The vault ${key.vaultName} is deleted.` };
  }
}

async function softDeleted(
  { azure, signal }: Pick<Look, 'azure' | 'signal'>,
  lookup: KeyLookup,
): Promise<SlotFacts['softDeleted']> {
  if (lookup.found || lookup.missing !== 'key') return undefined;
  try {
    return (await azure.keys.deletedKey(lookup.keyId, { abortSignal: signal })) === undefined ? 'no' : 'yes';
  } catch (error) {
    if (error instanceof VaultError && error.status === 403) return 'unknown';
    throw error;
  }
}

async function vaultThatIsNotSeen(
  { azure, signal }: Pick<Look, 'azure' | 'signal'>,
  {
    key,
    lookup,
    subscriptionId,
    why,
  }: { readonly key: KeyId; readonly lookup: KeyLookup; readonly subscriptionId: string; readonly why: string },
): Promise<VaultState> {
  if (lookup.found || lookup.missing !== 'vault') return { state: 'unknown', why };
  const deleted = await azure.vaults.findDeleted(key.vaultName, subscriptionId, { abortSignal: signal });
  if (deleted.state === 'deleted') return deleted;
  if (deleted.state === 'unknown') {
    return {
      state: 'unknown',
      why: `The vault ${key.vaultName} does not exist any more, and Keyturn may not look whether it is soft-deleted (Microsoft.KeyVault/deletedVaults/read).`,
    };
  }
  return {
    state: 'purged',
    why: `There is no vault ${key.vaultName}, and no soft-deleted one in the subscription ${subscriptionId} nor in others of its tenant that Keyturn sees.`,
  };
}
