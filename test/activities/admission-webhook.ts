/** A validating admission webhook of somebody else: a real HTTPS server, which denies with the status that a Secret asks for. */
import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { createAuthority } from '../../sandbox/pki';

const CONFIGURATIONS = '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations';
const NAME = 'somebody.example.com';
/** A Secret with this label is denied; its value is the status, or one of `FAILURES`. */
export const DENIED_WITH = 'denied-with';
/** Ways to fail, each with the values of the Secret in the answer. */
export const FAILURES = ['http-400', 'http-403', 'http-500', 'status-500', 'not-json', 'not-a-review'] as const;

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
      const values = JSON.stringify(data);
      const how = metadata.labels[DENIED_WITH] ?? '';
      if (how.startsWith('http-')) return void response.writeHead(Number(how.slice(5))).end(`no: ${values}`);
      response.setHeader('content-type', 'application/json');
      if (how === 'status-500') {
        const failed = {
          apiVersion: 'v1',
          kind: 'Status',
          status: 'Failure',
          code: 500,
          message: values,
          reason: values,
        };
        return void response.writeHead(500).end(JSON.stringify(failed));
      }
      if (how === 'not-json') return void response.end(`${values} is what I got`);
      if (how === 'not-a-review') return void response.end(JSON.stringify({ apiVersion: values, kind: values }));
      const causes = [{ reason: 'FieldValueInvalid', field: values, message: values }];
      const status = { code: Number(how), message: `no: ${values}`, reason: values, details: { causes } };
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
