/** Whether a cluster has SecretProviderClasses: AKS asks this before it disables the add-on that serves them. */
import { z } from 'zod';
import { createApiClient, type ApiCredentials } from './api-client';

const PATH = '/apis/secrets-store.csi.x-k8s.io/v1/secretproviderclasses';
const listSchema = z.object({ items: z.array(z.unknown()) });

/** How many there are in all namespaces; 0 without their CustomResourceDefinition. @throws Error when no API server answers */
export async function countSecretProviderClasses(server: string, admin: ApiCredentials): Promise<number> {
  const client = createApiClient(server, admin);
  try {
    const { status, body } = await client.call('GET', PATH);
    if (status === 404) return 0;
    if (status !== 200) throw new Error(`The list of SecretProviderClasses was answered with ${status}: ${body}`);
    return listSchema.parse(JSON.parse(body)).items.length;
  } finally {
    await client.close();
  }
}
