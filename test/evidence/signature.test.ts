/** Evidence of every kind of key, and what must not verify: above all an algorithm that the document chose. */
import { beforeAll, describe, expect, it } from '@jest/globals';
import { constants, createHash, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import {
  EvidenceRecord,
  renderEvidenceFile,
  renderEvidenceRecord,
  type SignatureAlgorithm,
} from '../../domain/evidence';
import { lowerForm, type Curve } from '../../evidence/ecdsa-form';
import { signEvidence } from '../../evidence/sign';
import { algorithmOf, verifySignature } from '../../evidence/signature';
import type { Signer } from '../../evidence/signer';
import { verifyEvidence } from '../../evidence/verify';
import { keyIdOf } from '../../trust/key-id';
import { refusedRecord } from '../support/evidence-record';

const PSS = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 };
const PAIRS = {
  Ed25519: generateKeyPairSync('ed25519'),
  ES256: generateKeyPairSync('ec', { namedCurve: 'prime256v1' }),
  ES384: generateKeyPairSync('ec', { namedCurve: 'secp384r1' }),
  ES512: generateKeyPairSync('ec', { namedCurve: 'secp521r1' }),
  PS256: generateKeyPairSync('rsa', { modulusLength: 2048 }),
} as const;
const ALGORITHMS = Object.keys(PAIRS) as SignatureAlgorithm[];

type Sign = (bytes: Uint8Array) => Buffer;

/** What signs as each algorithm says. */
const RIGHT: Record<SignatureAlgorithm, Sign> = {
  Ed25519: (bytes) => sign(null, bytes, PAIRS.Ed25519.privateKey),
  ES256: (bytes) => ecdsa('P-256', 'sha256', PAIRS.ES256.privateKey, bytes),
  ES384: (bytes) => ecdsa('P-384', 'sha384', PAIRS.ES384.privateKey, bytes),
  ES512: (bytes) => ecdsa('P-521', 'sha512', PAIRS.ES512.privateKey, bytes),
  PS256: (bytes) => sign('sha256', bytes, { key: PAIRS.PS256.privateKey, ...PSS }),
};

function ecdsa(curve: Curve, hash: string, key: KeyObject, bytes: Uint8Array): Buffer {
  const form = lowerForm(curve, sign(hash, bytes, { key, dsaEncoding: 'ieee-p1363' }));
  if (form === undefined) throw new Error('OpenSSL gave no signature of this curve.');
  return form;
}

/** A signer of these tests, which may say what is not so. */
function signerOf(publicKey: KeyObject, algorithm: SignatureAlgorithm, signs: Sign): Signer {
  const publicKeyDer = publicKey.export({ type: 'spki', format: 'der' });
  return {
    algorithm,
    keyId: keyIdOf(publicKeyDer),
    publicKeyDer,
    publicKeyPem: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    sign: (bytes) => Promise.resolve(signs(bytes)),
  };
}

const record = EvidenceRecord.omit({ signer: true }).parse({
  format: 'keyturn-evidence/3',
  sealedAt: '2026-01-01T00:00:02.000Z',
  ...refusedRecord(),
});
const sealed = (signer: Signer): Promise<Buffer> => signEvidence(record, signer);
const right = (algorithm: SignatureAlgorithm): Signer =>
  signerOf(PAIRS[algorithm].publicKey, algorithm, RIGHT[algorithm]);

describe.each(ALGORITHMS)('evidence that is signed with %s', (algorithm) => {
  let bytes: Buffer;
  beforeAll(async () => {
    bytes = await sealed(right(algorithm));
  });

  it('verifies with the public key, names its algorithm inside of what is signed, and not with another key', () => {
    const { publicKeyPem, keyId } = right(algorithm);
    expect(verifyEvidence(bytes, { publicKeyPem })).toMatchObject({
      ok: true,
      algorithm,
      keyId,
      record: { signer: { algorithm, keyId } },
    });
    const other = right(algorithm === 'PS256' ? 'ES256' : 'PS256');
    expect(verifyEvidence(bytes, { publicKeyPem: other.publicKeyPem })).toMatchObject({
      ok: false,
      why: expect.stringContaining('not with the key that was given'),
    });
  });

  it('fails for every changed byte', () => {
    const survivors: number[] = [];
    const changed = Buffer.from(bytes);
    for (let index = 0; index < bytes.length; index++) {
      for (const flip of [0x20, 1]) {
        changed[index] = (bytes[index] ?? 0) ^ flip;
        if (verifyEvidence(changed).ok) survivors.push(index);
      }
      changed[index] = bytes[index] ?? 0;
    }
    expect(survivors).toEqual([]);
  });

  it.each(ALGORITHMS.filter((name) => name !== algorithm))('fails when the document claims %s', async (claimed) => {
    const forged = await sealed({ ...right(algorithm), algorithm: claimed });
    expect(verifyEvidence(forged)).toMatchObject({
      ok: false,
      why: expect.stringContaining(`signs with ${algorithm}`),
    });
  });
});

