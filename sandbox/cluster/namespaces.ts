/** The namespaces that every cluster has from the start. */
import { setTimeout as sleep } from 'node:timers/promises';
import { createApiClient, type ApiCredentials } from './api-client';

const NAMESPACES = ['default', 'kube-system'];
const ATTEMPTS = 20;
const PAUSE_IN_MS = 250;

/**
 * An API server makes its system namespaces a moment after it is ready, and tries only once a minute: help it.
 * @throws Error naming the namespace that cannot be had, and what the API server said.
 */
export async function ensureNamespaces(server: string, admin: ApiCredentials): Promise<void> {
  const client = createApiClient(server, admin);
  try {
    for (const name of NAMESPACES) {
      for (let attempt = 1; ; attempt++) {
        const { status, body } = await client.call('GET', `/api/v1/namespaces/${name}`);
        if (status === 200) break;
        if (attempt === ATTEMPTS) throw new Error(`The namespace ${name} cannot be had: ${status} ${body}`);
        const made = await client.call('POST', '/api/v1/namespaces', {
          apiVersion: 'v1',
          kind: 'Namespace',
          metadata: { name },
        });
        if (made.status !== 201 && made.status !== 409) await sleep(PAUSE_IN_MS);
      }
    }
  } finally {
    await client.close();
  }
}
