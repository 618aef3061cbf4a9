/**
 * What happens to keys that no cluster needs any more: versions are disabled, whole keys are soft-deleted.
 *
 * Does: one write at a time, each of which can be taken back (`setEnabled` again; `az keyvault key recover`).
 * Never does: decide whether a key is needed; purge, for which there is no method.
 */
import { setTimeout as timer } from 'node:timers/promises';
import type { DeletedKey as SdkDeletedKey, KeyProperties } from '@azure/keyvault-keys';
import { mustParseKeyId, type KeyId } from '../domain/resource-ids';
import type { CallOptions } from './call-options';
import { VaultError } from './errors';
import type { CallVault } from './vault-clients';

/** What the Azure SDK waits between two looks at a key that is being deleted. */
const POLL_IN_MS = 2_000;
/** A vault shows a deleted key within seconds; so many looks later, something else is going on. */
const MOST_LOOKS = 150;
/** The same for a key that is not there: its deletion may have been begun by a try whose answer was lost. */
const LOOKS_FOR_THE_MISSING = 5;
/** The key is being deleted and not yet shown as deleted. */
const BEING_DELETED = 'ObjectIsBeingDeleted';

/** One version of a key, without its public key: what the vault lists. */
export interface KeyVersionState {
  /** As the vault spells it. */
  readonly keyId: string;
  readonly enabled: boolean;
  /** When its attributes last changed; vaults keep whole seconds. */
  readonly updatedOn?: Date;
  readonly createdOn?: Date;
  readonly expiresOn?: Date;
  /**
   * What the vault does with a key that is deleted: `Recoverable`, `CustomizedRecoverable+Purgeable` …; `Purgeable` alone
   * means that it is gone at once.
   */
  readonly recoveryLevel?: string;
}

/** A key that is soft-deleted, with all its versions. */
export interface DeletedKeyState {
  /** The URL to recover it by; absent when the vault keeps nothing: then the key is gone. */
  readonly recoveryId?: string;
  readonly deletedOn?: Date;
  /** When the vault purges it by itself. */
  readonly scheduledPurgeOn?: Date;
  readonly recoveryLevel?: string;
}

/** What Keyturn asks of vaults about keys that go. Everything throws VaultError, TokenError, or the signal's reason. */
export interface KeyRetirement {
  /**
   * Enables or disables exactly this version; everything else of it stays as it was. The same again changes nothing.
   * @returns whether the version is enabled now, and since when it is as it is, by the vault's answer
   */
  setEnabled(kid: string, enabled: boolean, options?: CallOptions): Promise<{ enabled: boolean; updatedOn?: Date }>;
  /** Every version of the same key, the oldest first, those that are disabled or expired too. */
  listVersions(kid: string, options?: CallOptions): Promise<KeyVersionState[]>;
  /**
   * Soft-deletes the whole key with all its versions, and waits until the vault shows it as deleted. A key that is deleted
   * already is fine. Which versions there are, and what the vault keeps of them, the caller must have looked at before.
   * @throws VaultError 404 when there is no such key, deleted or not; `DeletionNotShown`, retryable, when the vault deleted
   *         the key and does not show it as deleted for minutes
   */
  deleteKey(kid: string, options?: CallOptions & { readonly pollInMs?: number }): Promise<DeletedKeyState>;
  /** @returns undefined when the vault shows no deleted key of this name */
  deletedKey(kid: string, options?: CallOptions): Promise<DeletedKeyState | undefined>;
}

/** @param call reaches the vaults */
export function createKeyRetirement(call: CallVault): KeyRetirement {
  const lookUpDeleted = async (keyId: KeyId, options: CallOptions): Promise<DeletedKeyState | undefined> => {
    try {
      return deletedState(
        await call(keyId, options, (client) => client.getDeletedKey(keyId.name, { abortSignal: options.abortSignal })),
      );
    } catch (error) {
      if (error instanceof VaultError && error.status === 404) return undefined;
      throw error;
    }
  };

  return {
    async setEnabled(kid, enabled, options = {}) {
      const keyId = mustParseKeyId(kid);
      const { properties } = await call(keyId, options, (client) =>
        client.updateKeyProperties(keyId.name, keyId.version, { ...options, enabled }),
      );
      return { enabled: properties.enabled ?? true, updatedOn: properties.updatedOn };
    },

    async listVersions(kid, options = {}) {
      const keyId = mustParseKeyId(kid);
      return call(keyId, options, async (client) => {
        const versions: KeyVersionState[] = [];
        for await (const version of client.listPropertiesOfKeyVersions(keyId.name, options)) {
          versions.push(versionState(version));
        }
        return versions.sort(
          (a, b) => (a.createdOn?.getTime() ?? 0) - (b.createdOn?.getTime() ?? 0) || (a.keyId < b.keyId ? -1 : 1),
        );
      });
    },

    async deleteKey(kid, { pollInMs = POLL_IN_MS, ...options } = {}) {
      const keyId = mustParseKeyId(kid);
      const begun = await beginDeletion(keyId, options);
      if (begun.gone) return begun.gone;
      const mostLooks = begun.notFound ? LOOKS_FOR_THE_MISSING : MOST_LOOKS;
      for (let looks = 1; ; looks++) {
        const deleted = await lookUpDeleted(keyId, options);
        if (deleted !== undefined) return deleted;
        if (looks === mostLooks) break;
        await sleep(pollInMs, options.abortSignal);
      }
      throw begun.notFound ?? notShown(keyId);
    },

    deletedKey: (kid, options = {}) => lookUpDeleted(mustParseKeyId(kid), options),
  };

  /**
   * @returns `gone`: the vault keeps nothing of it. `notFound`: there is no such key now, which an earlier try may have
   *          brought about
   */
  async function beginDeletion(
    keyId: KeyId,
    options: CallOptions,
  ): Promise<{ gone?: DeletedKeyState; notFound?: VaultError }> {
    try {
      // The poller is not used further: to it, a refused look at the deleted key is as good as the key.
      const poller = await call(keyId, options, (client) =>
        client.beginDeleteKey(keyId.name, { abortSignal: options.abortSignal }),
      );
      const { result } = poller.getOperationState();
      const state = result && deletedState(result);
      return state && state.recoveryId === undefined ? { gone: state } : {};
    } catch (error) {
      if (!(error instanceof VaultError)) throw error;
      if (error.status === 409 && error.innerCode === BEING_DELETED) return {};
      if (error.status === 404) return { notFound: error };
      throw error;
    }
  }
}

function notShown({ vaultUrl, name }: KeyId): VaultError {
  return new VaultError({
    code: 'DeletionNotShown',
    message: `${vaultUrl} took the deletion of the key ${name}, but does not show it as deleted.`,
    retryable: true,
  });
}

function versionState({ id, enabled, ...rest }: KeyProperties): KeyVersionState {
  const { createdOn, expiresOn, updatedOn, recoveryLevel } = rest;
  const keyId = mustParseKeyId(id ?? '').kid;
  return { keyId, enabled: enabled ?? true, updatedOn, createdOn, expiresOn, recoveryLevel };
}

function deletedState({ properties }: SdkDeletedKey): DeletedKeyState {
  const { recoveryId, deletedOn, scheduledPurgeDate, recoveryLevel } = properties;
  return { recoveryId, deletedOn, scheduledPurgeOn: scheduledPurgeDate, recoveryLevel };
}

/** @throws the signal's reason */
async function sleep(durationInMs: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await timer(durationInMs, undefined, { signal });
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  }
}
