/**
 * The network of a vault: opened to all networks, or closed but for private endpoints.
 *
 * Does: reads before it writes, and waits until the vault shows the change.
 * Never does: change another member of the vault.
 */
import { describeKms, hasProfile } from '../domain/cluster-change';
import { namesOf, usersOfVault } from '../domain/key-users';
import type { VaultNetwork } from '../domain/plan/steps';
import { mustParseKeyId } from '../domain/resource-ids';
import { needsPerson, tryAgain } from './failures';
import { readKeyUsage } from './key-usage';
import type { Look } from './look';
import { lookUntil, type Running } from './running';

/** Between two looks at a vault that does not answer yet. Azure says that a change of the network may take 15 minutes. */
const LOOK_IN_MS = 5_000;

/** What is asked for: a step `set-vault-network`. */
export interface NetworkChange {
  /** ARM id of the vault. */
  readonly vaultId: string;
  readonly to: VaultNetwork;
  /** A key of the vault. */
  readonly key: string;
  /** ARM id of the cluster that the operation is for. */
  readonly cluster: string;
}

/**
 * @throws ApplicationFailure `ClusterChangedOutside` and `VaultInUse`, non-retryable, when the public address is needed; `AzureUnavailable`,
 *         retryable, when ARM does not show the change; ArmError, VaultError, TokenError
 */
export async function setVaultNetwork(
  look: Look,
  { vaultId, to, key, cluster }: NetworkChange,
  running: Running,
): Promise<{ changed: boolean }> {
  const { vaults, keys } = look.azure;
  const options = { abortSignal: running.signal };
  const changed = (await vaults.network(vaultId, options)) !== to;
  if (changed && to === 'closed') await requireUnneeded(look, { cluster, vaultId, key });
  if (changed) await vaults.setNetwork(vaultId, to, options);
  const shown = await vaults.network(vaultId, options);
  if (shown !== to) {
    throw tryAgain('AzureUnavailable', `Azure took the change of the vault, and does not show it as ${to} yet.`);
  }
  if (to === 'closed') return { changed };
  const waitsFor = `the vault ${mustParseKeyId(key).vaultName} to answer to all networks`;
  return await lookUntil<{ changed: boolean }>(running, { first: waitsFor, everyMs: LOOK_IN_MS }, async () => {
    const lookup = await keys.lookUp(key, options);
    return lookup.found || lookup.unreachable !== true ? { answer: { changed } } : { waitsFor };
  });
}

/** Looks right before the public address closes whether any API server needs it (K1): the plan may be hours old. */
async function requireUnneeded(
  { azure, use, signal }: Look,
  { cluster, vaultId, key }: Omit<NetworkChange, 'to'>,
): Promise<void> {
  const { kms } = (await azure.clusters.read(cluster, { abortSignal: signal })).observed;
  if (!hasProfile(kms, { mode: 'on', keyId: key, access: 'Private', vaultId })) {
    throw needsPerson(
      'ClusterChangedOutside',
      `Azure reports ${describeKms(kms)}: another client changed the cluster, whose API servers may need the public address of the vault. The vault was left as it is. Find out who and why, cancel, and ask for a new operation.`,
    );
  }
  const { clusters, vaultUrl } = usersOfVault(await readKeyUsage(azure, use, signal), key, cluster);
  if (clusters.length === 0) return;
  throw needsPerson(
    'VaultInUse',
    `${namesOf(clusters)} reach ${vaultUrl} on its public address, which was left open. This cluster reaches the vault over its private endpoint, and every Secret is proven. Move the other clusters, then retry; or cancel, and close the address later.`,
  );
}
