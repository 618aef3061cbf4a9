/**
 * The answers of a KMS v1 plugin.
 *
 * Does: encrypts with its first key and decrypts with any of its keys. KMS v1 has no key id, so each ciphertext starts with
 *       the 32 bytes of sha256(kid): the plugin finds its key by them, and so does the oracle (raw-records.ts). Azure's own
 *       plugin has one key and no such mark.
 * Never does: cache, retry, or try a key that the mark does not name.
 */
import type { UntypedServiceImplementation } from '@grpc/grpc-js';
import type { VaultCrypto } from './contract';
import { hashKeyId, KEY_ID_DIGEST_BYTES, keyIdDigest } from './key-id';
import { unary } from './kms-unary';
import {
  KMS_V1_API_VERSION,
  type DecryptRequest,
  type DecryptResponse,
  type EncryptRequest,
  type EncryptResponse,
  type VersionResponse,
} from './kms-v1-schema';

/**
 * Handlers of `v1beta1.KeyManagementService`.
 * @param kids versioned key ids; the first encrypts
 * @throws Error when there is no key
 */
export function kmsV1Handlers(vault: VaultCrypto, kids: readonly string[]): UntypedServiceImplementation {
  const [current] = kids;
  if (current === undefined) throw new Error('A KMS v1 plugin needs a key to encrypt with.');
  const mark = keyIdDigest(current);
  return {
    // Azure's plugin names itself and its release here; the API server looks at the version alone.
    Version: unary(async (): Promise<VersionResponse> => ({
      version: KMS_V1_API_VERSION,
      runtime_name: 'Microsoft AzureKMS (sandbox)',
      runtime_version: KMS_V1_API_VERSION,
    })),
    Encrypt: unary(async ({ plain }: EncryptRequest): Promise<EncryptResponse> => ({
      cipher: Buffer.concat([mark, await vault.encrypt(current, plain)]),
    })),
    Decrypt: unary(async ({ cipher }: DecryptRequest): Promise<DecryptResponse> => {
      const kid = keyOf(cipher, kids);
      return { plain: await vault.decrypt(kid, cipher.subarray(KEY_ID_DIGEST_BYTES)) };
    }),
  };
}

function keyOf(cipher: Buffer, kids: readonly string[]): string {
  const mark = cipher.subarray(0, KEY_ID_DIGEST_BYTES).toString('hex');
  const kid = kids.find((candidate) => hashKeyId(candidate) === mark);
  if (kid !== undefined) return kid;
  throw new Error(`This plugin serves the key ids ${kids.map(hashKeyId).join(' and ')}, not ${mark}.`);
}
