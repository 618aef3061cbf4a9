/** What the provider makes of the objects of a vault: keys, certificates and secrets as the bytes of files. Pure. */
import { createPublicKey } from 'node:crypto';
import { readPfx } from '../../pfx';
import { isJsonObject, type JsonObject } from './json';

/** The public key of a KeyBundle, as PEM. @throws Error for what is no RSA key */
export function keyContent(bundle: JsonObject): string {
  const key = isJsonObject(bundle['key']) ? bundle['key'] : {};
  const { kty, n, e } = key as Record<string, string>;
  if (kty !== 'RSA' && kty !== 'RSA-HSM')
    throw new Error(`failed to get key. key type '${kty}' currently not supported`);
  return createPublicKey({ key: { kty: 'RSA', n, e }, format: 'jwk' })
    .export({ format: 'pem', type: 'spki' })
    .toString();
}

/** The certificate of a CertificateBundle, as PEM: the leaf, without its chain. */
export function certificateContent(bundle: JsonObject): string {
  return pemBlock('CERTIFICATE', Buffer.from(String(bundle['cer']), 'base64'));
}

/** The value of a SecretBundle. That of a certificate is key and chain, as PEM unless PFX is asked for. */
export function secretContent(bundle: JsonObject, objectFormat: string): string {
  const value = String(bundle['value']);
  const contentType = String(bundle['contentType']);
  if (typeof bundle['kid'] !== 'string' || contentType === 'application/x-pem-file') return value;
  if (contentType !== 'application/x-pkcs12') {
    throw new Error(`failed to get certificate. unknown content type '${contentType}'`);
  }
  if (objectFormat.toLowerCase() === 'pfx') return value;
  const { key, chain } = readPfx(Buffer.from(value, 'base64'));
  return [pemBlock('PRIVATE KEY', key), ...chain.map((cert) => pemBlock('CERTIFICATE', cert))].join('');
}

/** The bytes of a secret whose value is encoded. @throws Error in Go's words when it is not encoded so */
export function decoded(content: string, objectEncoding: string): Buffer {
  switch (objectEncoding.toLowerCase()) {
    case 'base64': {
      const text = content.replaceAll(/[\r\n]/g, '');
      const wrong = text.search(/[^A-Za-z0-9+/=]|=(?!=?$)/);
      if (wrong >= 0 || text.length % 4 !== 0) {
        throw new Error(`illegal base64 data at input byte ${wrong >= 0 ? wrong : text.length - (text.length % 4)}`);
      }
      return Buffer.from(text, 'base64');
    }
    case 'hex': {
      const wrong = /[^0-9A-Fa-f]/.exec(content)?.[0];
      if (wrong !== undefined) {
        const point = (wrong.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0');
        throw new Error(`encoding/hex: invalid byte: U+${point} '${wrong}'`);
      }
      if (content.length % 2 !== 0) throw new Error('encoding/hex: odd length hex string');
      return Buffer.from(content, 'hex');
    }
    default:
      return Buffer.from(content);
  }
}

/** A PEM block with lines of 64 characters. */
export function pemBlock(type: string, content: Buffer): string {
  const lines = content.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${type}-----\n${lines.join('\n')}\n-----END ${type}-----\n`;
}
