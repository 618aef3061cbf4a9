/** What teams keep in vaults of the sandbox for their pods: a secret, a key, a certificate. */
import { z } from 'zod';
import type { AzureRequest } from './azure-client';

const API_VERSION = '7.4';
const Stored = z.object({ id: z.string() });
const Pending = z.object({ status: z.string() });

/** `az keyvault secret set`. @returns the version */
export async function setSecret(
  request: AzureRequest,
  vaultUrl: string,
  secret: { readonly name: string; readonly value: string },
): Promise<string> {
  const url = `${vaultUrl}/secrets/${secret.name}?api-version=${API_VERSION}`;
  return (
    Stored.parse((await request('PUT', url, { value: secret.value })).body)
      .id.split('/')
      .at(-1) ?? ''
  );
}

/** `az keyvault certificate create`, self-signed; resolves when the vault has issued it. */
export async function makeCertificate(request: AzureRequest, vaultUrl: string, name: string): Promise<void> {
  const at = (path: string): string => `${vaultUrl}/certificates/${name}/${path}?api-version=${API_VERSION}`;
  await request('POST', at('create'), {
    policy: {
      issuer: { name: 'Self' },
      key_props: { exportable: true, kty: 'RSA', key_size: 2048, reuse_key: false },
      secret_props: { contentType: 'application/x-pem-file' },
      x509_props: { subject: `CN=${name}.test`, validity_months: 12 },
    },
  });
  while (Pending.parse((await request('GET', at('pending'))).body).status !== 'completed');
}
