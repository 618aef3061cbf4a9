/** What is really true of a cluster of the sandbox: by its etcd, its API servers, its ledger and the requests that ARM took. */
import { Ledger } from '../../domain/ledger';
import { clusterWrites } from '../../launch/sandbox-control';
import type { SandboxClusterFacts } from '../../launch/sandbox-cluster';
import { countByKey, readSecretRecords } from '../../sandbox/cluster/raw-records';
import { kubeApi } from './kube';
import { control } from './stack';

/** The key that the API servers write with: of the sandbox, not of Azure. */
export async function writtenKey({ resourceId }: SandboxClusterFacts): Promise<string | undefined> {
  const { clusters } = await control().state();
  return clusters.find(({ id }) => id.toLowerCase() === resourceId.toLowerCase())?.encryption.slots[0];
}

/** How many Secrets are stored under a key. */
export async function underKey({ etcd }: SandboxClusterFacts, newKeyId = ''): Promise<number> {
  return (await countByKey(readSecretRecords(etcd), { newKeyId })).newKey;
}

/** How many accepted requests changed the cluster through ARM. */
export async function writesOf({ resourceId }: SandboxClusterFacts): Promise<number> {
  return clusterWrites(await control().journal(), resourceId);
}

/** The generations of the ledger in the cluster. */
export async function generationsOf(cluster: SandboxClusterFacts): Promise<Ledger['generations']> {
  const { ledger } = await kubeApi(cluster).configMap('kube-system', 'keyturn-ledger');
  return Ledger.parse(JSON.parse(ledger ?? '')).generations;
}
