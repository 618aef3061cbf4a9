/** The admission webhooks of a cluster, as AKS looks at them before it stops the cluster. */
import { z } from 'zod';
import { createApiClient, type ApiCredentials } from './api-client';
import type { WebhookConfiguration } from './contract';

const KINDS = ['validatingwebhookconfigurations', 'mutatingwebhookconfigurations'] as const;
const Rule = z.looseObject({
  apiGroups: z.array(z.string()).optional(),
  resources: z.array(z.string()).optional(),
  scope: z.string().optional(),
});
const Webhook = z.looseObject({
  name: z.string(),
  failurePolicy: z.string().optional(),
  namespaceSelector: z.record(z.string(), z.unknown()).optional(),
  rules: z.array(Rule).optional(),
});
const List = z.object({
  items: z
    .array(z.object({ metadata: z.object({ name: z.string() }), webhooks: z.array(Webhook).optional() }))
    .nullish(),
});

/** @throws Error with what the API server said */
export async function readWebhooks(server: string, admin: ApiCredentials): Promise<readonly WebhookConfiguration[]> {
  const client = createApiClient(server, admin);
  try {
    const found: WebhookConfiguration[] = [];
    for (const kind of KINDS) {
      const { status, body } = await client.call('GET', `/apis/admissionregistration.k8s.io/v1/${kind}`);
      if (status !== 200) throw new Error(`GET ${kind} was answered with ${status}: ${body}`);
      for (const { metadata, webhooks = [] } of List.parse(JSON.parse(body)).items ?? [])
        found.push({ name: metadata.name, webhooks });
    }
    return found;
  } finally {
    await client.close();
  }
}
