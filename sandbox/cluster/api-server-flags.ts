/** The command line of a sandbox API server, and the files that it refers to. Pure. */
import { minorNumber } from './kubernetes-minor';
import { FRONT_PROXY, type ClusterLayout } from './layout';

/** From this minor on anonymous requests can be limited to paths (AnonymousAuthConfigurableEndpoints, KEP-4633). */
const ANONYMOUS_PATHS_SINCE_MINOR = 32;
const SERVICE_RANGE = '10.0.0.0/16';
const ISSUER = 'https://kubernetes.default.svc.cluster.local';

/** What differs between API servers. */
export interface ApiServerFlags {
  /** `1.34` */
  readonly kubernetesMinor: string;
  readonly port: number;
  readonly etcdUrl: string;
  readonly layout: ClusterLayout;
  /** Path of the EncryptionConfiguration. */
  readonly encryptionConfig: string;
}

/** Everything else keeps its default, which is what makes the server behave as a real one. */
export function apiServerFlags(options: ApiServerFlags): string[] {
  const { layout } = options;
  return [
    `--etcd-servers=${options.etcdUrl}`,
    '--bind-address=127.0.0.1',
    `--secure-port=${options.port}`,
    // No client reaches the cluster by the `kubernetes` Service, and Endpoints may not name loopback addresses.
    '--advertise-address=127.0.0.1',
    '--endpoint-reconciler-type=none',
    `--service-cluster-ip-range=${SERVICE_RANGE}`,

    `--tls-cert-file=${layout.servingCert}`,
    `--tls-private-key-file=${layout.servingKey}`,
    `--client-ca-file=${layout.authorityCert}`,
    ...(limitsAnonymous(options.kubernetesMinor)
      ? [`--authentication-config=${layout.authentication}`]
      : ['--anonymous-auth=false']),
    '--authorization-mode=RBAC',
    // How a front that ends TLS passes on who asks (the fault kube-lost-response).
    `--requestheader-client-ca-file=${layout.frontAuthorityCert}`,
    `--requestheader-allowed-names=${FRONT_PROXY}`,
    '--requestheader-username-headers=X-Remote-User',
    '--requestheader-group-headers=X-Remote-Group',

    `--service-account-issuer=${ISSUER}`,
    `--service-account-key-file=${layout.serviceAccountPublicKey}`,
    `--service-account-signing-key-file=${layout.serviceAccountPrivateKey}`,
    // No controller manager makes the `default` ServiceAccount that this plugin asks of every Pod.
    '--disable-admission-plugins=ServiceAccount',

    // A changed configuration means a new server: AKS rolls its control plane, it does not reload.
    `--encryption-provider-config=${options.encryptionConfig}`,
    '--encryption-provider-config-automatic-reload=false',
    '--profiling=false',
  ];
}

/** AuthenticationConfiguration: strangers may ask whether the server is well, and nothing else. */
export function authenticationConfiguration(kubernetesMinor: string): object {
  const version = minorNumber(kubernetesMinor) >= 34 ? 'v1' : 'v1beta1';
  return {
    apiVersion: `apiserver.config.k8s.io/${version}`,
    kind: 'AuthenticationConfiguration',
    anonymous: {
      enabled: true,
      conditions: [{ path: '/livez' }, { path: '/readyz' }, { path: '/healthz' }],
    },
  };
}

function limitsAnonymous(kubernetesMinor: string): boolean {
  return minorNumber(kubernetesMinor) >= ANONYMOUS_PATHS_SINCE_MINOR;
}
