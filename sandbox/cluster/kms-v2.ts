/**
 * The answers of a KMS v2 plugin.
 *
 * Does: what Azure/kubernetes-kms does (pkg/plugin): one plugin serves one pinned key version, reports hex(sha256(kid)) as
 *       its key id, answers Status by a real encrypt and decrypt in the vault, and refuses to decrypt for another key id.
 * Never does: cache, retry, or fall back to another key.
 */
import type { UntypedServiceImplementation } from '@grpc/grpc-js';
import type { VaultCrypto } from './contract';
import { hashKeyId } from './key-id';
import { unary } from './kms-unary';
import {
  KMS_V2_API_VERSION,
  type DecryptRequest,
  type DecryptResponse,
  type EncryptRequest,
  type EncryptResponse,
  type StatusResponse,
} from './kms-v2-schema';
import { roundTrip } from './kms-vault';

/** Handlers of `v2.KeyManagementService` for one key. */
export function kmsV2Handlers(vault: VaultCrypto, kid: string): UntypedServiceImplementation {
  const keyId = hashKeyId(kid);
  return {
    Status: unary(async (): Promise<StatusResponse> => {
      await roundTrip(vault, kid);
      return { version: KMS_V2_API_VERSION, healthz: 'ok', key_id: keyId };
    }),
    Encrypt: unary(async ({ plaintext }: EncryptRequest): Promise<EncryptResponse> => ({
      ciphertext: await vault.encrypt(kid, plaintext),
      key_id: keyId,
    })),
    Decrypt: unary(async ({ ciphertext, key_id }: DecryptRequest): Promise<DecryptResponse> => {
      if (key_id !== keyId) throw new Error(`This plugin serves key id ${keyId}, not ${key_id}.`);
      return { plaintext: await vault.decrypt(kid, ciphertext) };
    }),
  };
}
