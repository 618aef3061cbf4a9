/** A sandbox with one cluster, and Keyturn's own way into Azure: the credential that the environment describes. */
import { type AzureAccess, createAzureAccess } from '../../azure/access';
import type { ClusterChange } from '../../domain/cluster-change';
import { CLOUDS, type Cloud } from '../../domain/clouds';
import { parseKeyId, type KeyId } from '../../domain/resource-ids';
import { GROUP, TestAzure } from '../sandbox/azure-support';

const CREDENTIAL_VARIABLES = ['AZURE_TENANT_ID', 'AZURE_CLIENT_ID', 'AZURE_CLIENT_SECRET'] as const;

export const PUBLIC_CLOUD = CLOUDS.find(({ name }) => name === 'AzureCloud') as Cloud;
export const VAULT = 'kv-keyturn-1';

/** The sandbox, seen through Keyturn's eyes. */
export class AzureRig {
  private constructor(
    readonly azure: TestAzure,
    readonly access: AzureAccess,
    /** The key that the cluster was made with. */
    readonly key: string,
    readonly cluster: string,
    private readonly identityId: string,
  ) {}

  static async start(): Promise<AzureRig> {
    const azure = await TestAzure.start();
    const { tenantId, clientId, clientSecret, subscriptionId } = azure.sandbox;
    process.env.AZURE_TENANT_ID = tenantId;
    process.env.AZURE_CLIENT_ID = clientId;
    process.env.AZURE_CLIENT_SECRET = clientSecret;
    const { identityId } = await azure.provision(VAULT);
    const key = String((await azure.keys(VAULT).createRsaKey('etcd', { keySize: 3072 })).id);
    await azure.containers.managedClusters.createOrUpdate(GROUP, 'c1', azure.clusterParameters(identityId, key), {
      updateIntervalInMs: 5,
    });
    const cluster = `/subscriptions/${subscriptionId}${azure.clusterPath('c1')}`;
    return new AzureRig(azure, createAzureAccess(PUBLIC_CLOUD), key, cluster, identityId);
  }

  async stop(): Promise<void> {
    for (const name of CREDENTIAL_VARIABLES) delete process.env[name];
    await this.azure.stop();
  }

  async newKey(): Promise<string> {
    return String((await this.azure.keys(VAULT).createRsaKey('etcd')).id);
  }

  /** How often a PUT of the cluster changed its KMS profile. */
  kmsPuts(): number {
    return this.azure.sandbox.journal.entries().filter(({ kms }) => kms).length;
  }

  /** The cluster as ARM shows it to anybody. */
  async raw(): Promise<{ properties: Record<string, unknown> } & Record<string, unknown>> {
    const { body } = await this.azure.arm('GET', this.azure.clusterPath('c1'));
    return body as { properties: Record<string, unknown> };
  }

  /** Somebody else's change. */
  async putRaw(body: unknown): Promise<void> {
    await this.azure.poll(await this.azure.arm('PUT', this.azure.clusterPath('c1'), { body }));
  }

  identity(): string {
    return this.identityId;
  }
}

/** The change to a key in a public vault. */
export const kmsOn = (keyId: string): Extract<ClusterChange, { type: 'kms' }> => ({
  type: 'kms',
  to: { mode: 'on', keyId, access: 'Public' },
});

export function keyOf(kid: string): KeyId {
  const key = parseKeyId(kid);
  if ('fault' in key) throw new Error(key.fault);
  return key;
}
