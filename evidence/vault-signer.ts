/**
 * The key that signs evidence, in a key vault: the vault signs, and the private key never leaves it.
 *
 * Does: reads the public half once, when the process starts, and refuses a key that cannot sign evidence; checks every signature that
 *       the vault gives.
 * Never does: give up while the vault cannot sign. `SignerUnavailable` says why, and whoever asked tries again.
 */
import { createHash, createPublicKey, type KeyObject } from 'node:crypto';
import { AzureError, TokenError } from '../azure/errors';
import type { SigningKeys, VaultSigningKey } from '../azure/signing-keys';
import type { SignatureAlgorithm } from '../domain/evidence';
import { shortKeyId, type KeyId } from '../domain/resource-ids';
import { keyIdOf } from '../trust/key-id';
import { lowerForm } from './ecdsa-form';
import { ALGORITHMS, algorithmOf, verifySignature } from './signature';
import { SignerUnavailable, UnusableKey, type Signer } from './signer';

/** What signs in a vault. */
export interface VaultSigner extends Signer {
  /** Why the vault would not sign now, as it was read; undefined when it would. */
  readonly warning?: string;
}

/** Roles and rights, for people. */
const RIGHTS =
  'Give the identity of Keyturn the role Key Vault Crypto User on the key, a role with the data actions Microsoft.KeyVault/vaults/keys/read and Microsoft.KeyVault/vaults/keys/sign/action, or get and sign in the access policy of the vault';

/**
 * Opens a key version as what signs evidence.
 * @throws UnusableKey when the vault does not show it, when it is of a type that signs no evidence, and when its operations lack `sign`
 */
export async function openVaultSigner(keys: SigningKeys, keyId: KeyId, now = new Date()): Promise<VaultSigner> {
  const found = await keys.read(keyId).catch((error: unknown) => {
    throw error instanceof AzureError ? new UnusableKey(unreadable(keyId, error), { cause: error }) : error;
  });
  const publicKey = publicKeyOf(found);
  const algorithm = publicKey && algorithmOf(publicKey);
  if (publicKey === undefined || algorithm === undefined) {
    const type = [found.keyType, found.curve].filter((word) => word !== undefined).join(' ');
    throw new UnusableKey(
      `${keyId.kid} is a key of the type ${type}, which signs no evidence. Name an EC key with the curve P-256, P-384 or P-521, or an RSA key with 2048 bits or more, in KEYTURN_EVIDENCE_KEY_ID.`,
    );
  }
  if (!found.operations.includes('sign')) {
    throw new UnusableKey(
      `${keyId.kid}, the key that signs evidence, does not permit the operation sign (key_ops: ${found.operations.join(', ') || 'none'}). Add it with az keyvault key set-attributes --ops, or name another key in KEYTURN_EVIDENCE_KEY_ID.`,
    );
  }
  const publicKeyDer = publicKey.export({ type: 'spki', format: 'der' });
  return {
    algorithm,
    keyId: keyIdOf(publicKeyDer),
    publicKeyDer,
    publicKeyPem: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    vaultKeyId: keyId.kid,
    warning: warningOf(keyId, found, now),
    sign: (bytes, options = {}) => signWith(keys, keyId, { publicKey, algorithm }, bytes, options),
  };
}

async function signWith(
  keys: SigningKeys,
  keyId: KeyId,
  { publicKey, algorithm }: { readonly publicKey: KeyObject; readonly algorithm: SignatureAlgorithm },
  bytes: Uint8Array,
  options: { readonly abortSignal?: AbortSignal },
): Promise<Uint8Array> {
  const facts = ALGORITHMS[algorithm];
  if (facts.keyType === 'ed25519') throw new Error('Key Vault has no keys of this type.');
  const digest = createHash(facts.hash).update(bytes).digest();
  const given = await keys
    .sign(keyId, algorithm as Exclude<typeof algorithm, 'Ed25519'>, digest, options)
    .catch((error: unknown) => {
      throw error instanceof AzureError ? unavailable(keyId, error) : error;
    });
  const signature = facts.keyType === 'ec' ? lowerForm(facts.curve, given) : given;
  // A proxy, or a vault that was made anew under its name: a signature that nobody can verify must not be sealed.
  if (signature === undefined || !verifySignature(publicKey, algorithm, bytes, signature)) {
    throw new SignerUnavailable(
      `${shortKeyId(keyId.kid)}, the key that signs evidence, gave a signature that does not fit the public key that its vault showed when the worker started. Nothing is lost: Keyturn tries again. Find out what answers for the vault, then start the worker again.`,
    );
  }
  return signature;
}

