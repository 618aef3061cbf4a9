/**
 * Keys that are to work again: an expiry that is moved, a deleted key that is brought back.
 *
 * Does: one write at a time.
 * Never does: purge, shorten the life of a key, or change anything else of it.
 */
import { mustParseKeyId } from '../domain/resource-ids';
import type { CallOptions } from './call-options';
import { VaultError } from './errors';
import type { CallVault } from './vault-clients';

/** The key lives: an earlier try whose answer was lost has recovered it. Or it is being recovered. */
const ALREADY = 409;

/** What Keyturn asks of vaults about keys that are to work again. Everything throws VaultError, TokenError, or the signal's reason. */
export interface KeyRecovery {
  /** Has exactly this version expire at another time; everything else of it stays as it was. */
  setExpiry(kid: string, expiresOn: Date, options?: CallOptions): Promise<void>;
  /**
   * Asks the vault to recover a deleted key with all its versions. The vault shows it a moment later: look it up then.
   * @throws VaultError 404 when the vault has no such deleted key: it may have been recovered already, or purged
   */
  recoverDeleted(kid: string, options?: CallOptions): Promise<void>;
}

/** @param call reaches the vaults */
export function createKeyRecovery(call: CallVault): KeyRecovery {
  return {
    async setExpiry(kid, expiresOn, options = {}) {
      const keyId = mustParseKeyId(kid);
      await call(keyId, options, (client) =>
        client.updateKeyProperties(keyId.name, keyId.version, { ...options, expiresOn }),
      );
    },

    async recoverDeleted(kid, options = {}) {
      const keyId = mustParseKeyId(kid);
      try {
        // The poller is not used further: the caller looks until the key is there.
        await call(keyId, options, (client) =>
          client.beginRecoverDeletedKey(keyId.name, { abortSignal: options.abortSignal }),
        );
      } catch (error) {
        if (!(error instanceof VaultError) || error.status !== ALREADY) throw error;
      }
    },
  };
}
