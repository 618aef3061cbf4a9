/** What was written to a cluster and its vault so far: by the journal of the sandbox, raw etcd, and the vault. */
import { Ledger } from '../../domain/ledger';
import { mustParseKeyId } from '../../domain/resource-ids';
import { clusterWrites } from '../../launch/sandbox-control';
import type { SandboxClusterFacts } from '../../launch/sandbox-cluster';
import { timesStored } from './etcd';
import { kubeApi } from './kube';
import { control } from './stack';
import { keyVersions } from './vault';

/** How many accepted requests of a method wrote to something that has the name of a cluster in its path, or to a vault that has it in its host. */
export async function writesTo(name: string, method: string, path: RegExp): Promise<number> {
  return (await control().journal()).filter(
    (one) =>
      one.method === method && `${one.host}${one.path}`.includes(name) && path.test(one.path) && one.status < 300,
  ).length;
}

/** How much had been written at one time. */
export interface Written {
  readonly puts: number;
  readonly versions: number;
  /** How often each Secret was stored. */
  readonly stored: number;
  /** How often the ledger was stored, and how many generations it has. */
  readonly ledgerWrites: number;
  readonly generations: number;
}

/** Counts it. */
export async function writtenTo(cluster: SandboxClusterFacts): Promise<Written> {
  const ledger = await timesStored(cluster.etcd, '/registry/configmaps/kube-system/keyturn-ledger');
  const secrets = await timesStored(cluster.etcd, '/registry/secrets/default/');
  const [ledgerWrites = 0] = ledger.values();
  return {
    puts: clusterWrites(await control().journal(), cluster.resourceId),
    versions: (await versionsOf(cluster)).length,
    stored: Math.max(...secrets.values()),
    ledgerWrites,
    generations: ledgerWrites === 0 ? 0 : (await ledgerOf(cluster)).generations.length,
  };
}

/** The ledger in a cluster. */
export async function ledgerOf(cluster: SandboxClusterFacts): Promise<Ledger> {
  const map = await kubeApi(cluster).configMap('kube-system', 'keyturn-ledger');
  return Ledger.parse(JSON.parse(map.ledger ?? ''));
}

/** The versions of the key that the cluster was made with; none when the key is deleted. */
export async function versionsOf({ keyId }: SandboxClusterFacts): ReturnType<typeof keyVersions> {
  try {
    return await keyVersions(keyId);
  } catch (error) {
    if ((error as { statusCode?: number }).statusCode === 404) return [];
    throw error;
  }
}

/** How many accepted requests deleted the key that the cluster was made with. */
export async function deletionsOf({ keyId }: SandboxClusterFacts): Promise<number> {
  const { vaultUrl, name } = mustParseKeyId(keyId);
  const { hostname } = new URL(vaultUrl);
  return (await control().journal()).filter(
    ({ method, host, path, status }) =>
      method === 'DELETE' && host.startsWith(hostname) && path === `/keys/${name}` && status < 300,
  ).length;
}
