/**
 * Encrypt, decrypt, wrap, unwrap and sign: the one door to key material, for HTTP and for clusters alike.
 *
 * Needs: the registry, role assignments.
 * Does: authorizes, checks the state of the key version as Key Vault does, computes.
 * Never does: return or log key bytes.
 */
import { z } from 'zod';
import type { RoleAssignments } from '../arm/role-assignments';
import { AzureError, badRequest } from '../errors';
import { authorize, type VaultCaller } from './access';
import { kidOf } from './key-json';
import { nowInSeconds, type KeyVersion } from './key-ring';
import type { KeyPermission } from './permissions';
import type { Vault } from './registry';
import { rsaDecrypt, rsaEncrypt, type RsaAlgorithm } from './rsa';
import { signDigest, type VaultSignatureAlgorithm } from './signing';

/** A crypto operation as the URL spells it, which is also its permission. */
export const cryptoOperationSchema = z.enum(['encrypt', 'decrypt', 'wrapkey', 'unwrapkey']);
/** One of them. */
export type CryptoOperation = z.infer<typeof cryptoOperationSchema> & KeyPermission;
/** Any use of the key material. */
type Use = CryptoOperation | 'sign';

/** The operation's name in a key's `key_ops` and in messages. */
const WORDS: Readonly<Record<Use, string>> = {
  encrypt: 'encrypt',
  decrypt: 'decrypt',
  wrapkey: 'wrapKey',
  unwrapkey: 'unwrapKey',
  sign: 'sign',
};

/** What to do with which version. */
export interface CryptoRequest {
  readonly keyName: string;
  /** The latest when absent. */
  readonly version?: string;
  readonly operation: CryptoOperation;
  readonly algorithm: RsaAlgorithm;
  readonly value: Uint8Array;
}

/**
 * Authorizes and performs one operation.
 * @throws AzureError 403 (permission, network, KeyDisabled, KeyExpired, KeyNotYetValid), 404 KeyNotFound, 400 BadParameter.
 */
export function performCrypto(
  vault: Vault,
  assignments: RoleAssignments,
  caller: VaultCaller,
  request: CryptoRequest,
): { readonly version: KeyVersion; readonly value: Buffer } {
  const { keyName, operation, algorithm, value } = request;
  authorize(vault, assignments, caller, operation, keyName);
  const version = vault.keys.getVersion(keyName, request.version);
  checkUsable(version, operation);
  const { material } = version;
  // What Key Vault says of these is not published.
  if (material.type !== 'RSA') throw badRequest(`Key and algorithm ${algorithm} are incompatible.`, 'BadParameter');
  const compute = operation === 'encrypt' || operation === 'wrapkey' ? rsaEncrypt : rsaDecrypt;
  return { version, value: compute(material, algorithm, value) };
}

/** What to sign with which version. */
export interface SignRequest {
  readonly keyName: string;
  /** The latest when absent. */
  readonly version?: string;
  readonly algorithm: VaultSignatureAlgorithm;
  readonly digest: Uint8Array;
}

/**
 * Authorizes and signs a digest.
 * @throws AzureError 403 (permission, network, KeyDisabled, KeyExpired, KeyNotYetValid, KeyOperationForbidden), 404 KeyNotFound, 400 BadParameter.
 */
export function performSign(
  vault: Vault,
  assignments: RoleAssignments,
  caller: VaultCaller,
  { keyName, version: versionId, algorithm, digest }: SignRequest,
): { readonly version: KeyVersion; readonly value: Buffer } {
  authorize(vault, assignments, caller, 'sign', keyName);
  const version = vault.keys.getVersion(keyName, versionId);
  checkUsable(version, 'sign');
  const kid = kidOf(vault, vault.keys.get(keyName).name, version);
  return { version, value: signDigest(kid, version.material, algorithm, digest) };
}

/**
 * Throws when the version's state forbids an operation. Dates stop only what makes new ciphertext or signatures: decrypt and
 * unwrap go on after expiry, `enabled: false` stops everything (facts 3.1, Key Vault's key-attributes page).
 */
export function checkUsable(version: KeyVersion, operation: Use): void {
  const word = WORDS[operation];
  if (!version.enabled) throw notAllowed('KeyDisabled', `Operation ${word} is not allowed on a disabled key.`);
  if (operation === 'encrypt' || operation === 'wrapkey' || operation === 'sign') {
    const now = nowInSeconds();
    if (version.exp !== undefined && version.exp <= now) {
      throw notAllowed('KeyExpired', `Operation ${word} is not allowed on an expired key.`);
    }
    if (version.nbf !== undefined && version.nbf > now) {
      throw notAllowed('KeyNotYetValid', `Operation ${word} is not allowed on a key that is not yet valid.`);
    }
  }
  if (!version.keyOps.some((allowed) => allowed.toLowerCase() === operation)) {
    // Source: Azure/azure-sdk-for-net#11518.
    throw notAllowed('KeyOperationForbidden', `Operation ${word} is not permitted on this key.`);
  }
}

function notAllowed(innerCode: string, message: string): AzureError {
  return new AzureError(403, 'Forbidden', message, { innerCode });
}
