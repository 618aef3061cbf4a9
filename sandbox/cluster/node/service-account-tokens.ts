/** Tokens of service accounts for pods, from the real TokenRequest API. */
import { ApiError, type KubeClient } from './kube-client';
import { serviceAccountOf, type Pod } from './pod';

/**
 * A token of the pod's service account, bound to the pod. A pod that names no account has the token of `default` unbound: the API
 * server binds a token only to a pod that names the account.
 * @throws ApiError `serviceaccounts "NAME" not found`
 */
export async function requestToken(
  client: KubeClient,
  pod: Pod,
  audience: string | undefined,
  expirationSeconds = 3600,
): Promise<string> {
  const { name, namespace, uid } = pod.metadata;
  const account = serviceAccountOf(pod);
  const accounts = `/api/v1/namespaces/${namespace}/serviceaccounts`;
  if (account === 'default') await ensureDefaultAccount(client, accounts);
  const bound = pod.spec.serviceAccountName !== undefined;
  const answer = await client.create(`${accounts}/${account}/token`, {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    spec: {
      ...(audience === undefined ? {} : { audiences: [audience] }),
      expirationSeconds,
      ...(bound ? { boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name, uid } } : {}),
    },
  });
  return (answer['status'] as { token: string }).token;
}

/** Every namespace has the account `default`; its controller does not run in the sandbox. */
async function ensureDefaultAccount(client: KubeClient, accounts: string): Promise<void> {
  if ((await client.find(`${accounts}/default`)) !== undefined) return;
  try {
    await client.create(accounts, { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default' } });
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 409) throw error;
  }
}
