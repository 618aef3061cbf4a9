/** A validating admission webhook of somebody else: a real HTTPS server, which denies with the status that a Secret asks for. */
import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { createAuthority } from '../../sandbox/pki';

const CONFIGURATIONS = '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations';
const NAME = 'somebody.example.com';
/** A Secret with this label is denied; its value is the status. */
export const DENIED_WITH = 'denied-with';

/** A running webhook. */
export interface AdmissionWebhook {
  /** Where to POST, and to DELETE at, its configuration. */
  readonly configurations: string;
  readonly name: string;
  readonly configuration: unknown;
  close(): Promise<void>;
}

interface Review {
  readonly apiVersion: string;
  readonly kind: string;
  readonly request: {
    readonly uid: string;
    readonly object: {
      readonly metadata: { readonly labels: Readonly<Record<string, string>> };
      readonly data: Readonly<Record<string, string>>;
    };
  };
}

export async function startAdmissionWebhook(): Promise<AdmissionWebhook> {
  const authority = await createAuthority('somebody');
  const { certPem, keyPem } = await authority.issue({
    commonName: 'webhook',
    ipAddresses: ['127.0.0.1'],
    usage: 'server',
  });
  const server = createServer({ cert: certPem, key: keyPem }, (request, response) => {
    void json(request).then((body) => {
      const { apiVersion, kind, request: asked } = body as Review;
      const { metadata, data } = asked.object;
      // Webhooks say what they like, values included.
      const status = { code: Number(metadata.labels[DENIED_WITH]), message: `no: ${JSON.stringify(data)}` };
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ apiVersion, kind, response: { uid: asked.uid, allowed: false, status } }));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    configurations: CONFIGURATIONS,
    name: NAME,
    configuration: {
      metadata: { name: NAME },
      webhooks: [
        {
          name: NAME,
          admissionReviewVersions: ['v1'],
          sideEffects: 'None',
          failurePolicy: 'Fail',
          timeoutSeconds: 5,
          clientConfig: {
            url: `https://127.0.0.1:${port}/`,
            caBundle: Buffer.from(authority.certPem).toString('base64'),
          },
          objectSelector: { matchExpressions: [{ key: DENIED_WITH, operator: 'Exists' }] },
          rules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['UPDATE'], resources: ['secrets'] }],
        },
      ],
    },
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
