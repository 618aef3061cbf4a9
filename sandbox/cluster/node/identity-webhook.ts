/**
 * The webhook of workload identity: a real admission webhook of the cluster, which changes pods that have its label.
 *
 * Needs: the cluster's API server, which calls it on a port of this machine.
 * Does: makes its MutatingWebhookConfiguration as AKS has it, but for the address; answers for each pod.
 * Never does: look at pods that are there already.
 */
import { once } from 'node:events';
import { createServer } from 'node:https';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { messageOf } from '../../message-of';
import { createAuthority } from '../../pki';
import type { WorkloadIdentity } from './contract';
import { identityPatch, USE_LABEL } from './identity-mutation';
import type { JsonObject } from './json';
import { createKubeClient, type KubeClient } from './kube-client';

const NAME = 'azure-wi-webhook-mutating-webhook-configuration';
const CONFIGURATIONS = '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations';
const PATH = '/mutate-v1-pod';
const PAUSE_IN_MS = 50;
const ATTEMPTS = 200;

const reviewSchema = z.object({
  request: z.object({
    uid: z.string(),
    namespace: z.string(),
    object: z.looseObject({ spec: z.looseObject({ serviceAccountName: z.string().default('default') }) }),
  }),
});

/** A webhook that API servers call. */
export interface IdentityWebhook {
  /** Ends it. Its configuration stays: while a cluster is stopped, it is in etcd. */
  close(): Promise<void>;
}

/** Starts it; resolves when the API server asks it about new pods. @throws ApiError with what the API server said */
export async function startIdentityWebhook(
  cluster: { readonly adminKubeconfig: string },
  identity: WorkloadIdentity,
): Promise<IdentityWebhook> {
  const authority = await createAuthority('azure-wi-webhook-ca');
  const { certPem, keyPem } = await authority.issue({
    commonName: 'azure-wi-webhook-webhook-service.kube-system.svc',
    ipAddresses: ['127.0.0.1'],
    usage: 'server',
  });
  const client = createKubeClient(cluster);
  let asked = false;
  const server = createServer({ cert: certPem, key: keyPem }, (request, response) => {
    asked = true;
    answer(client, identity, request).then(
      (body) => response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body)),
      (error: unknown) => response.writeHead(400).end(messageOf(error)),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const close = async (): Promise<void> => {
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await Promise.all([closed, client.close()]);
  };
  try {
    const { port } = server.address() as AddressInfo;
    await ensureConfiguration(client, `https://127.0.0.1:${port}${PATH}`, authority.certPem);
    await untilAsked(client, () => asked);
  } catch (error) {
    await close();
    throw error;
  }
  return { close };
}

/** Takes away what the webhook made in the cluster. @throws ApiError with what the API server said */
export async function removeIdentityWebhook(cluster: { readonly adminKubeconfig: string }): Promise<void> {
  const client = createKubeClient(cluster);
  try {
    await client.delete(`${CONFIGURATIONS}/${NAME}`);
  } finally {
    await client.close();
  }
}

async function answer(client: KubeClient, identity: WorkloadIdentity, request: IncomingMessage): Promise<object> {
  const { uid, namespace, object } = reviewSchema.parse(JSON.parse(await text(request))).request;
  const response = async (): Promise<object> => {
    try {
      const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${object.spec.serviceAccountName}`;
      const { annotations = {} } = (await client.get(path))['metadata'] as { annotations?: Record<string, string> };
      const patch = JSON.stringify(identityPatch(object, annotations, identity));
      return { allowed: true, patchType: 'JSONPatch', patch: Buffer.from(patch).toString('base64') };
    } catch (error) {
      return { allowed: false, status: { code: 400, message: messageOf(error) } };
    }
  };
  return {
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    response: { uid, ...(await response()) },
  };
}

async function ensureConfiguration(client: KubeClient, url: string, caPem: string): Promise<void> {
  const webhook = {
    name: 'mutation.azure-workload-identity.io',
    admissionReviewVersions: ['v1'],
    clientConfig: { url, caBundle: Buffer.from(caPem).toString('base64') },
    failurePolicy: 'Fail',
    matchPolicy: 'Equivalent',
    objectSelector: { matchLabels: { [USE_LABEL]: 'true' } },
    reinvocationPolicy: 'IfNeeded',
    rules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['pods'] }],
    sideEffects: 'None',
  };
  const configuration = {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'MutatingWebhookConfiguration',
    metadata: { name: NAME, labels: { 'azure-workload-identity.io/system': 'true' } },
    webhooks: [webhook],
  };
  if ((await client.find(`${CONFIGURATIONS}/${NAME}`)) === undefined)
    await client.create(CONFIGURATIONS, configuration);
  else await client.patch(`${CONFIGURATIONS}/${NAME}`, configuration);
}

/** An API server heeds a configuration a moment after it has stored it: a pod that is not made (dry run) shows that it does. */
async function untilAsked(client: KubeClient, asked: () => boolean): Promise<void> {
  const probe: JsonObject = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'azure-wi-webhook-probe', labels: { [USE_LABEL]: 'true' } },
    spec: { containers: [{ name: 'probe', image: 'probe' }] },
  };
  for (let attempt = 1; !asked(); attempt++) {
    if (attempt === ATTEMPTS)
      throw new Error('The API server does not ask the webhook of workload identity about pods.');
    // Whether the webhook lets it pass does not matter.
    await client.create('/api/v1/namespaces/kube-system/pods?dryRun=All', probe).catch(() => undefined);
    if (!asked()) await sleep(PAUSE_IN_MS);
  }
}
