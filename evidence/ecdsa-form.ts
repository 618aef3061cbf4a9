/**
 * The one form that an ECDSA signature has here: r and s one after the other (IEEE P1363), and s in the lower half.
 *
 * Why: of every ECDSA signature, anybody can make a second one that fits as well (order - s). Evidence has one valid form of each
 * byte, so the upper half is not accepted, and what signs turns it over. DER is not accepted either.
 */

/** Orders of the groups. Source: SEC 2. */
const ORDERS = {
  'P-256': 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
  'P-384': 0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n,
  'P-521':
    0x01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409n,
} as const;

/** A curve, by the name that JWK has for it. */
export type Curve = keyof typeof ORDERS;

/** The same signature with s in the lower half. @returns undefined when these are no r and s of the curve */
export function lowerForm(curve: Curve, signature: Uint8Array): Buffer | undefined {
  const order = ORDERS[curve];
  const length = Math.ceil(order.toString(16).length / 2);
  if (signature.length !== length * 2) return undefined;
  const s = BigInt(`0x${Buffer.from(signature.subarray(length)).toString('hex')}`);
  if (s >= order) return undefined;
  const lower = s > order / 2n ? order - s : s;
  return Buffer.concat([
    signature.subarray(0, length),
    Buffer.from(lower.toString(16).padStart(length * 2, '0'), 'hex'),
  ]);
}

/** Whether a signature is in the one form that is accepted. */
export function isLowerForm(curve: Curve, signature: Uint8Array): boolean {
  return lowerForm(curve, signature)?.equals(signature) === true;
}
