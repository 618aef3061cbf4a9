/**
 * Elliptic curve keys as Key Vault has them.
 *
 * Needs: OpenSSL through node:crypto.
 * Does: generates keys, and signs digests with ECDSA. Signatures are r and s one after the other, as in JWS.
 * Never does: know about permissions, versions or expiry, or take care of timing: the sandbox's keys protect nothing.
 */
import { createECDH, generateKeyPair as generateKeyPairCallback, randomBytes, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';

const generateKeyPair = promisify(generateKeyPairCallback);

/** The curves of Key Vault by its names, with OpenSSL's name and the order of the group (SEC 2). */
export const CURVES = {
  'P-256': {
    openssl: 'prime256v1',
    order: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
  },
  'P-256K': {
    openssl: 'secp256k1',
    order: 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n,
  },
  'P-384': {
    openssl: 'secp384r1',
    order: 0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n,
  },
  'P-521': {
    openssl: 'secp521r1',
    order:
      0x01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409n,
  },
} as const;

/** A curve, by Key Vault's name. */
export type Curve = keyof typeof CURVES;

/** An EC key pair. */
export interface EcKey {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

/** Makes a key pair. */
export async function generateEcKey(curve: Curve): Promise<EcKey> {
  return generateKeyPair('ec', { namedCurve: CURVES[curve].openssl });
}

/**
 * ECDSA over a digest, FIPS 186-5 section 6.4.1. By hand, since Node signs data only, and hashes it itself.
 * @returns r and s, each as long as a coordinate
 */
export function ecdsaSign(curve: Curve, key: EcKey, digest: Uint8Array): Buffer {
  const { openssl, order } = CURVES[curve];
  const bits = order.toString(2).length;
  const length = Math.ceil(bits / 8);
  const secret = toNumber(Buffer.from(key.privateKey.export({ format: 'jwk' }).d ?? '', 'base64url'));
  const excess = Math.max(0, digest.length * 8 - bits);
  const e = toNumber(digest) >> BigInt(excess);
  for (;;) {
    const nonce = toNumber(randomBytes(length + 8)) % order;
    if (nonce === 0n) continue;
    const r = multiplied(openssl, nonce, length) % order;
    const s = (inverse(nonce, order) * ((e + r * secret) % order)) % order;
    if (r !== 0n && s !== 0n) return Buffer.concat([toBytes(r, length), toBytes(s, length)]);
  }
}

/** The first coordinate of a multiple of the curve's generator. */
function multiplied(openssl: string, factor: bigint, length: number): bigint {
  const ecdh = createECDH(openssl);
  ecdh.setPrivateKey(toBytes(factor, length));
  return toNumber(ecdh.getPublicKey().subarray(1, 1 + length));
}

function inverse(value: bigint, modulus: bigint): bigint {
  let [a, b, x, y] = [value % modulus, modulus, 1n, 0n];
  while (a > 1n) {
    const quotient = b / a;
    [a, b, x, y] = [b - quotient * a, a, y - quotient * x, x];
  }
  return ((x % modulus) + modulus) % modulus;
}

function toNumber(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).toString('hex') || '0'}`);
}

function toBytes(value: bigint, length: number): Buffer {
  return Buffer.from(value.toString(16).padStart(length * 2, '0'), 'hex');
}
