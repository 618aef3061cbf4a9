/** The public key of service account tokens, as kube-apiserver publishes it at /openid/v1/jwks. */
import { createHash, createPublicKey } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { TokenKey } from './contract';

/** @param file the value of `--service-account-key-file`: one RSA key, PEM */
export async function readTokenKey(file: string): Promise<TokenKey> {
  const key = createPublicKey(await readFile(file));
  const { kty = '', n = '', e = '' } = key.export({ format: 'jwk' });
  // As in kubernetes pkg/serviceaccount/jwt.go, keyIDFromPublicKey.
  const kid = createHash('sha256')
    .update(key.export({ format: 'der', type: 'spki' }))
    .digest('base64url');
  return { kty, n, e, kid, use: 'sig', alg: 'RS256' };
}
