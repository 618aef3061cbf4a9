/**
 * The network of a vault: opened to all networks, or closed but for private endpoints.
 *
 * Does: reads before it writes, and waits until the vault shows the change.
 * Never does: change another member of the vault.
 */
import { setTimeout as timer } from 'node:timers/promises';
import type { AzureAccess } from '../azure/access';
import type { VaultNetwork } from '../domain/plan/steps';
import { mustParseKeyId } from '../domain/resource-ids';
import { tryAgain } from './failures';
import type { Running } from './running';

/** Between two looks at a vault that does not answer yet. Azure says that a change of the network may take 15 minutes. */
const LOOK_IN_MS = 5_000;

/** What is asked for: a step `set-vault-network`. */
export interface NetworkChange {
  /** ARM id of the vault. */
  readonly vaultId: string;
  readonly to: VaultNetwork;
  /** A key of the vault. */
  readonly key: string;
}

/** @throws ApplicationFailure `AzureUnavailable`, retryable, when ARM does not show the change; ArmError, VaultError, TokenError */
export async function setVaultNetwork(
  { vaults, keys }: Pick<AzureAccess, 'vaults' | 'keys'>,
  { vaultId, to, key }: NetworkChange,
  { signal, heartbeat }: Running,
): Promise<{ changed: boolean }> {
  const options = { abortSignal: signal };
  const changed = (await vaults.network(vaultId, options)) !== to;
  if (changed) await vaults.setNetwork(vaultId, to, options);
  const shown = await vaults.network(vaultId, options);
  if (shown !== to) {
    throw tryAgain('AzureUnavailable', `Azure took the change of the vault, and does not show it as ${to} yet.`);
  }
  if (to === 'closed') return { changed };
  for (;;) {
    const lookup = await keys.lookUp(key, options);
    if (lookup.found || lookup.unreachable !== true) return { changed };
    heartbeat({ waitsFor: `the vault ${mustParseKeyId(key).vaultName} to answer to all networks` });
    await timer(LOOK_IN_MS, undefined, { signal });
  }
}
