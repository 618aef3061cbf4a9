/** Makes an AKS cluster in the sandbox as a platform engineer would: group, identity, vault, key, cluster. */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { armPost, armPut, connectAzure, type AzureRequest } from './azure-client';
import type { SandboxFacts } from './sandbox';
import { SandboxControl } from './sandbox-control';

/** A cluster of the sandbox. */
export interface SandboxClusterFacts {
  readonly resourceId: string;
  /** Absolute path of the cluster-admin kubeconfig. */
  readonly kubeconfig: string;
  /** URL of its etcd. */
  readonly etcd: string;
  /** Versioned id of the key that it was made with; without KMS, of the key that its identity may use. */
  readonly keyId: string;
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
  /** Whether KMS is on from the start; true when absent. Vault and key are made in any case. */
  readonly kms?: boolean;
  /** ARM tags. */
  readonly tags?: Readonly<Record<string, string>>;
  /** Bits of the RSA key: 2048, 3072 or 4096; 2048 when absent. */
  readonly keySize?: number;
}

const LOCATION = 'westeurope';
const GROUP = 'keyturn';

/** Makes the cluster; resolves when ARM says that it Succeeded. */
export async function makeSandboxCluster(
  facts: SandboxFacts,
  options: SandboxClusterOptions,
): Promise<SandboxClusterFacts> {
  const azure = await connectAzure(facts);
  const { request } = azure;
  try {
    const group = `/subscriptions/${facts.subscriptionId}/resourceGroups/${GROUP}`;
    await armPut(request, group, { location: LOCATION });
    const identityId = `${group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/${options.name}`;
    const identity = Identity.parse(await armPut(request, identityId, { location: LOCATION }));
    const vaultUrl = await makeVault(
      request,
      facts,
      `${group}/providers/Microsoft.KeyVault/vaults/${options.vaultName}`,
      identity.properties.principalId,
    );
    const keyId = await makeKey(request, vaultUrl, options);
    const resourceId = `${group}/providers/Microsoft.ContainerService/managedClusters/${options.name}`;
    await armPut(request, resourceId, clusterBody(options, identityId, keyId));
    return {
      resourceId,
      keyId,
      kubeconfig: await writeKubeconfig(request, resourceId, options),
      etcd: await etcdOf(facts, options.name),
    };
  } finally {
    await azure.close();
  }
}

const Identity = z.object({ properties: z.object({ principalId: z.string() }) });
const Vault = z.object({ properties: z.object({ vaultUri: z.string() }) });
const Key = z.object({ key: z.object({ kid: z.string() }) });
const Credentials = z.object({ kubeconfigs: z.tuple([z.object({ value: z.string() })]) });

async function makeVault(request: AzureRequest, facts: SandboxFacts, id: string, principalId: string): Promise<string> {
  const vault = await armPut(request, id, {
    location: LOCATION,
    properties: {
      tenantId: facts.tenantId,
      sku: { family: 'A', name: 'standard' },
      enableRbacAuthorization: false,
      enablePurgeProtection: true,
      accessPolicies: [
        { tenantId: facts.tenantId, objectId: principalId, permissions: { keys: ['get', 'encrypt', 'decrypt'] } },
      ],
    },
  });
  return Vault.parse(vault).properties.vaultUri.replace(/\/$/, '');
}

async function makeKey(
  request: AzureRequest,
  vaultUrl: string,
  { name, keySize = 2048 }: SandboxClusterOptions,
): Promise<string> {
  const { body } = await request('POST', `${vaultUrl}/keys/${name}/create?api-version=2025-07-01`, {
    kty: 'RSA',
    key_size: keySize,
  });
  return Key.parse(body).key.kid;
}

function clusterBody(options: SandboxClusterOptions, identityId: string, keyId: string): unknown {
  const { name, kubernetesVersion = '1.34', apiServers, kmsProviderNames, kms = true, tags } = options;
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
      securityProfile: kms ? { azureKeyVaultKms: { enabled: true, keyId, keyVaultNetworkAccess: 'Public' } } : {},
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
