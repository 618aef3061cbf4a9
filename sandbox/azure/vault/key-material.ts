/** What a key is made of, by its type: asked for, and made. */
import { generateEcKey, type Curve, type EcKey } from './ec';
import { generateRsaKey, type RsaKey } from './rsa';

/** The type of a key that is to be made. */
export type KeyKind =
  { readonly type: 'RSA'; readonly sizeInBits: number } | { readonly type: 'EC'; readonly curve: Curve };

/** A key pair and its type. */
export type KeyMaterial = (Extract<KeyKind, { type: 'RSA' }> & RsaKey) | (Extract<KeyKind, { type: 'EC' }> & EcKey);

/** Makes a key pair. */
export async function generateKey(kind: KeyKind): Promise<KeyMaterial> {
  return kind.type === 'RSA'
    ? { ...kind, ...(await generateRsaKey(kind.sizeInBits)) }
    : { ...kind, ...(await generateEcKey(kind.curve)) };
}

/** The type without the key pair. */
export function kindOf(material: KeyMaterial): KeyKind {
  return material.type === 'RSA'
    ? { type: 'RSA', sizeInBits: material.sizeInBits }
    : { type: 'EC', curve: material.curve };
}
