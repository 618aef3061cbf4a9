/** An admission webhook's HTTPS server on loopback, and the configuration that has API servers ask it when a Secret is updated. */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { createAuthority } from '../../sandbox/pki';

/** What an API server asks: the members that webhooks here look at. */
export interface Review<Secret> {
  readonly apiVersion: string;
  readonly kind: string;
  readonly request: { readonly uid: string; readonly object: Secret };
}

/** A running server. */
export interface WebhookServer {
  /** The configuration of the webhook. @param more members of its webhook beside those that every one here has */
  configuration(name: string, more?: Readonly<Record<string, unknown>>): unknown;
  close(): Promise<void>;
}

/** @param answer ends the response */
export async function startWebhookServer<Secret>(
  answer: (review: Review<Secret>, response: ServerResponse) => void,
): Promise<WebhookServer> {
  const authority = await createAuthority('webhooks');
  const { certPem, keyPem } = await authority.issue({
    commonName: 'webhook',
    ipAddresses: ['127.0.0.1'],
    usage: 'server',
  });
  const server = createServer({ cert: certPem, key: keyPem }, (request, response) => {
    void json(request).then((body) => answer(body as Review<Secret>, response));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    configuration: (name, more = {}) => ({
      metadata: { name },
      webhooks: [
        {
          name,
          admissionReviewVersions: ['v1'],
          sideEffects: 'None',
          failurePolicy: 'Fail',
          timeoutSeconds: 5,
          clientConfig: {
            url: `https://127.0.0.1:${port}/`,
            caBundle: Buffer.from(authority.certPem).toString('base64'),
          },
          rules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['UPDATE'], resources: ['secrets'] }],
          ...more,
        },
      ],
    }),
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
