/** Where the files of one cluster are, and the certificates and keys that its servers read from there. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createAuthority, createSigningKeyPair } from '../pki';
import type { ApiCredentials } from './api-client';

/** The first address of the service range: what Pods reach the API server by. */
const SERVICE_ADDRESS = '10.0.0.1';
const CLUSTER_DOMAIN = 'cluster.local';
/** The name that API servers believe about whom a request is for. */
export const FRONT_PROXY = 'front-proxy-client';

/** Paths of one cluster, all below its directory. */
export interface ClusterLayout {
  readonly etcd: string;
  /** Sockets of the KMS plugins. A short name: socket paths are limited to about 100 bytes. */
  readonly kms: string;
  readonly logs: string;
  /** EncryptionConfigurations, one per API server start. */
  readonly encryption: string;
  readonly authorityCert: string;
  readonly servingCert: string;
  readonly servingKey: string;
  /** Who may tell API servers for whom a request is: the front that loses answers, and nobody else. */
  readonly frontAuthorityCert: string;
  readonly frontCert: string;
  readonly frontKey: string;
  /** Whom the kubelets of nodes let in. */
  readonly kubeletClientCert: string;
  readonly kubeletClientKey: string;
  readonly serviceAccountPublicKey: string;
  readonly serviceAccountPrivateKey: string;
  readonly authentication: string;
}

/** The paths below a directory; makes nothing. */
export function layoutOf(directory: string): ClusterLayout {
  const pki = (file: string): string => join(directory, 'pki', file);
  return {
    etcd: join(directory, 'etcd'),
    kms: join(directory, 'kms'),
    logs: join(directory, 'logs'),
    encryption: join(directory, 'config'),
    authorityCert: pki('ca.crt'),
    servingCert: pki('apiserver.crt'),
    servingKey: pki('apiserver.key'),
    frontAuthorityCert: pki('front-proxy-ca.crt'),
    frontCert: pki('front-proxy-client.crt'),
    frontKey: pki('front-proxy-client.key'),
    kubeletClientCert: pki('kubelet-client.crt'),
    kubeletClientKey: pki('kubelet-client.key'),
    serviceAccountPublicKey: pki('sa.pub'),
    serviceAccountPrivateKey: pki('sa.key'),
    authentication: join(directory, 'config', 'authentication.json'),
  };
}

/**
 * Makes the directories, the cluster's own authority, and what it issues.
 * @returns the credentials of cluster-admin, and what the kubelets of nodes serve with; they are not written to disk
 */
export async function prepareLayout(
  directory: string,
): Promise<{ layout: ClusterLayout; admin: ApiCredentials; kubelet: ApiCredentials }> {
  const layout = layoutOf(directory);
  for (const path of [layout.etcd, layout.kms, layout.logs, layout.encryption, join(directory, 'pki')]) {
    await mkdir(path, { recursive: true, mode: 0o700 });
  }

  const authority = await createAuthority('kubernetes-ca');
  const serving = await authority.issue({
    commonName: 'kube-apiserver',
    dnsNames: [
      'localhost',
      'kubernetes',
      'kubernetes.default',
      'kubernetes.default.svc',
      `kubernetes.default.svc.${CLUSTER_DOMAIN}`,
    ],
    ipAddresses: ['127.0.0.1', SERVICE_ADDRESS],
    usage: 'server',
  });
  // The name that AKS gives its local admin; the group is what counts.
  const admin = await authority.issue({
    commonName: 'masterclient',
    organizations: ['system:masters'],
    usage: 'client',
  });
  const kubelet = await authority.issue({ commonName: 'system:node', ipAddresses: ['127.0.0.1'], usage: 'server' });
  const kubeletClient = await authority.issue({ commonName: 'kube-apiserver-kubelet-client', usage: 'client' });
  // An authority of its own, as kubeadm makes it: what it signs is believed about others.
  const frontAuthority = await createAuthority('front-proxy-ca');
  const front = await frontAuthority.issue({ commonName: FRONT_PROXY, usage: 'client' });
  const serviceAccount = createSigningKeyPair();

  await Promise.all([
    writeSecretFile(layout.authorityCert, authority.certPem),
    writeSecretFile(layout.servingCert, serving.certPem),
    writeSecretFile(layout.servingKey, serving.keyPem),
    writeSecretFile(layout.frontAuthorityCert, frontAuthority.certPem),
    writeSecretFile(layout.frontCert, front.certPem),
    writeSecretFile(layout.frontKey, front.keyPem),
    writeSecretFile(layout.kubeletClientCert, kubeletClient.certPem),
    writeSecretFile(layout.kubeletClientKey, kubeletClient.keyPem),
    writeSecretFile(layout.serviceAccountPublicKey, serviceAccount.publicPem),
    writeSecretFile(layout.serviceAccountPrivateKey, serviceAccount.privatePem),
  ]);
  const caPem = authority.certPem;
  return { layout, admin: { caPem, ...admin }, kubelet: { caPem, ...kubelet } };
}

/** Only the owner may read it, whatever the umask. */
async function writeSecretFile(path: string, text: string): Promise<void> {
  await writeFile(path, text, { mode: 0o600 });
}
