/**
 * PKCS #12 files (RFC 7292) without a password, as Key Vault gives a certificate with its key.
 *
 * Needs: node:crypto.
 * Does: packs a private key and a chain, the key under 3DES and the whole under a MAC, both of the empty password; unpacks
 *       files of that kind.
 * Never does: read files of other ciphers or with a password.
 */
import { createCipheriv, createDecipheriv, createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { der, explicit, integer, octets, oid, readDer, sequence, TAGS, type DerNode } from './der';

const DATA = '1.2.840.113549.1.7.1';
const SHA1 = '1.3.14.3.2.26';
const PBE_SHA1_3DES = '1.2.840.113549.1.12.1.3';
const SHROUDED_KEY_BAG = '1.2.840.113549.1.12.10.1.2';
const CERT_BAG = '1.2.840.113549.1.12.10.1.3';
const X509_CERTIFICATE = '1.2.840.113549.1.9.22.1';
const ITERATIONS = 2000;
/** SHA-1's sizes in PKCS #12's key derivation, in bytes. */
const [HASH_SIZE, BLOCK_SIZE] = [20, 64];
/** The empty password as a BMPString: its terminating zero. */
const EMPTY_PASSWORD = Buffer.from([0, 0]);
/** What a derived value is for. */
const [FOR_KEY, FOR_IV, FOR_MAC] = [1, 2, 3];

/** A private key and its certificates, all DER; the key is PKCS #8, the first certificate is its own. */
export interface KeyAndChain {
  readonly key: Buffer;
  readonly chain: readonly Buffer[];
}

/** Packs a key and its chain. */
export function writePfx({ key, chain }: KeyAndChain): Buffer {
  const certBags = chain.map((cert) => bag(CERT_BAG, sequence(oid(X509_CERTIFICATE), explicit(octets(cert)))));
  const salt = randomBytes(8);
  const cipher = createCipheriv('des-ede3-cbc', derive(salt, FOR_KEY, 24), derive(salt, FOR_IV, 8));
  const sealed = Buffer.concat([cipher.update(key), cipher.final()]);
  const algorithm = sequence(oid(PBE_SHA1_3DES), sequence(octets(salt), integer(ITERATIONS)));
  const keyBag = bag(SHROUDED_KEY_BAG, sequence(algorithm, octets(sealed)));

  const safe = sequence(contentInfo(sequence(...certBags)), contentInfo(sequence(keyBag)));
  const macSalt = randomBytes(8);
  const digestInfo = sequence(sequence(oid(SHA1), der(TAGS.nil)), octets(macOf(safe, macSalt, ITERATIONS)));
  return sequence(integer(3), contentInfo(safe), sequence(digestInfo, octets(macSalt), integer(ITERATIONS)));
}

/** Unpacks a file. @throws Error when it is of another kind, or needs a password */
export function readPfx(bytes: Buffer): KeyAndChain {
  const [, authSafe, macData] = readDer(bytes).children;
  const safe = contentOf(authSafe);
  const [digestInfo, macSalt, iterations] = macData?.children ?? [];
  const expected = digestInfo?.children[1]?.content ?? Buffer.alloc(0);
  const actual = macOf(safe, need(macSalt).content, numberOf(need(iterations)));
  if (expected.length !== actual.length || !timingSafeEqual(expected, actual)) {
    throw new Error('pkcs12: decryption password incorrect');
  }
  const bags = readDer(safe).children.flatMap((info) => readDer(contentOf(info)).children);
  // CertBag ::= SEQUENCE { certId, certValue [0] EXPLICIT OCTET STRING }
  const chain = ofKind(bags, CERT_BAG).map((value) => need(value.children[1]?.children[0]).content);
  const [shrouded] = ofKind(bags, SHROUDED_KEY_BAG);
  return { key: unshroud(need(shrouded)), chain };
}

function unshroud(value: DerNode): Buffer {
  const [algorithm, sealed] = value.children;
  const [id, parameters] = need(algorithm).children;
  if (!oid(PBE_SHA1_3DES).subarray(2).equals(need(id).content)) throw new Error('pkcs12: unknown cipher');
  const salt = need(parameters?.children[0]).content;
  const rounds = numberOf(need(parameters?.children[1]));
  const decipher = createDecipheriv('des-ede3-cbc', derive(salt, FOR_KEY, 24, rounds), derive(salt, FOR_IV, 8, rounds));
  return Buffer.concat([decipher.update(need(sealed).content), decipher.final()]);
}

function bag(id: string, value: Buffer): Buffer {
  return sequence(oid(id), explicit(value));
}

function contentInfo(content: Buffer): Buffer {
  return sequence(oid(DATA), explicit(octets(content)));
}

function contentOf(info: DerNode | undefined): Buffer {
  return need(info?.children[1]?.children[0]).content;
}

function ofKind(bags: readonly DerNode[], id: string): readonly DerNode[] {
  const wanted = oid(id).subarray(2);
  return bags
    .filter(({ children }) => children[0] !== undefined && wanted.equals(children[0].content))
    .map(({ children }) => need(children[1]?.children[0]));
}

function macOf(content: Buffer, salt: Buffer, iterations: number): Buffer {
  return createHmac('sha1', derive(salt, FOR_MAC, HASH_SIZE, iterations))
    .update(content)
    .digest();
}

/** RFC 7292, appendix B.2, for the empty password. */
function derive(salt: Buffer, purpose: number, size: number, iterations = ITERATIONS): Buffer {
  const diversifier = Buffer.alloc(BLOCK_SIZE, purpose);
  let input = Buffer.concat([stretched(salt), stretched(EMPTY_PASSWORD)]);
  const parts: Buffer[] = [];
  for (let made = 0; made < size; made += HASH_SIZE) {
    let hash = createHash('sha1').update(diversifier).update(input).digest();
    for (let round = 1; round < iterations; round++) hash = createHash('sha1').update(hash).digest();
    parts.push(hash);
    const addend = BigInt(`0x${repeated(hash, BLOCK_SIZE).toString('hex')}`) + 1n;
    input = Buffer.concat(
      Array.from({ length: input.length / BLOCK_SIZE }, (_, index) => {
        const block = input.subarray(index * BLOCK_SIZE, (index + 1) * BLOCK_SIZE);
        const sum = BigInt.asUintN(BLOCK_SIZE * 8, BigInt(`0x${block.toString('hex')}`) + addend);
        return Buffer.from(sum.toString(16).padStart(BLOCK_SIZE * 2, '0'), 'hex');
      }),
    );
  }
  return Buffer.concat(parts).subarray(0, size);
}

function stretched(bytes: Buffer): Buffer {
  return repeated(bytes, Math.ceil(bytes.length / BLOCK_SIZE) * BLOCK_SIZE);
}

function repeated(bytes: Buffer, size: number): Buffer {
  return Buffer.alloc(size, bytes);
}

function numberOf({ content }: DerNode): number {
  return content.readUIntBE(0, content.length);
}

function need<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('pkcs12: this is no PKCS #12 file of the kind that Key Vault gives');
  return value;
}
