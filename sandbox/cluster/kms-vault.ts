/** The vault as one KMS plugin sees it: its keys, and a memory of what went wrong last. */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { messageOf } from '../message-of';
import type { VaultCrypto } from './contract';

const CHECK_LENGTH_IN_BYTES = 32;

/** A vault that remembers why its last call failed. */
export interface WatchedVault extends VaultCrypto {
  /** Why the last call failed; undefined when it succeeded or there was none. */
  failure(): string | undefined;
}

/** Watches a vault. Errors pass through as they come. */
export function watchVault(crypto: VaultCrypto): WatchedVault {
  let failure: string | undefined;
  const watch = async (call: Promise<Uint8Array>): Promise<Uint8Array> => {
    try {
      const result = await call;
      failure = undefined;
      return result;
    } catch (error) {
      failure = messageOf(error);
      throw error;
    }
  };
  return {
    encrypt: (kid, plaintext) => watch(crypto.encrypt(kid, plaintext)),
    decrypt: (kid, ciphertext) => watch(crypto.decrypt(kid, ciphertext)),
    failure: () => failure,
  };
}

/**
 * A real encrypt and decrypt with one key.
 * @throws Error of the vault, as it came.
 */
export async function roundTrip(vault: VaultCrypto, kid: string): Promise<void> {
  const sent = randomBytes(CHECK_LENGTH_IN_BYTES);
  const received = await vault.decrypt(kid, await vault.encrypt(kid, sent));
  if (received.length !== sent.length || !timingSafeEqual(received, sent)) {
    throw new Error('The vault decrypted a test message to something else than what was encrypted.');
  }
}
