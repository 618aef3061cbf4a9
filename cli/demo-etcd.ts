/** The auditor's view: reads the stored records from etcd, not through the API server. */
import type { KmsScheme } from '../domain/encryption';
import type { SandboxClusterFacts } from '../launch/sandbox-cluster';
import { isUnder, readSecretRecords, type SecretRecord } from '../sandbox/cluster/raw-records';

/** What a Secret can be stored under. */
export interface StoredUnder {
  readonly scheme: KmsScheme;
  /** Versioned. */
  readonly keyId: string;
}

/** How many Secrets are stored under what. */
export interface EtcdCount {
  readonly newKey: number;
  readonly oldKey: number;
  readonly plaintext: number;
}

/** Counts the Secrets in etcd. The same key with KMS v1 and with KMS v2 is two things: a record of one is no record of the other. */
export async function lookIntoEtcd(
  { etcd }: SandboxClusterFacts,
  under: { readonly old: StoredUnder; readonly new?: StoredUnder },
): Promise<EtcdCount> {
  const count = { newKey: 0, oldKey: 0, plaintext: 0 };
  for await (const record of readSecretRecords(etcd)) {
    if (record.scheme === 'plaintext') count.plaintext++;
    else if (under.new && isStored(record, under.new)) count.newKey++;
    else if (isStored(record, under.old)) count.oldKey++;
  }
  return count;
}

function isStored(record: SecretRecord, { scheme, keyId }: StoredUnder): boolean {
  return record.scheme === scheme && isUnder(record, keyId);
}
