/** The kubeconfig that `az aks get-credentials --admin` would give for a sandbox cluster. Pure. */
import type { ApiCredentials } from './api-client';

/** @param server `https://127.0.0.1:PORT` @returns YAML, named as AKS names it, with everything embedded */
export function adminKubeconfig(clusterName: string, server: string, credentials: ApiCredentials): string {
  const name = JSON.stringify(clusterName);
  const user = JSON.stringify(`clusterAdmin_${clusterName}`);
  return `apiVersion: v1
kind: Config
clusters:
- name: ${name}
  cluster:
    certificate-authority-data: ${base64(credentials.caPem)}
    server: ${server}
contexts:
- name: ${name}
  context:
    cluster: ${name}
    user: ${user}
current-context: ${name}
preferences: {}
users:
- name: ${user}
  user:
    client-certificate-data: ${base64(credentials.certPem)}
    client-key-data: ${base64(credentials.keyPem)}
`;
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}
