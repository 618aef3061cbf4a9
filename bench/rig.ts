/**
 * What all contestants work on: one sandbox cluster full of Secrets, whose key can be turned under them.
 *
 * Does: makes and fills the cluster; turns its key as somebody without Keyturn would, through ARM; looks into raw etcd.
 * Never does: move a Secret. That is what is measured.
 */
import path from 'node:path';
import { z } from 'zod';
import { armPut, connectAzure } from '../launch/azure-client';
import type { SandboxFacts } from '../launch/sandbox';
import { makeSandboxCluster, type SandboxClusterFacts } from '../launch/sandbox-cluster';
import { SandboxControl } from '../launch/sandbox-control';
import { countByKey, readSecretRecords, type SecretRecord } from '../sandbox/cluster/raw-records';

const CLUSTER_NAME = 'bench';
const VAULT_NAME = 'keyturn-bench';
const NAMESPACE_PREFIX = 'bench-';
/** One call of the control API fills so many: it has to answer within the client's five minutes. */
const SECRETS_PER_CALL = 5_000;
/** Large ones take longer: so many bytes of values per call, at most. */
const BYTES_PER_CALL = 50 * 1024 * 1024;

/** The cluster that everybody works on. */
export interface Rig {
  readonly facts: SandboxFacts;
  readonly cluster: SandboxClusterFacts;
  /** Of the cluster, in ARM and in the sandbox's control API. */
  readonly name: string;
  readonly secrets: number;
  readonly namespaces: readonly string[];
  /** For files of the contestants. */
  readonly directory: string;
}

/** Makes the cluster and fills it. @param size bytes of the large value of each Secret; a short password is beside it */
export async function makeRig(
  facts: SandboxFacts,
  options: {
    readonly directory: string;
    readonly secrets: number;
    readonly size: number;
    readonly onProgress: (line: string) => void;
  },
): Promise<Rig> {
  const { directory, secrets, size, onProgress } = options;
  const cluster = await makeSandboxCluster(facts, { name: CLUSTER_NAME, vaultName: VAULT_NAME, directory });
  const control = new SandboxControl(facts.control);
  const namespaces: string[] = [];
  const perCall = secretsPerCall(size);
  for (let made = 0; made < secrets; made += perCall) {
    const namespace = `${NAMESPACE_PREFIX}${namespaces.length + 1}`;
    const count = Math.min(perCall, secrets - made);
    await control.seed(CLUSTER_NAME, { count, namespaces: [namespace], largeEvery: 1, largeSizeInBytes: size });
    namespaces.push(namespace);
    onProgress(`${made + count} of ${secrets} Secrets made`);
  }
  return { facts, cluster, name: CLUSTER_NAME, secrets, namespaces, directory: path.resolve(directory) };
}

/** How many Secrets of a size one call of the control API makes. */
export function secretsPerCall(size: number): number {
  return Math.max(1, Math.min(SECRETS_PER_CALL, Math.floor(BYTES_PER_CALL / size)));
}

const Key = z.object({ key: z.object({ kid: z.string() }) });
const Cluster = z.looseObject({
  properties: z.looseObject({
    securityProfile: z.looseObject({ azureKeyVaultKms: z.looseObject({ keyId: z.string() }) }),
  }),
});

/**
 * Makes a new version of the cluster's key and sets it: afterwards every Secret is stale.
 * @returns the versioned id of the new key
 */
export async function turnKey({ facts, cluster }: Rig): Promise<string> {
  const azure = await connectAzure(facts);
  try {
    const url = `https://management.azure.com${cluster.resourceId}?api-version=2026-04-01`;
    const body = Cluster.parse((await azure.request('GET', url)).body);
    const { securityProfile } = body.properties;
    const key = keyOf(securityProfile.azureKeyVaultKms.keyId);
    const made = await azure.request('POST', `${key}/create?api-version=2025-07-01`, { kty: 'RSA', key_size: 2048 });
    const { kid } = Key.parse(made.body).key;
    await armPut(azure.request, cluster.resourceId, {
      ...body,
      properties: {
        ...body.properties,
        securityProfile: {
          ...securityProfile,
          azureKeyVaultKms: { ...securityProfile.azureKeyVaultKms, keyId: kid },
        },
      },
    });
    return kid;
  } finally {
    await azure.close();
  }
}

/** `https://VAULT/keys/NAME` of `https://VAULT/keys/NAME/VERSION`. */
function keyOf(keyId: string): string {
  return keyId.slice(0, keyId.lastIndexOf('/'));
}

/** Looks into etcd, past the API server. @throws Error unless every Secret that was made is stored under this key */
export async function expectAllUnder(rig: Rig, keyId: string, whoMovedThem: string): Promise<void> {
  const { newKey, ...others } = await countByKey(seededOnly(readSecretRecords(rig.cluster.etcd)), { newKeyId: keyId });
  if (newKey === rig.secrets && Object.values(others).every((count) => count === 0)) return;
  throw new Error(
    `After ${whoMovedThem}, only ${newKey} of ${rig.secrets} Secrets are stored under ${keyId} in etcd ` +
      `(others: ${JSON.stringify(others)}). Its time means nothing, so the run ends here.`,
  );
}

async function* seededOnly(records: AsyncIterable<SecretRecord>): AsyncGenerator<SecretRecord> {
  for await (const record of records) if (record.namespace.startsWith(NAMESPACE_PREFIX)) yield record;
}
