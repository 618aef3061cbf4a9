/** A validating admission webhook of another team: a real HTTPS server, which denies with the status that a Secret asks for. */
import { startWebhookServer } from './webhook-server';

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

/** The part of a Secret that the webhook looks at. */
interface SeenSecret {
  readonly metadata: { readonly labels: Readonly<Record<string, string>> };
  readonly data: Readonly<Record<string, string>>;
}

/** Starts it; its configuration is for the caller to POST. */
export async function startAdmissionWebhook(): Promise<AdmissionWebhook> {
  const server = await startWebhookServer<SeenSecret>(({ apiVersion, kind, request: asked }, response) => {
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
  return {
    configurations: CONFIGURATIONS,
    name: NAME,
    configuration: server.configuration(NAME, {
      objectSelector: { matchExpressions: [{ key: DENIED_WITH, operator: 'Exists' }] },
    }),
    close: () => server.close(),
  };
}
