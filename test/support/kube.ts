/** A cluster's API as its administrator uses it, through @kubernetes/client-node. */
import { CoreV1Api, KubeConfig, type V1Secret } from '@kubernetes/client-node';
import type { SandboxClusterFacts } from '../../launch/sandbox-cluster';

/** What the tests read and write in a cluster. */
export function kubeApi({ kubeconfig }: Pick<SandboxClusterFacts, 'kubeconfig'>): {
  configMap(namespace: string, name: string): Promise<Record<string, string>>;
  secret(namespace: string, name: string): Promise<V1Secret>;
  core: CoreV1Api;
  /** For clients of other groups. */
  config: KubeConfig;
} {
  const config = new KubeConfig();
  config.loadFromFile(kubeconfig);
  const core = config.makeApiClient(CoreV1Api);
  return {
    core,
    config,
    configMap: async (namespace, name) => (await core.readNamespacedConfigMap({ namespace, name })).data ?? {},
    secret: (namespace, name) => core.readNamespacedSecret({ namespace, name }),
  };
}
