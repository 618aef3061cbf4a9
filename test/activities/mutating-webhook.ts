/** A mutating admission webhook: a real HTTPS server that changes Secrets on UPDATE, as some company's might. */
import { eventually } from '../sandbox/cluster-support';
import { SECRETS, type TestCluster } from './cluster-support';
import { startWebhookServer } from './webhook-server';

const CONFIGURATIONS = '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations';
const NAME = 'mutator.example.com';
/** Nothing but this program writes it. */
const PROBE = 'webhook-probe';

/** The part of a Secret that webhooks here look at. */
export interface SeenSecret {
  readonly metadata: { readonly name: string; readonly annotations?: Readonly<Record<string, string>> };
  readonly data?: Readonly<Record<string, string>>;
}

/** A webhook that every API server asks by now. */
export interface MutatingWebhook {
  readonly name: string;
  /** Takes its configuration away again. */
  remove(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Starts a webhook and waits until each API server of the cluster asks it.
 * @param mutate the operations of a JSON patch for a Secret
 */
export async function installMutatingWebhook(
  c: TestCluster,
  mutate: (secret: SeenSecret) => readonly unknown[],
): Promise<MutatingWebhook> {
  let asked = 0;
  const server = await startWebhookServer<SeenSecret>(({ apiVersion, kind, request: about }, response) => {
    if (about.object.metadata.name === PROBE) asked++;
    const operations = mutate(about.object);
    const patch = Buffer.from(JSON.stringify(operations)).toString('base64');
    const change = operations.length === 0 ? {} : { patchType: 'JSONPatch', patch };
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ apiVersion, kind, response: { uid: about.uid, allowed: true, ...change } }));
  });
  await c.call('POST', CONFIGURATIONS, server.configuration(NAME));
  await c.createSecret(PROBE);
  // In a row, over new connections: an API server that does not know the webhook yet is met by one of them.
  let inARow = 0;
  await eventually(async () => {
    const before = asked;
    await c.connection.request({
      method: 'PATCH',
      path: `${SECRETS}/${PROBE}`,
      contentType: 'application/merge-patch+json',
      body: { metadata: { labels: { at: String(Date.now()) } } },
      fresh: true,
    });
    inARow = asked > before ? inARow + 1 : 0;
    return inARow >= 10;
  });
  await c.call('DELETE', `${SECRETS}/${PROBE}`);
  return {
    name: NAME,
    remove: async () => void (await c.call('DELETE', `${CONFIGURATIONS}/${NAME}`)),
    close: () => server.close(),
  };
}

/** Gives a Secret an annotation, unless it has it with that value. */
export function annotating(name: string, value: () => string): (secret: SeenSecret) => readonly unknown[] {
  return ({ metadata: { annotations } }) => {
    const wanted = value();
    if (annotations?.[name] === wanted) return [];
    if (annotations === undefined) return [{ op: 'add', path: '/metadata/annotations', value: { [name]: wanted } }];
    return [{ op: 'add', path: `/metadata/annotations/${name}`, value: wanted }];
  };
}