describe('what is not accepted', () => {
  const fails = async (signer: Signer, why: string): Promise<void> =>
    expect(verifyEvidence(await sealed(signer))).toMatchObject({ ok: false, why: expect.stringContaining(why) });
  const notFitting = 'does not fit the record';

  it('an RSA signature with the padding of PKCS #1 v1.5, another salt or another hash', async () => {
    const { privateKey: key, publicKey } = PAIRS.PS256;
    const wrong: Sign[] = [
      (bytes) => sign('sha256', bytes, key),
      (bytes) => sign('sha256', bytes, { key, ...PSS, saltLength: 20 }),
      (bytes) => sign('sha512', bytes, { key, ...PSS, saltLength: 64 }),
    ];
    for (const signs of wrong) await fails(signerOf(publicKey, 'PS256', signs), notFitting);
  });

  it('an ECDSA signature in DER, with another hash, or with s in the upper half', async () => {
    const { privateKey: key, publicKey } = PAIRS.ES256;
    const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
    const turned: Sign = (bytes) => {
      const lower = RIGHT.ES256(bytes);
      const s = order - BigInt(`0x${lower.subarray(32).toString('hex')}`);
      return Buffer.concat([lower.subarray(0, 32), Buffer.from(s.toString(16).padStart(64, '0'), 'hex')]);
    };
    const wrong: Sign[] = [
      (bytes) => sign('sha256', bytes, { key, dsaEncoding: 'der' }),
      (bytes) => ecdsa('P-256', 'sha384', key, bytes),
      turned,
      () => Buffer.alloc(64),
      () => Buffer.alloc(0),
    ];
    for (const signs of wrong) await fails(signerOf(publicKey, 'ES256', signs), notFitting);
    // OpenSSL would take the one with s in the upper half: there are two of each signature.
    const { verify } = await import('node:crypto');
    const bytes = Buffer.from('x');
    expect(verify('sha256', bytes, { key: publicKey, dsaEncoding: 'ieee-p1363' }, turned(bytes))).toBe(true);
  });

  it('a key of a type that signs no evidence, whatever the document claims', async () => {
    const k1 = generateKeyPairSync('ec', { namedCurve: 'secp256k1' });
    const small = generateKeyPairSync('rsa', { modulusLength: 1024 });
    const pss = generateKeyPairSync('rsa-pss', { modulusLength: 2048 });
    const ed448 = generateKeyPairSync('ed448');
    const keys: [KeyObject, SignatureAlgorithm, Sign][] = [
      [k1.publicKey, 'ES256', (b) => sign('sha256', b, { key: k1.privateKey, dsaEncoding: 'ieee-p1363' })],
      [small.publicKey, 'PS256', (b) => sign('sha256', b, { key: small.privateKey, ...PSS })],
      [pss.publicKey, 'PS256', (b) => sign('sha256', b, { key: pss.privateKey, ...PSS })],
      [ed448.publicKey, 'Ed25519', (b) => sign(null, b, ed448.privateKey)],
    ];
    for (const [publicKey, algorithm, signs] of keys) {
      expect(algorithmOf(publicKey)).toBeUndefined();
      await fails(signerOf(publicKey, algorithm, signs), 'of no type that signs evidence');
    }
  });

  it('a public key as the secret of a MAC, which no algorithm here is', () => {
    const { publicKey } = PAIRS.ES256;
    const digest = createHash('sha256').update('x').digest();
    expect(verifySignature(publicKey, 'HS256', Buffer.from('x'), digest)).toBe(false);
    expect(verifySignature(publicKey, 'none', Buffer.from('x'), Buffer.alloc(0))).toBe(false);
  });

  it('a record that says another key signed it', () => {
    const { publicKeyDer, keyId, algorithm } = right('ES256');
    const foreign = { ...record, signer: { algorithm: 'PS256', keyId: right('PS256').keyId } };
    const value = RIGHT.ES256(Buffer.from(renderEvidenceRecord(foreign))).toString('base64');
    const signature = { algorithm, keyId, publicKey: publicKeyDer.toString('base64'), value };
    expect(verifyEvidence(Buffer.from(renderEvidenceFile({ record: foreign, signature })))).toMatchObject({
      ok: false,
      why: expect.stringContaining('another key did'),
    });
  });
});

it('evidence of earlier versions, whose record does not name its signer, stays valid', () => {
  const { publicKeyDer, keyId, algorithm, publicKeyPem } = right('Ed25519');
  const value = RIGHT.Ed25519(Buffer.from(renderEvidenceRecord(record))).toString('base64');
  const signature = { algorithm, keyId, publicKey: publicKeyDer.toString('base64'), value };
  const bytes = Buffer.from(renderEvidenceFile({ record, signature }));
  expect(verifyEvidence(bytes, { publicKeyPem })).toMatchObject({ ok: true, algorithm: 'Ed25519' });
});
