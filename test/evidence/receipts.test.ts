/** Receipts: what fits, and that nothing else does. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { generateKeyPairSync, sign } from 'node:crypto';
import type { Receipted, ReceiptSubject } from '../../domain/trust/receipts';
import { createReceiptVerifier, OF_EVIDENCE, signReceipt } from '../../evidence/receipts';
import type { Signer } from '../../evidence/signer';
import { keyIdOf } from '../../trust/key-id';
import { publicKeyOf, type PublicKeys } from '../../trust/public-keys';

const AT = '2026-01-02T03:04:05.000Z';
const SUBJECT: ReceiptSubject = { operationId: 'op-1', planDigest: 'sha256:ab', step: 'rotate.prove', key: null };
const FOUND = { secrets: 5, unproven: 0, bounds: { baselineRv: null, convergedRv: '200' }, absent: undefined };

function newSigner(): Signer {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const publicKeyDer = publicKey.export({ type: 'spki', format: 'der' });
  return {
    algorithm: 'Ed25519',
    keyId: keyIdOf(publicKeyDer),
    publicKeyDer,
    publicKeyPem: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    sign: (bytes) => Promise.resolve(sign(null, bytes, privateKey)),
  };
}

const keysOf = (...signers: Signer[]): PublicKeys =>
  new Map(signers.map(({ publicKeyPem }) => publicKeyOf(publicKeyPem, 'A signer', OF_EVIDENCE)));

describe('a receipt', () => {
  const signer = newSigner();
  const verifier = createReceiptVerifier(keysOf(signer));
  const signed = (found: object = FOUND): Promise<Receipted<object>> => signReceipt(signer, SUBJECT, found, () => AT);

  it('fits what was found, also after it went through JSON and in another order of members', async () => {
    const found = await signed();
    expect(found.receipt).toMatchObject({ at: AT, keyId: signer.keyId });
    const { receipt, ...rest } = JSON.parse(JSON.stringify(found)) as Receipted<object>;
    expect(verifier.fault(SUBJECT, found)).toBeUndefined();
    expect(verifier.fault(SUBJECT, { receipt, ...Object.fromEntries(Object.entries(rest).reverse()) })).toBeUndefined();
  });

  it.each<[string, Partial<ReceiptSubject>]>([
    ['operation', { operationId: 'op-2' }],
    ['plan', { planDigest: 'sha256:cd' }],
    ['step', { step: 'rotate.converge' }],
    ['key', { key: 'https://v.vault.azure.net/keys/k/1' }],
    ['step about no key', { key: undefined }],
  ])('fits no other %s', async (_what, other) => {
    expect(verifier.fault({ ...SUBJECT, ...other }, await signed())).toMatchObject({ code: 'OutputNotSigned' });
  });

  it('fits nothing else, at no other time', async () => {
    const found = await signed();
    await fc.assert(
      fc.asyncProperty(fc.jsonValue(), (value) => {
        fc.pre(JSON.stringify(value) !== '0');
        expect(verifier.fault(SUBJECT, { ...found, unproven: value } as object)).toMatchObject({
          detail: expect.stringContaining('somebody changed it') as unknown,
        });
        return Promise.resolve();
      }),
    );
    const later = { ...found, receipt: { ...found.receipt, at: '2026-01-02T03:05:05.000Z' } };
    expect(verifier.fault(SUBJECT, later)).toMatchObject({ code: 'OutputNotSigned' });
    expect(verifier.fault(SUBJECT, { ...found, more: 1 } as object)).toMatchObject({ code: 'OutputNotSigned' });
  });

  it('is missed where there is none', () => {
    expect(verifier.fault(SUBJECT, FOUND as object)).toMatchObject({
      detail: expect.stringContaining('is not signed') as unknown,
    });
  });

  it('is believed of an earlier key that is named, and of no other', async () => {
    const found = await signed();
    const next = newSigner();
    expect(createReceiptVerifier(keysOf(next)).fault(SUBJECT, found)).toMatchObject({
      detail: expect.stringContaining(signer.keyId) as unknown,
    });
    const both = createReceiptVerifier(keysOf(signer, next));
    expect(both.fault(SUBJECT, found)).toBeUndefined();
    const claimed = { ...found, receipt: { ...found.receipt, keyId: next.keyId } };
    expect(both.fault(SUBJECT, claimed)).toMatchObject({ code: 'OutputNotSigned' });
  });

  it('is verified with public keys only', () => {
    const { privateKey } = generateKeyPairSync('ed25519');
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    for (const text of [pem, 'nothing'])
      expect(() => publicKeyOf(text, 'earlier.pem', OF_EVIDENCE)).toThrow('earlier.pem does not hold a public key');
    const { publicKey } = generateKeyPairSync('x25519');
    const other = publicKey.export({ type: 'spki', format: 'pem' }).toString();
    expect(() => publicKeyOf(other, 'earlier.pem', OF_EVIDENCE)).toThrow(
      'earlier.pem holds a key of the type x25519, which is not a public key of evidence',
    );
  });
});
