/** How a versioned key id (kid) of a vault shows up inside a cluster. Pure. */
import { createHash } from 'node:crypto';

/** Hex digits of the key-id hash that a provider name carries: enough to tell keys apart, short enough to read. */
const PROVIDER_NAME_DIGITS = 12;

/** The one provider name that all keys live behind in a cluster with `kmsProviderNames: 'shared'` (KMS v1 only). */
export const SHARED_PROVIDER_NAME = 'azurekms';

/**
 * The KMS v2 `key_id` that the Azure plugin reports for a key: hex(sha256(kid)).
 *
 * Source: Azure/kubernetes-kms pkg/plugin, which hashes `https://{vault}.{suffix}/keys/{name}/{version}`. The API server
 * stores it with every object, and its metrics show `sha256:` + hex(sha256(key_id)).
 */
export function hashKeyId(kid: string): string {
  return keyIdDigest(kid).toString('hex');
}

/** The 32 bytes of {@link hashKeyId}: what the sandbox's KMS v1 plugin puts before each ciphertext. */
export function keyIdDigest(kid: string): Buffer {
  return createHash('sha256').update(kid).digest();
}

/** Bytes of a {@link keyIdDigest}. */
export const KEY_ID_DIGEST_BYTES = 32;

/**
 * The name of the KMS provider that serves a key in the EncryptionConfiguration.
 *
 * AKS does not publish how it names its providers. A name per key is the sandbox's own choice: an object under a key that
 * left both slots then matches no provider, so it is unreadable, which is what losing a slot means.
 */
export function providerName(kid: string): string {
  return `azurekms-${hashKeyId(kid).slice(0, PROVIDER_NAME_DIGITS)}`;
}
