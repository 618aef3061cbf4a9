/** A connection of somebody who may do less than the admin: a ServiceAccount with a ClusterRole of its own. */
import { KubeConfig } from '@kubernetes/client-node';
import { connectKubernetes, type KubeConnection } from '../../activities/kubernetes/connection';
import { eventually } from '../sandbox/cluster-support';
import { PACE, type TestCluster } from './cluster-support';

const RBAC = '/apis/rbac.authorization.k8s.io/v1';

/** A rule of a ClusterRole. */
export interface Rule {
  readonly apiGroups?: readonly string[];
  readonly resources?: readonly string[];
  readonly nonResourceURLs?: readonly string[];
  readonly verbs: readonly string[];
}

let made = 0;

/** Makes the account, waits until its rights count, and connects as it. */
export async function restrictedConnection(
  c: TestCluster,
  rules: readonly Rule[],
): Promise<{ readonly connection: KubeConnection; close(): Promise<void> }> {
  const name = `restricted-${++made}`;
  await c.call('POST', '/api/v1/namespaces/default/serviceaccounts', { metadata: { name } });
  await c.call('POST', `${RBAC}/clusterroles`, { metadata: { name }, rules });
  await c.call('POST', `${RBAC}/clusterrolebindings`, {
    metadata: { name },
    subjects: [{ kind: 'ServiceAccount', name, namespace: 'default' }],
    roleRef: { kind: 'ClusterRole', name, apiGroup: 'rbac.authorization.k8s.io' },
  });
  const answer = (await c.connection.request({
    method: 'POST',
    path: `/api/v1/namespaces/default/serviceaccounts/${name}/token`,
    body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} },
  })) as { readonly status: { readonly token: string } };
  const connection = connectKubernetes(withToken(c.cluster.adminKubeconfig, answer.status.token), PACE.inFlight);
  await eventually(() =>
    connection.request({ method: 'GET', path: '/api/v1/secrets?limit=1' }).then(
      () => true,
      () => false,
    ),
  );
  return { connection, close: () => connection.close() };
}

function withToken(adminKubeconfig: string, token: string): string {
  const config = new KubeConfig();
  config.loadFromString(adminKubeconfig);
  const cluster = config.getCurrentCluster();
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'c',
    contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
    clusters: [{ name: 'c', cluster: { server: cluster?.server, 'certificate-authority-data': cluster?.caData } }],
    users: [{ name: 'u', user: { token } }],
  });
}
