/** Makes an AKS cluster in the sandbox as a platform engineer would: group, identity, vault, key, cluster. */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { armPost, armPut, connectAzure, type AzureRequest, type CloudName } from './azure-client';
import type { SandboxFacts } from './sandbox';
import { SandboxControl } from './sandbox-control';
import {
  groupOf,
  LOCATION,
  makeKey,
  makeVault,
  setApproval,
  setGrant,
  setVaultAccess,
  vaultId,
  type VaultAccess,
  type VaultPermissions,
} from './sandbox-vault';

export { makeKey, makeVault, setGrant, type SandboxVault, type VaultPermissions } from './sandbox-vault';

/** A cluster of the sandbox. */
export interface SandboxClusterFacts {
  readonly resourceId: string;
  /** Absolute path of the cluster-admin kubeconfig. */
  readonly kubeconfig: string;
  /** URL of its etcd. */
  readonly etcd: string;
  /** Versioned id of the key that it was made with; without KMS, of the key that its identity may use. */
  readonly keyId: string;
  /** Object id of its identity. */
  readonly principalId: string;
}

/** How the cluster is to be. */
export interface SandboxClusterOptions {
  readonly name: string;
  /** Of the vault; globally unique in Azure, 3 to 24 characters. */
  readonly vaultName: string;
  /** Folder for its kubeconfig. */
  readonly directory: string;
  /** `1.34` when absent. KMS is v1 below 1.27. */
  readonly kubernetesVersion?: string;
  /** 1 to 5; 1 when absent. */
  readonly apiServers?: number;
  /** `shared` puts all keys behind one provider name: KMS v1 only. `per-key` when absent. */
  readonly kmsProviderNames?: 'per-key' | 'shared';
  /** How the vault gives rights: access policies when absent. */
  readonly vaultPermissions?: VaultPermissions;
  /** Whether KMS is on from the start; true when absent. Vault and key are made in any case. */
  readonly kms?: boolean;
  /** ARM tags. */
  readonly tags?: Readonly<Record<string, string>>;
  /** In which subscription; the first when absent. The vault is in the first. */
  readonly subscription?: 'first' | 'other';
  /** Whether it is made with API Server VNet Integration; as `vaultAccess` needs it when absent. */
  readonly vnetIntegration?: boolean;
  /**
   * `Private`: the vault is closed to all networks (`publicNetworkAccess: Disabled`), the cluster has KMS Private, and its identity may
   * approve the private endpoint. `Public` when absent.
   */
  readonly vaultAccess?: VaultAccess;
  /** The public one when absent. */
  readonly cloud?: CloudName;
  /** Bits of the RSA key: 2048, 3072 or 4096; 2048 when absent. */
  readonly keySize?: number;
}

/** Makes the cluster; resolves when ARM says that it Succeeded. */
export async function makeSandboxCluster(
  facts: SandboxFacts,
  options: SandboxClusterOptions,
): Promise<SandboxClusterFacts> {
  const azure = await connectAzure(facts, options.cloud);
  const { request } = azure;
  try {
    const group = groupOf(facts, options.subscription);
    for (const one of new Set([groupOf(facts), group])) await armPut(request, one, { location: LOCATION });
    const identityId = `${group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/${options.name}`;
    const { principalId } = Identity.parse(await armPut(request, identityId, { location: LOCATION })).properties;
    const { vaultName, vaultPermissions: permissions = 'access-policy', vaultAccess = 'Public' } = options;
    const vault = { facts, name: vaultName, permissions };
    const vaultUrl = await makeVault(request, vault);
    await setGrant(request, { ...vault, principalId, granted: true });
    const keyId = await makeKey(request, vaultUrl, options);
    if (vaultAccess === 'Private') {
      await setApproval(request, { ...vault, principalId, granted: true });
      await setVaultAccess(request, vault, vaultAccess);
    }
    const resourceId = `${group}/providers/Microsoft.ContainerService/managedClusters/${options.name}`;
    await armPut(request, resourceId, clusterBody(options, { identityId, keyId, vaultId: vaultId(facts, vaultName) }));
    return {
      resourceId,
      keyId,
      principalId,
      kubeconfig: await writeKubeconfig(request, resourceId, options),
      etcd: await etcdOf(facts, options.name),
    };
  } finally {
    await azure.close();
  }
}

const Identity = z.object({ properties: z.object({ principalId: z.string() }) });
const Credentials = z.object({ kubeconfigs: z.tuple([z.object({ value: z.string() })]) });

function clusterBody(
  options: SandboxClusterOptions,
  { identityId, keyId, vaultId }: { readonly identityId: string; readonly keyId: string; readonly vaultId: string },
): unknown {
  const { name, kubernetesVersion = '1.34', apiServers, kmsProviderNames, kms = true, tags } = options;
  const { vaultAccess = 'Public', vnetIntegration = vaultAccess === 'Private' } = options;
  return {
    location: LOCATION,
    // The sandbox's own settings, which Azure has no property for; undefined ones are not sent.
    tags: {
      ...tags,
      'sandbox-api-servers': apiServers === undefined ? undefined : String(apiServers),
      'sandbox-kms-provider-names': kmsProviderNames,
    },
    identity: { type: 'UserAssigned', userAssignedIdentities: { [identityId]: {} } },
    properties: {
      kubernetesVersion,
      dnsPrefix: name,
      agentPoolProfiles: [
        {
          name: 'nodepool1',
          count: 1,
          vmSize: 'Standard_D2s_v5',
          mode: 'System',
          type: 'VirtualMachineScaleSets',
          osType: 'Linux',
        },
      ],
      ...(vnetIntegration ? { apiServerAccessProfile: { enableVnetIntegration: true } } : {}),
      securityProfile: kms
        ? {
            azureKeyVaultKms: {
              enabled: true,
              keyId,
              keyVaultNetworkAccess: vaultAccess,
              ...(vaultAccess === 'Private' ? { keyVaultResourceId: vaultId } : {}),
            },
          }
        : {},
    },
  };
}

async function writeKubeconfig(
  request: AzureRequest,
  resourceId: string,
  options: SandboxClusterOptions,
): Promise<string> {
  const { kubeconfigs } = Credentials.parse(await armPost(request, `${resourceId}/listClusterAdminCredential`));
  const file = path.resolve(options.directory, `${options.name}.kubeconfig`);
  mkdirSync(options.directory, { recursive: true });
  writeFileSync(file, Buffer.from(kubeconfigs[0].value, 'base64'), { mode: 0o600 });
  return file;
}

async function etcdOf({ control }: SandboxFacts, name: string): Promise<string> {
  const { clusters } = await new SandboxControl(control).state();
  const cluster = clusters.find((one) => one.name === name);
  if (cluster?.etcdUrl === undefined) throw new Error(`The sandbox does not run a cluster ${name}.`);
  return cluster.etcdUrl;
}
