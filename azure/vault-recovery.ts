/**
 * Soft-deleted vaults.
 *
 * Does: finds one, and recovers it with all that Azure kept of it.
 * Never does: purge.
 */
import { z } from 'zod';
import { mustParseVaultId, parseVaultId } from '../domain/resource-ids';
import type { ArmClient } from './arm';
import type { CallOptions } from './call-options';
import { isNotForUs } from './errors';
import { listSameTenant } from './subscriptions';
import type { VaultManagement } from './vault-management';

/** A soft-deleted vault, or that there is none, or that Keyturn may not look. */
export type DeletedVaultLookup =
  | {
      readonly state: 'deleted';
      readonly vaultId: string;
      readonly location: string;
      readonly scheduledPurgeOn?: string;
    }
  | { readonly state: 'none' | 'unknown' };

/** What Keyturn asks of soft-deleted vaults. Everything throws `ArmError` or `TokenError`. */
export interface VaultRecovery {
  /**
   * The soft-deleted vault of a name, in a subscription or another one of its tenant that Keyturn sees; `unknown` when it is not found
   * and one of them was not listed.
   */
  findDeleted(name: string, subscriptionId: string, options?: CallOptions): Promise<DeletedVaultLookup>;
  /** Recovers a soft-deleted vault with its keys and access policies. It answers minutes later. */
  recover(vault: { readonly vaultId: string; readonly location: string }, options?: CallOptions): Promise<void>;
}

const SUBSCRIPTIONS_VERSION = '2022-12-01';
const Subscription = z.object({ tenantId: z.string() });

/** @param arm reads the tenant of a subscription */
export function createVaultRecovery(management: VaultManagement, arm: ArmClient): VaultRecovery {
  return {
    async findDeleted(name, subscriptionId, options = {}) {
      const found = await findIn(name, subscriptionId, options);
      if (found.state === 'deleted') return found;
      const [, ...others] = await listSameTenant(arm, subscriptionId, options);
      const states = [found.state];
      for (const other of others) {
        const elsewhere = await findIn(name, other, options);
        if (elsewhere.state === 'deleted') return elsewhere;
        states.push(elsewhere.state);
      }
      return { state: states.includes('unknown') ? 'unknown' : 'none' };
    },

    async recover({ vaultId, location }, options = {}) {
      const { abortSignal } = options;
      const { subscriptionId } = mustParseVaultId(vaultId);
      const url = `/subscriptions/${subscriptionId}?api-version=${SUBSCRIPTIONS_VERSION}`;
      const { tenantId } = Subscription.parse((await arm.request({ method: 'GET', url, abortSignal })).body);
      // What `az keyvault recover` sends. Azure brings back all other properties as they were.
      const properties = { tenantId, sku: { family: 'A', name: 'standard' }, createMode: 'recover' } as const;
      await management.atVault(vaultId, options, (client, group, name) =>
        client.vaults.createOrUpdate(group, name, { location, properties }, { abortSignal }),
      );
    },
  };

  async function findIn(name: string, subscriptionId: string, options: CallOptions): Promise<DeletedVaultLookup> {
    const what = `Deleted vaults of the subscription ${subscriptionId}`;
    try {
      return await management.inSubscription(subscriptionId, what, options, async (client) => {
        for await (const { properties } of client.vaults.listDeleted({ abortSignal: options.abortSignal })) {
          const { vaultId, location, scheduledPurgeDate } = properties ?? {};
          if (vaultId === undefined || location === undefined) continue;
          if (parseVaultId(vaultId)?.name.toLowerCase() !== name.toLowerCase()) continue;
          const purge = scheduledPurgeDate === undefined ? {} : { scheduledPurgeOn: scheduledPurgeDate.toISOString() };
          return { state: 'deleted' as const, vaultId, location, ...purge };
        }
        return { state: 'none' as const };
      });
    } catch (error) {
      if (!isNotForUs(error)) throw error;
      return { state: 'unknown' };
    }
  }
}
