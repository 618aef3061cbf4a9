/** Reads from a kubeconfig what a TLS connection needs. */
import { KubeConfig } from '@kubernetes/client-node';
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

/**
 * Reads the current context of a kubeconfig.
 *
 * Everything must be in the text itself. A kubeconfig that names files, runs a program or uses a proxy is refused: a text from
 * outside must not make this process read files or start programs.
 * @throws Error that says what is missing; it never quotes the text
 */
export function parseKubeconfig(yaml: string): KubeEndpoint {
  const config = new KubeConfig();
  try {
    config.loadFromString(yaml);
  } catch {
    throw new OwnError('The kubeconfig that Azure gave cannot be read.');
  }
  const cluster = config.getCurrentCluster();
  const user = config.getCurrentUser();
  if (!cluster || !user) throw new OwnError('The kubeconfig that Azure gave has no current cluster and user.');
  if (!cluster.server.startsWith('https://') || cluster.skipTLSVerify || !cluster.caData) {
    throw new OwnError(
      'The kubeconfig that Azure gave does not say which certificate authority to trust; nothing was sent.',
    );
  }
  const cert = decode(user.certData);
  const key = decode(user.keyData);
  if (!user.token && !(cert !== undefined && key !== undefined)) {
    throw new OwnError('The kubeconfig that Azure gave holds neither a client certificate nor a token of its own.');
  }
  return {
    server: cluster.server.replace(/\/+$/, ''),
    ca: decode(cluster.caData) ?? '',
    ...(cert !== undefined && key !== undefined ? { cert, key } : {}),
    token: user.token,
    serverName: cluster.tlsServerName,
  };
}

function decode(base64: string | undefined): string | undefined {
  return base64 ? Buffer.from(base64, 'base64').toString('utf8') : undefined;
}
