/** The key that signs evidence in a vault: the real SDK against the sandbox's Key Vault. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createPublicKey } from 'node:crypto';
import type { KeyClient, KeyVaultKey } from '@azure/keyvault-keys';
import { createHttpClient } from '../../azure/http-client';
import { createSigningKeys, type SigningKeys } from '../../azure/signing-keys';
import { mustParseKeyId } from '../../domain/resource-ids';
import { verifySignature } from '../../evidence/signature';
import { SignerUnavailable, UnusableKey } from '../../evidence/signer';
import { openVaultSigner, type VaultSigner } from '../../evidence/vault-signer';
import { TestAzure } from '../sandbox/azure-support';

const CRYPTO_USER = '12338af0-0e69-4776-bea7-57ae8d297424';
const BYTES = Buffer.from('what is signed');

describe('the key in a vault that signs evidence', () => {
  let azure: TestAzure;
  let keys: KeyClient;
  let signing: SigningKeys;
  const vault = 'kv-evidence-1';
  beforeAll(async () => {
    azure = await TestAzure.start();
    const { vaultId } = await azure.provision(vault);
    await azure.grant(vaultId, CRYPTO_USER, azure.sandbox.clientObjectId);
    keys = azure.keys(vault);
    signing = createSigningKeys(azure.credential, createHttpClient());
  });
  afterAll(() => azure.stop());

  const open = ({ id = '' }: KeyVaultKey): Promise<VaultSigner> => openVaultSigner(signing, mustParseKeyId(id));
  const refusal = (work: Promise<unknown>): Promise<unknown> =>
    work.then(
      () => 'nothing was refused',
      (error: unknown) => error,
    );

  it.each([
    ['P-256', 'ES256'],
    ['P-384', 'ES384'],
    ['P-521', 'ES512'],
  ] as const)('may be an EC key with the curve %s: %s', async (curve, algorithm) => {
    const key = await keys.createEcKey(`ec-${curve}`, { curve });
    const signer = await open(key);
    expect(signer).toMatchObject({ algorithm, vaultKeyId: key.id, warning: undefined });
    const publicKey = createPublicKey(signer.publicKeyPem);
    // ECDSA is random: half of what a vault gives has s in the upper half, and is turned over.
    for (let round = 0; round < 10; round++) {
      const signature = await signer.sign(BYTES);
      expect(verifySignature(publicKey, algorithm, BYTES, signature)).toBe(true);
      expect(verifySignature(publicKey, algorithm, Buffer.from('else'), signature)).toBe(false);
    }
  });

  it('may be an RSA key: PS256', async () => {
    const signer = await open(await keys.createRsaKey('rsa', { keySize: 3072 }));
    expect(signer.algorithm).toBe('PS256');
    const signature = await signer.sign(BYTES);
    expect(verifySignature(createPublicKey(signer.publicKeyPem), 'PS256', BYTES, signature)).toBe(true);
  });

  it('is refused at the start when it cannot sign evidence at all', async () => {
    const k1 = await refusal(open(await keys.createEcKey('k1', { curve: 'P-256K' })));
    expect(k1).toBeInstanceOf(UnusableKey);
    expect(k1).toMatchObject({ message: expect.stringContaining('is a key of the type EC P-256K') });
    const noSign = await refusal(open(await keys.createRsaKey('no-sign', { keyOps: ['encrypt', 'decrypt'] })));
    expect(noSign).toBeInstanceOf(UnusableKey);
    expect(noSign).toMatchObject({
      message: expect.stringContaining('does not permit the operation sign (key_ops: encrypt, decrypt)'),
    });
    const absent = `https://${vault}.vault.azure.net/keys/absent/${'0'.repeat(32)}`;
    const missing = await refusal(openVaultSigner(signing, mustParseKeyId(absent)));
    expect(missing).toBeInstanceOf(UnusableKey);
    expect(missing).toMatchObject({ message: expect.stringContaining('KeyNotFound') });
  });

  it('is refused at the start when Keyturn may not read it, with the role that it needs', async () => {
    azure.sandbox.faults.set('vault-forbidden', { permission: 'get', path: vault });
    const refused = await refusal(open(await keys.createEcKey('unread')));
    azure.sandbox.faults.clear('vault-forbidden');
    expect(refused).toBeInstanceOf(UnusableKey);
    expect(refused).toMatchObject({ message: expect.stringMatching(/ForbiddenByRbac.*Key Vault Crypto User/) });
  });

  it('is waited for while the version is disabled, expired or not permitted to sign, and signs when that has ended', async () => {
    const key = await keys.createEcKey('waits');
    const signer = await open(key);
    const past = new Date(Date.now() - 60_000);
    const states = [
      [{ enabled: false }, { enabled: true }, 'the key version is disabled', 'KeyDisabled'],
      [{ expiresOn: past }, { expiresOn: new Date(Date.now() + 3_600_000) }, 'has expired', 'KeyExpired'],
      [{ keyOps: ['verify'] }, { keyOps: ['sign', 'verify'] }, 'does not permit', 'KeyOperationForbidden'],
    ] as const;
    for (const [broken, mended, why, code] of states) {
      await keys.updateKeyProperties('waits', broken as object);
      const error = await refusal(signer.sign(BYTES));
      expect(error).toBeInstanceOf(SignerUnavailable);
      expect(error).toMatchObject({ message: expect.stringContaining(why) });
      expect(error).toMatchObject({ message: expect.stringContaining(code) });
      await keys.updateKeyProperties('waits', mended as object);
      expect(await signer.sign(BYTES)).toHaveLength(64);
    }
  });

  it('opens while it is disabled or expired, with a warning', async () => {
    const disabled = await open(await keys.createEcKey('off', { enabled: false }));
    expect(disabled.warning).toContain('is disabled: evidence is not sealed until');
    const expired = await open(await keys.createEcKey('old', { expiresOn: new Date(Date.now() - 60_000) }));
    expect(expired.warning).toContain('expired at');
  });

  it('is waited for while it is deleted, and while its vault does not answer', async () => {
    const signer = await open(await keys.createEcKey('gone'));
    await (await keys.beginDeleteKey('gone', { intervalInMs: 5 })).pollUntilDone();
    const deleted = await refusal(signer.sign(BYTES));
    expect(deleted).toBeInstanceOf(SignerUnavailable);
    expect(deleted).toMatchObject({ message: expect.stringMatching(/is not there\..*Recover it\./) });
    const nowhere = createSigningKeys(azure.credential, createHttpClient());
    const shut: SigningKeys = {
      read: nowhere.read,
      sign: (keyId, ...rest) => nowhere.sign({ ...keyId, kid: keyId.kid.replace(vault, 'kv-nowhere') }, ...rest),
    };
    const other = await openVaultSigner(shut, mustParseKeyId((await keys.createEcKey('there')).id ?? ''));
    const unreached = await refusal(other.sign(BYTES));
    expect(unreached).toBeInstanceOf(SignerUnavailable);
    expect(unreached).toMatchObject({ message: expect.stringContaining('Nothing is lost') });
  });

  it('seals nothing that its public key does not verify', async () => {
    const [one, other] = [await keys.createEcKey('one'), await keys.createEcKey('other')];
    const swapped: SigningKeys = {
      read: signing.read,
      sign: (_keyId, ...rest) => signing.sign(mustParseKeyId(other.id ?? ''), ...rest),
    };
    const signer = await openVaultSigner(swapped, mustParseKeyId(one.id ?? ''));
    const refused = await refusal(signer.sign(BYTES));
    expect(refused).toBeInstanceOf(SignerUnavailable);
    expect(refused).toMatchObject({ message: expect.stringContaining('does not fit the public key') });
  });
});