function publicKeyOf({ keyType, curve, publicKey: { n, e, x, y } }: VaultSigningKey): KeyObject | undefined {
  const kty = keyType.replace(/-HSM$/, '');
  try {
    if (kty === 'RSA') return createPublicKey({ key: { kty, n, e }, format: 'jwk' });
    if (kty === 'EC') return createPublicKey({ key: { kty, crv: curve, x, y }, format: 'jwk' });
  } catch {
    // A curve that OpenSSL has no JWK for, such as P-256K.
  }
  return undefined;
}

function warningOf(keyId: KeyId, { enabled, notBefore, expiresOn }: VaultSigningKey, now: Date): string | undefined {
  const why = !enabled
    ? 'is disabled'
    : expiresOn !== undefined && expiresOn <= now
      ? `expired at ${expiresOn.toISOString()}`
      : notBefore !== undefined && notBefore > now
        ? `is not valid before ${notBefore.toISOString()}`
        : undefined;
  if (why === undefined) return undefined;
  return `${keyId.kid}, the key that signs evidence, ${why}: evidence is not sealed until the vault signs with it.`;
}

function unreadable(keyId: KeyId, error: AzureError): string {
  const next =
    error.status === 403
      ? `${RIGHTS}, and start the worker again; a new role takes up to ten minutes to work.`
      : error.status === 404
        ? 'Correct KEYTURN_EVIDENCE_KEY_ID, or recover the key if it was deleted.'
        : 'Start the worker again when the vault answers.';
  return `The worker cannot read ${keyId.kid}, the key that signs evidence (KEYTURN_EVIDENCE_KEY_ID): ${firstLine(error)} ${codesOf(error)} ${next}`;
}

/** What each refusal means, and what to do. Inner codes of Key Vault. */
const REFUSALS: Readonly<Record<string, { readonly why: string; readonly next: string }>> = {
  KeyDisabled: { why: 'the key version is disabled', next: 'Enable it' },
  KeyExpired: { why: 'the key version has expired', next: 'Set a later expiry date' },
  KeyNotYetValid: { why: 'the key version is not valid yet', next: 'Set an earlier activation date' },
  KeyOperationForbidden: {
    why: 'the key does not permit the operation sign',
    next: 'Add sign to its permitted operations',
  },
  ForbiddenByRbac: { why: 'the identity of Keyturn has no role that lets it sign', next: RIGHTS },
  ForbiddenByPolicy: { why: 'the access policy does not let the identity of Keyturn sign', next: RIGHTS },
};

function unavailable(keyId: KeyId, error: AzureError): SignerUnavailable {
  const known = REFUSALS[error.innerCode ?? ''];
  const deleted = error.status === 404;
  const why = known?.why ?? (deleted ? 'the key or its vault is not there' : firstLine(error).replace(/\.$/, ''));
  const next = known?.next ?? (deleted ? 'Recover it' : undefined);
  const waits = 'Nothing is lost: Keyturn tries again until it is signed';
  const sentence = `Key Vault does not sign with ${shortKeyId(keyId.kid)}, the key that signs evidence: ${why}. ${waits}.`;
  return new SignerUnavailable(
    [sentence, ...(next === undefined ? [] : [`${next}.`]), codesOf(error)].join(' '),
    error instanceof TokenError ? undefined : error.retryAfterInMs,
    error,
  );
}

function firstLine({ message }: AzureError): string {
  return message.split('\n')[0]?.trim() ?? '';
}

function codesOf({ status, code, innerCode }: AzureError): string {
  const codes = innerCode === undefined ? code : `${code}/${innerCode}`;
  return `(${status === undefined ? '' : `HTTP ${status}, `}${codes})`;
}
