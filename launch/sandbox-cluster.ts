/** Makes an AKS cluster in the sandbox as a platform engineer would: group, identity, vault, key, cluster. */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { armDelete, armPost, armPut, connectAzure, type AzureRequest } from './azure-client';
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
  /** Object id of its identity. */
  readonly principalId: string;
}

/** The permission model of a vault. */
export type VaultPermissions = 'access-policy' | 'rbac';

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
  /** Bits of the RSA key: 2048, 3072 or 4096; 2048 when absent. */
  readonly keySize?: number;
}

const LOCATION = 'westeurope';
const GROUP = 'keyturn';
/** Key Vault Crypto User: the role that the AKS documents name. */
const CRYPTO_USER = '12338af0-0e69-4776-bea7-57ae8d297424';

/** Makes the cluster; resolves when ARM says that it Succeeded. */
export async function makeSandboxCluster(
  facts: SandboxFacts,
  options: SandboxClusterOptions,
): Promise<SandboxClusterFacts> {
  const azure = await connectAzure(facts);
  const { request } = azure;
  try {
    const group = groupOf(facts, options.subscription);
    for (const one of new Set([groupOf(facts), group])) await armPut(request, one, { location: LOCATION });
    const identityId = `${group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/${options.name}`;
    const { principalId } = Identity.parse(await armPut(request, identityId, { location: LOCATION })).properties;
    const { vaultName, vaultPermissions: permissions = 'access-policy' } = options;
    const vault = { facts, name: vaultName, permissions };
    const vaultUrl = await makeVault(request, vault);
    await setGrant(request, { ...vault, principalId, granted: true });
    const keyId = await makeKey(request, vaultUrl, options);
    const resourceId = `${group}/providers/Microsoft.ContainerService/managedClusters/${options.name}`;
    await armPut(request, resourceId, clusterBody(options, identityId, keyId));
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
const Vault = z.object({ properties: z.object({ vaultUri: z.string() }) });
const Key = z.object({ key: z.object({ kid: z.string() }) });
const Credentials = z.object({ kubeconfigs: z.tuple([z.object({ value: z.string() })]) });

/** A vault of the sandbox. */
export interface SandboxVault {
  readonly facts: SandboxFacts;
  readonly name: string;
  readonly permissions: VaultPermissions;
}

/** Makes a vault that gives no rights yet. @returns its URL */
export async function makeVault(request: AzureRequest, { facts, name, permissions }: SandboxVault): Promise<string> {
  const vault = await armPut(request, vaultId(facts, name), {
    location: LOCATION,
    properties: {
      tenantId: facts.tenantId,
      sku: { family: 'A', name: 'standard' },
      enableRbacAuthorization: permissions === 'rbac',
      enablePurgeProtection: true,
      accessPolicies: [],
    },
  });
  return Vault.parse(vault).properties.vaultUri.replace(/\/$/, '');
}

/** Gives an identity the rights that the AKS documents name, in the way of the vault; or takes them. */
export async function setGrant(
  request: AzureRequest,
  {
    facts,
    name,
    permissions,
    principalId,
    granted,
  }: SandboxVault & { readonly principalId: string; readonly granted: boolean },
): Promise<void> {
  const id = vaultId(facts, name);
  if (permissions === 'access-policy') {
    const policy = { tenantId: facts.tenantId, objectId: principalId, permissions: { keys: ['decrypt', 'encrypt'] } };
    await armPut(request, `${id}/accessPolicies/${granted ? 'add' : 'remove'}`, {
      properties: { accessPolicies: [policy] },
    });
    return;
  }
  // One name for one principal, so that the same assignment is found again.
  const assignment = `${id}/providers/Microsoft.Authorization/roleAssignments/${principalId}`;
  const roleDefinitionId = `/subscriptions/${facts.subscriptionId}/providers/Microsoft.Authorization/roleDefinitions/${CRYPTO_USER}`;
  if (granted) await armPut(request, assignment, { properties: { roleDefinitionId, principalId } });
  else await armDelete(request, assignment);
}

function groupOf(facts: SandboxFacts, subscription: SandboxClusterOptions['subscription'] = 'first'): string {
  return subscription === 'first'
    ? `/subscriptions/${facts.subscriptionId}/resourceGroups/${GROUP}`
    : `/subscriptions/${facts.otherSubscriptionId}/resourceGroups/${GROUP}-other`;
}

function vaultId(facts: SandboxFacts, name: string): string {
  return `${groupOf(facts)}/providers/Microsoft.KeyVault/vaults/${name}`;
}

/** Makes a version of a key. @returns its versioned id */
export async function makeKey(
  request: AzureRequest,
  vaultUrl: string,
  { name, keySize = 2048 }: Pick<SandboxClusterOptions, 'name' | 'keySize'>,
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
