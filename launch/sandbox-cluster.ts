/** Makes an AKS cluster in the sandbox as a platform engineer would: group, identity, vault, key, cluster with KMS on. */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { armPost, armPut, connectAzure, type AzureRequest } from './azure-client';
import type { SandboxFacts } from './sandbox';

/** A cluster of the sandbox. */
export interface SandboxClusterFacts {
  readonly resourceId: string;
  /** Absolute path of the cluster-admin kubeconfig. */
  readonly kubeconfig: string;
  /** URL of its etcd. */
  readonly etcd: string;
  /** Versioned id of the key that it was made with. */
  readonly keyId: string;
}

/** How the cluster is to be. */
export interface SandboxClusterOptions {
  readonly name: string;
  /** Of the vault; globally unique in Azure, 3 to 24 characters. */
  readonly vaultName: string;
  /** Folder for its kubeconfig. */
  readonly directory: string;
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
    const keyId = await makeKey(request, vaultUrl, options.name);
    const resourceId = `${group}/providers/Microsoft.ContainerService/managedClusters/${options.name}`;
    await armPut(request, resourceId, clusterBody(options.name, identityId, keyId));
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

async function makeKey(request: AzureRequest, vaultUrl: string, name: string): Promise<string> {
  const { body } = await request('POST', `${vaultUrl}/keys/${name}/create?api-version=2025-07-01`, {
    kty: 'RSA',
    key_size: 2048,
  });
  return Key.parse(body).key.kid;
}

function clusterBody(name: string, identityId: string, keyId: string): unknown {
  return {
    location: LOCATION,
    identity: { type: 'UserAssigned', userAssignedIdentities: { [identityId]: {} } },
    properties: {
      kubernetesVersion: '1.34',
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
      securityProfile: { azureKeyVaultKms: { enabled: true, keyId, keyVaultNetworkAccess: 'Public' } },
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
  const response = await fetch(`${control.url}/state`, { headers: { authorization: `Bearer ${control.token}` } });
  const State = z.object({ clusters: z.array(z.object({ name: z.string(), etcdUrl: z.string().optional() })) });
  const cluster = State.parse(await response.json()).clusters.find((one) => one.name === name);
  if (cluster?.etcdUrl === undefined) throw new Error(`The sandbox does not run a cluster ${name}.`);
  return cluster.etcdUrl;
}
