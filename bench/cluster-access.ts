/** The way into the measured cluster, by a kubeconfig in a file, as the product goes it. */
import { readFileSync } from 'node:fs';
import { connectKubernetes, type KubeConnection } from '../activities/kubernetes/connection';
import { parseKubeconfig, type KubeEndpoint } from '../activities/kubernetes/kubeconfig';

/** Reads the current context of a kubeconfig. @throws Error as `parseKubeconfig` */
export function readAccess(kubeconfigFile: string): KubeEndpoint {
  return parseKubeconfig(readFileSync(kubeconfigFile, 'utf8'));
}

/** For what is around the measurements: one request after the other. */
export function connectCluster(kubeconfigFile: string): KubeConnection {
  return connectKubernetes(readFileSync(kubeconfigFile, 'utf8'), 1);
}
