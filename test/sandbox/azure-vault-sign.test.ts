import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { constants, createHash, createPublicKey, verify, type JsonWebKey, type KeyObject } from 'node:crypto';
import { CryptographyClient, type KeyClient, type KeyVaultKey } from '@azure/keyvault-keys';
import { GROUP, TestAzure, type RawAnswer } from './azure-support';

const CRYPTO_USER = '12338af0-0e69-4776-bea7-57ae8d297424';
const READER = '21090545-7ca7-4776-b22c-e363652d74d2';
const DATA = Buffer.from('what is signed');

describe("the sign operation of the sandbox's Key Vault", () => {
  let azure: TestAzure;
  let keys: KeyClient;
  let vaultId: string;
  const vault = 'kv-sign-1';

  beforeAll(async () => {
    azure = await TestAzure.start();
    ({ vaultId } = await azure.provision(vault));
    await azure.grant(vaultId, CRYPTO_USER, azure.sandbox.clientObjectId);
    keys = azure.keys(vault);
  });
  afterAll(() => azure.stop());

  const digest = (hash: string): Buffer => createHash(hash).update(DATA).digest();
  const post = (key: KeyVaultKey, alg: string, value: Buffer, token?: string): Promise<RawAnswer> =>
    azure.vault('POST', vault, `/keys/${key.name}/${String(key.properties.version)}/sign`, {
      token,
      body: { alg, value: value.toString('base64url') },
    });
  const errorOf = ({ status, body }: RawAnswer): unknown => ({ status, ...(body['error'] as object) });
  const publicKeyOf = async (key: KeyVaultKey): Promise<KeyObject> => {
    const shown = await azure.vault('GET', vault, `/keys/${key.name}/${String(key.properties.version)}`);
    return createPublicKey({ key: shown.body['key'] as JsonWebKey, format: 'jwk' });
  };

  it.each([
    ['P-256', 'ES256', 'sha256', 64],
    ['P-384', 'ES384', 'sha384', 96],
    ['P-521', 'ES512', 'sha512', 132],
  ] as const)('signs with a key of the curve %s by %s, and OpenSSL verifies', async (curve, alg, hash, length) => {
    const key = await keys.createEcKey(`ec-${curve}`, { curve });
    expect(key.key).toMatchObject({ kty: 'EC', crv: curve });
    expect(key.keyOperations).toEqual(['sign', 'verify']);
    const client = new CryptographyClient(key, azure.credential);
    const publicKey = await publicKeyOf(key);
    // Often: r, s or a coordinate with a leading zero comes once in some hundred.
    for (let round = 0; round < 20; round++) {
      const { result } = await client.sign(alg, digest(hash));
      expect(result).toHaveLength(length);
      expect(verify(hash, DATA, { key: publicKey, dsaEncoding: 'ieee-p1363' }, result)).toBe(true);
      expect(verify(hash, Buffer.from('else'), { key: publicKey, dsaEncoding: 'ieee-p1363' }, result)).toBe(false);
    }
  });

  it.each([2048, 3072])(
    'signs with an RSA key of %s bits by PS256 and RS256, and OpenSSL verifies',
    async (keySize) => {
      const key = await keys.createRsaKey(`rsa-${keySize}`, { keySize });
      const publicKey = await publicKeyOf(key);
      for (const [alg, padding] of [
        ['PS256', { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }],
        ['RS256', { padding: constants.RSA_PKCS1_PADDING }],
      ] as const) {
        const { body } = await post(key, alg, digest('sha256'));
        expect(body['kid']).toBe(key.id);
        const signature = Buffer.from(String(body['value']), 'base64url');
        expect(verify('sha256', DATA, { key: publicKey, ...padding }, signature)).toBe(true);
      }
    },
  );

  it('refuses an algorithm that does not fit the key, and a digest that does not fit the algorithm', async () => {
    const ec = await keys.createEcKey('fits-ec', { curve: 'P-256K' });
    const rsa = await keys.createRsaKey('fits-rsa');
    expect(errorOf(await post(ec, 'ES256', digest('sha256')))).toEqual({
      status: 400,
      code: 'BadParameter',
      message: `Key and signing algorithm are incompatible. Key ${ec.id} uses curve 'P-256K', and algorithm 'ES256' can only be used with curve 'P-256'.`,
    });
    for (const answer of [await post(ec, 'PS256', digest('sha256')), await post(rsa, 'ES256', digest('sha256'))]) {
      expect(errorOf(answer)).toMatchObject({
        code: 'BadParameter',
        message: expect.stringMatching(/^Key and signing algorithm are incompatible\./),
      });
    }
    expect(errorOf(await post(rsa, 'PS256', digest('sha512')))).toEqual({
      status: 400,
      code: 'BadParameter',
      message: "Invalid length of 'value': 64 bytes. PS256 requires 32 bytes, encoded with base64url.",
    });
    expect(errorOf(await post(rsa, 'PS257', digest('sha256')))).toMatchObject({ status: 400, code: 'BadParameter' });
  });

  it('refuses with a disabled, an expired, and a not yet valid version, and where key_ops lack sign', async () => {
    const disabled = await keys.createEcKey('disabled', { enabled: false });
    const expired = await keys.createEcKey('expired', { expiresOn: new Date(Date.now() - 60_000) });
    const early = await keys.createEcKey('early', { notBefore: new Date(Date.now() + 3_600_000) });
    const other = await keys.createRsaKey('no-sign', { keyOps: ['encrypt', 'decrypt'] });
    const refused = (innererror: string, message: string): unknown => ({
      status: 403,
      code: 'Forbidden',
      message,
      innererror: { code: innererror },
    });
    expect(errorOf(await post(disabled, 'ES256', digest('sha256')))).toEqual(
      refused('KeyDisabled', 'Operation sign is not allowed on a disabled key.'),
    );
    expect(errorOf(await post(expired, 'ES256', digest('sha256')))).toEqual(
      refused('KeyExpired', 'Operation sign is not allowed on an expired key.'),
    );
    expect(errorOf(await post(early, 'ES256', digest('sha256')))).toMatchObject({
      innererror: { code: 'KeyNotYetValid' },
    });
    expect(errorOf(await post(other, 'PS256', digest('sha256')))).toEqual(
      refused('KeyOperationForbidden', 'Operation sign is not permitted on this key.'),
    );
  });

  it('refuses a caller without the role, the administrator of the sandbox too, until it is granted', async () => {
    const guarded = 'kv-sign-2';
    const { vaultId: id } = await azure.provision(guarded);
    const key = await azure.keys(guarded).createEcKey('guarded');
    const client = new CryptographyClient(key, azure.credential);
    const action = "Action: 'Microsoft.KeyVault/vaults/keys/sign/action'";
    await azure.grant(id, READER, azure.sandbox.clientObjectId);
    await expect(client.sign('ES256', digest('sha256'))).rejects.toMatchObject({
      statusCode: 403,
      message: expect.stringContaining(action),
    });
    await azure.grant(`${id}/keys/guarded`, CRYPTO_USER, azure.sandbox.clientObjectId);
    expect((await client.sign('ES256', digest('sha256'))).result).toHaveLength(64);
  });

  it('refuses by access policy without the word sign', async () => {
    const policyVault = 'kv-sign-policy';
    await azure.vaults.vaults.createOrUpdate(GROUP, policyVault, {
      location: 'westeurope',
      properties: {
        tenantId: azure.sandbox.tenantId,
        sku: { family: 'A', name: 'standard' },
        enableRbacAuthorization: false,
        accessPolicies: [],
      },
    });
    const key = await azure.keys(policyVault).createEcKey('k');
    const client = new CryptographyClient(key, azure.credential);
    await expect(client.sign('ES256', digest('sha256'))).rejects.toMatchObject({
      message: expect.stringContaining(`does not have keys sign permission on key vault '${policyVault};`),
    });
    const { clientObjectId: objectId, tenantId } = azure.sandbox;
    await azure.vaults.vaults.updateAccessPolicy(GROUP, policyVault, 'add', {
      properties: { accessPolicies: [{ tenantId, objectId, permissions: { keys: ['sign'] } }] },
    });
    expect((await client.sign('ES256', digest('sha256'))).result).toHaveLength(64);
  });
});
