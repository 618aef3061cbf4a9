/**
 * Reads from a kubeconfig what a TLS connection needs.
 *
 * Not with the Kubernetes client: loading all of it takes a third of the time in which a worker starts.
 */
import { parse } from 'yaml';
import { z } from 'zod';
import { OwnError } from '../../domain/own-error';

/** The address of an API server, and our credentials for it. */
export interface KubeEndpoint {
  /** `https://host[:port][/path]`, without a slash at the end. */
  readonly server: string;
  /** PEM. */
  readonly ca: string;
  /** PEM; with `key`, or neither. */
  readonly cert?: string;
  readonly key?: string;
  readonly token?: string;
  readonly serverName?: string;
}

const text = z.string().nullish();

/** The members that a connection is made from. Source: k8s.io/client-go `tools/clientcmd/api/v1`. */
const Kubeconfig = z.object({
  'current-context': z.string(),
  contexts: z.array(z.object({ name: z.string(), context: z.object({ cluster: z.string(), user: z.string() }) })),
  clusters: z.array(
    z.object({
      name: z.string(),
      cluster: z.object({
        server: z.string(),
        'certificate-authority-data': text,
        'insecure-skip-tls-verify': z.boolean().nullish(),
        'tls-server-name': text,
      }),
    }),
  ),
  users: z.array(
    z.object({
      name: z.string(),
      user: z.object({ 'client-certificate-data': text, 'client-key-data': text, token: text }),
    }),
  ),
});

function parsed(yaml: string): unknown {
  try {
    return parse(yaml);
  } catch {
    return undefined;
  }
}

/**
 * Reads the current context of a kubeconfig.
 *
 * Everything must be in the text itself. A kubeconfig that names files, runs a program or uses a proxy is refused: a text from
 * outside must not make this process read files or start programs.
 * @throws Error that says what is missing; it never quotes the text
 */
export function parseKubeconfig(yaml: string): KubeEndpoint {
  const config = Kubeconfig.safeParse(parsed(yaml));
  if (!config.success) throw new OwnError('The kubeconfig that Azure gave cannot be read.');
  const { clusters, contexts, users } = config.data;
  const context = contexts.find(({ name }) => name === config.data['current-context'])?.context;
  const cluster = clusters.find(({ name }) => name === context?.cluster)?.cluster;
  const user = users.find(({ name }) => name === context?.user)?.user;
  if (!cluster || !user) throw new OwnError('The kubeconfig that Azure gave has no current cluster and user.');
  if (
    !cluster.server.startsWith('https://') ||
    cluster['insecure-skip-tls-verify'] === true ||
    !cluster['certificate-authority-data']
  ) {
    throw new OwnError(
      'The kubeconfig that Azure gave does not say which certificate authority to trust; nothing was sent.',
    );
  }
  const cert = decode(user['client-certificate-data']);
  const key = decode(user['client-key-data']);
  if (!user.token && !(cert !== undefined && key !== undefined)) {
    throw new OwnError('The kubeconfig that Azure gave holds neither a client certificate nor a token of its own.');
  }
  return {
    server: cluster.server.replace(/\/+$/, ''),
    ca: decode(cluster['certificate-authority-data']) ?? '',
    ...(cert !== undefined && key !== undefined ? { cert, key } : {}),
    token: user.token ?? undefined,
    serverName: cluster['tls-server-name'] ?? undefined,
  };
}

function decode(base64: string | null | undefined): string | undefined {
  return base64 ? Buffer.from(base64, 'base64').toString('utf8') : undefined;
}
