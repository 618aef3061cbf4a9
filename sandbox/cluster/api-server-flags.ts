/** The command line of a sandbox API server, and the files that it refers to. Pure. */
import { minorNumber } from './kubernetes-minor';
import { FRONT_PROXY, type ClusterLayout } from './layout';

/** From this minor on API servers translate WebSocket for kubelets, unless told not to (KEP-4006). */
const TRANSLATES_SINCE_MINOR = 30;
/** From this minor on anonymous requests can be limited to paths (AnonymousAuthConfigurableEndpoints, KEP-4633). */
const ANONYMOUS_PATHS_SINCE_MINOR = 32;
const SERVICE_RANGE = '10.0.0.0/16';
/** Who issues tokens unless the cluster has an issuer of its own. */
const ISSUER_INSIDE = 'https://kubernetes.default.svc.cluster.local';

/** What differs between API servers. */
export interface ApiServerFlags {
  /** `1.34` */
  readonly kubernetesMinor: string;
  readonly port: number;
  readonly etcdUrl: string;
  readonly layout: ClusterLayout;
  /** Path of the EncryptionConfiguration. */
  readonly encryptionConfig: string;
  /** The URL that tokens name as their issuer; the one inside the cluster when absent. */
  readonly issuer?: string;
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

    // How the kubelets of nodes know that it is the API server who asks, and the other way round.
    `--kubelet-client-certificate=${layout.kubeletClientCert}`,
    `--kubelet-client-key=${layout.kubeletClientKey}`,
    `--kubelet-certificate-authority=${layout.authorityCert}`,
    // The sandbox's kubelets speak WebSocket, and not SPDY, into which an API server would translate it.
    ...(minorNumber(options.kubernetesMinor) >= TRANSLATES_SINCE_MINOR
      ? ['--feature-gates=TranslateStreamCloseWebsocketRequests=false']
      : []),

    ...issuerFlags(options.issuer),
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

/** The first issuer is in new tokens; tokens of all of them are accepted, and each is an audience for the API server itself. */
function issuerFlags(issuer: string | undefined): string[] {
  const issuers = issuer === undefined ? [ISSUER_INSIDE] : [issuer, ISSUER_INSIDE];
  return [
    ...issuers.map((one) => `--service-account-issuer=${one}`),
    ...(issuer === undefined
      ? []
      : [`--service-account-jwks-uri=${issuer}openid/v1/jwks`, `--api-audiences=${issuers.join(',')}`]),
  ];
}

function limitsAnonymous(kubernetesMinor: string): boolean {
  return minorNumber(kubernetesMinor) >= ANONYMOUS_PATHS_SINCE_MINOR;
}
