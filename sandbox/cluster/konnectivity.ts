/**
 * The konnectivity-agent pods of a cluster without API Server VNet Integration: by them an operator tells the two apart
 * (`kubectl get po -n kube-system`). There is no node that runs them; they only look so.
 */
import { createApiClient, type ApiClient, type ApiCredentials } from './api-client';

const NAME = 'konnectivity-agent';
const REPLICAS = 2;
const DEPLOYMENTS = '/apis/apps/v1/namespaces/kube-system/deployments';
const PODS = '/api/v1/namespaces/kube-system/pods';
const BUDGETS = '/apis/policy/v1/namespaces/kube-system/poddisruptionbudgets';
const LABELS = { app: NAME, component: 'tunnel' };
const SPEC = {
  containers: [{ name: NAME, image: 'mcr.microsoft.com/oss/v2/kubernetes/apiserver-network-proxy/agent' }],
};

/** @throws Error with what the API server said */
export async function setKonnectivityAgents(server: string, admin: ApiCredentials, present: boolean): Promise<void> {
  const client = createApiClient(server, admin);
  const pods = Array.from({ length: REPLICAS }, (_, index) => `${NAME}-6b8c9d7f5c-${index}`);
  try {
    if (!present) {
      for (const collection of [DEPLOYMENTS, BUDGETS]) {
        await expectStatus(client, 'DELETE', `${collection}/${NAME}`, undefined, [200, 404]);
      }
      for (const pod of pods)
        await expectStatus(client, 'DELETE', `${PODS}/${pod}`, { gracePeriodSeconds: 0 }, [200, 404]);
      return;
    }
    await createWithStatus(client, DEPLOYMENTS, {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: NAME, namespace: 'kube-system', labels: LABELS },
      spec: {
        replicas: REPLICAS,
        selector: { matchLabels: { app: NAME } },
        template: { metadata: { labels: LABELS }, spec: SPEC },
      },
      status: {
        replicas: REPLICAS,
        updatedReplicas: REPLICAS,
        readyReplicas: REPLICAS,
        availableReplicas: REPLICAS,
        observedGeneration: 1,
      },
    });
    const budget = {
      apiVersion: 'policy/v1',
      kind: 'PodDisruptionBudget',
      metadata: { name: NAME, namespace: 'kube-system' },
      spec: { minAvailable: 1, selector: { matchLabels: { app: NAME } } },
    };
    await expectStatus(client, 'POST', BUDGETS, budget, [201, 409]);
    for (const name of pods) {
      await createWithStatus(client, PODS, {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name, namespace: 'kube-system', labels: LABELS },
        spec: SPEC,
        status: {
          phase: 'Running',
          containerStatuses: [
            { name: NAME, ready: true, restartCount: 0, image: NAME, imageID: NAME, state: { running: {} } },
          ],
        },
      });
    }
  } finally {
    await client.close();
  }
}

/** An API server ignores the status of what it creates: it is written apart. */
async function createWithStatus(
  client: ApiClient,
  collection: string,
  object: {
    readonly metadata: { readonly name: string; readonly [member: string]: unknown };
    readonly [member: string]: unknown;
  },
): Promise<void> {
  await expectStatus(client, 'POST', collection, object, [201, 409]);
  await expectStatus(client, 'PUT', `${collection}/${object.metadata.name}/status`, object, [200]);
}

async function expectStatus(
  client: ApiClient,
  method: 'POST' | 'PUT' | 'DELETE',
  path: string,
  body: unknown,
  expected: readonly number[],
): Promise<void> {
  const answer = await client.call(method, path, body);
  if (!expected.includes(answer.status)) {
    throw new Error(`${method} ${path} was answered with ${answer.status}: ${answer.body}`);
  }
}
