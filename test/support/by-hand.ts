/** What a person does to a cluster and its vaults with `az`, without Keyturn. */
import { AdmissionregistrationV1Api } from '@kubernetes/client-node';
import { z } from 'zod';
import {
  armDelete,
  armPut,
  connectAzure,
  operationEnd,
  type AzureRequest,
  type CloudName,
} from '../../launch/azure-client';
import {
  makeKey,
  makeVault,
  setGrant,
  type SandboxClusterFacts,
  type VaultPermissions,
} from '../../launch/sandbox-cluster';
import { mustParseKeyId } from '../../domain/resource-ids';
import { makeClientLink, setApproval, setVaultAccess } from '../../launch/sandbox-vault';
import { eventually } from '../sandbox/cluster-support';
import { kubeApi } from './kube';
import { testStack } from './stack';

const Body = z.looseObject({
  identity: z.looseObject({ userAssignedIdentities: z.record(z.string(), z.unknown()).optional() }),
  properties: z.looseObject({ securityProfile: z.record(z.string(), z.unknown()).optional() }),
});

/** Azure is done in seconds here; a busy machine takes longer. */
const WITHIN_IN_MS = 120_000;
const Provisioning = z.object({ properties: z.object({ provisioningState: z.string() }) });

/** Requests as the administrator of the subscription. @param cloud the public one when absent */
export async function asAdministrator<T>(work: (request: AzureRequest) => Promise<T>, cloud?: CloudName): Promise<T> {
  const azure = await connectAzure(testStack().sandbox, cloud);
  try {
    return await work(azure.request);
  } finally {
    await azure.close();
  }
}

/**
 * `az aks update` with a key, or with null `--disable-azure-keyvault-kms`; no rewrite follows.
 * @throws Error when AKS refuses it, or its operation fails
 */
export async function setKeyByHand(
  { resourceId }: Pick<SandboxClusterFacts, 'resourceId'>,
  keyId: string | null,
): Promise<void> {
  const azureKeyVaultKms =
    keyId === null ? { enabled: false } : { enabled: true, keyId, keyVaultNetworkAccess: 'Public' };
  await putByHand(resourceId, (body) => ({
    ...body,
    properties: { ...body.properties, securityProfile: { ...body.properties.securityProfile, azureKeyVaultKms } },
  }));
}

/** Changes a cluster in ARM past Keyturn; resolves when Azure is done. */
export async function putByHand(
  resourceId: string,
  change: (body: z.infer<typeof Body>) => Record<string, unknown>,
): Promise<void> {
  await asAdministrator(async (request) => {
    const url = `https://management.azure.com${resourceId}?api-version=2026-04-01`;
    const body = Body.parse((await request('GET', url)).body);
    const identities = Object.keys(body.identity.userAssignedIdentities ?? {}).map((id) => [id, {}] as const);
    const identity = { ...body.identity, userAssignedIdentities: Object.fromEntries(identities) };
    await armPut(request, resourceId, change({ ...body, identity }));
  });
}

/** `az aks wait --updated`: resolves when Azure is not changing the cluster. */
export async function untilUpdated({ resourceId }: Pick<SandboxClusterFacts, 'resourceId'>): Promise<void> {
  const url = `https://management.azure.com${resourceId}?api-version=2026-04-01`;
  await asAdministrator((request) =>
    eventually(async () => {
      const { properties } = Provisioning.parse((await request('GET', url)).body);
      return properties.provisioningState === 'Succeeded';
    }, WITHIN_IN_MS),
  );
}

/** `az aks update --tags`; does not wait until Azure is done. */
export async function tagByHand(
  { resourceId }: Pick<SandboxClusterFacts, 'resourceId'>,
  tags: Readonly<Record<string, string>>,
): Promise<void> {
  const url = `https://management.azure.com${resourceId}?api-version=2026-04-01`;
  await asAdministrator((request) => request('PATCH', url, { tags }));
}

/** `az aks stop`, after which nothing inside the cluster answers, and `az aks start`. */
export async function powerByHand(
  { resourceId }: Pick<SandboxClusterFacts, 'resourceId'>,
  action: 'stop' | 'start',
): Promise<void> {
  await asAdministrator(async (request) => {
    const url = `https://management.azure.com${resourceId}/${action}?api-version=2026-04-01`;
    const { operationUrl } = await request('POST', url);
    if (operationUrl !== null) await operationEnd(request, operationUrl, `${action} of ${resourceId}`);
  });
}

/**
 * A validating webhook whose rule has wildcards, in a namespace that does not exist: it must answer only where an object has a label
 * that no object has. @returns what removes it
 */
export async function addWebhookByHand(
  cluster: Pick<SandboxClusterFacts, 'kubeconfig'>,
  name: string,
): Promise<() => Promise<void>> {
  const api = kubeApi(cluster).config.makeApiClient(AdmissionregistrationV1Api);
  const webhook = {
    name: 'everything.example.com',
    admissionReviewVersions: ['v1'],
    sideEffects: 'None',
    clientConfig: { service: { namespace: 'policies', name: 'policies' } },
    objectSelector: { matchLabels: { 'example.com/policies': 'on' } },
    rules: [{ apiGroups: ['*'], apiVersions: ['*'], operations: ['CREATE', 'UPDATE'], resources: ['*'] }],
  };
  await api.createValidatingWebhookConfiguration({ body: { metadata: { name }, webhooks: [webhook] } });
  return async () => void (await api.deleteValidatingWebhookConfiguration({ name }));
}

/** `az keyvault key create`: another version of the same key. @returns its versioned id */
export async function newVersionByHand(keyId: string): Promise<string> {
  const [, vaultUrl = '', name = ''] = /^(https:\/\/[^/]+)\/keys\/([^/]+)\//.exec(keyId) ?? [];
  return await asAdministrator((request) => makeKey(request, vaultUrl, { name }));
}

/** Makes a version of a key in a closed vault, from its network. @returns its id */
export async function newVersionInClosedVault(keyId: string): Promise<string> {
  return await inNetworkOf(keyId, () => newVersionByHand(keyId));
}

/** Does something while this machine, Keyturn included, has a private endpoint of the vault of a key. */
export async function inNetworkOf<T>(keyId: string, work: () => Promise<T>): Promise<T> {
  const { sandbox: facts } = testStack();
  const { vaultName: name } = mustParseKeyId(keyId);
  return await asAdministrator(async (request) => {
    const link = await makeClientLink(request, { facts, name });
    try {
      return await work();
    } finally {
      await armDelete(request, link);
    }
  });
}

/** Lets the identity of a cluster approve private endpoints of a vault: Key Vault Contributor. */
export async function letApproveByHand(
  { principalId }: Pick<SandboxClusterFacts, 'principalId'>,
  name: string,
  granted = true,
): Promise<void> {
  const { sandbox: facts } = testStack();
  await asAdministrator((request) => setApproval(request, { facts, name, principalId, granted }));
}

/** Opens a vault to all networks, or closes its public address. */
export async function setVaultAccessByHand(name: string, access: 'Public' | 'Private'): Promise<void> {
  const { sandbox: facts } = testStack();
  await asAdministrator((request) => setVaultAccess(request, { facts, name }, access));
}

/** A private endpoint in the network that Keyturn and the tests run in. */
export async function linkWorkerByHand(name: string): Promise<void> {
  const { sandbox: facts } = testStack();
  await asAdministrator((request) => makeClientLink(request, { facts, name }));
}

/** `az keyvault create` and `az keyvault key create`: a vault that grants nothing yet. @returns the key's versioned id */
export async function makeVaultByHand(name: string, permissions: VaultPermissions): Promise<string> {
  const { sandbox } = testStack();
  return await asAdministrator(async (request) => {
    const vaultUrl = await makeVault(request, { facts: sandbox, name, permissions });
    return await makeKey(request, vaultUrl, { name: 'etcd' });
  });
}

/** Gives the identity of a cluster the rights on a vault, or takes them. */
export async function grantByHand(
  { principalId }: Pick<SandboxClusterFacts, 'principalId'>,
  vault: { readonly name: string; readonly permissions: VaultPermissions },
  granted = true,
): Promise<void> {
  const { sandbox } = testStack();
  await asAdministrator((request) => setGrant(request, { facts: sandbox, ...vault, principalId, granted }));
}

const GROUP_OF = (subscriptionId: string): string => `/subscriptions/${subscriptionId}/resourceGroups/keyturn`;

/** The ARM id of a vault of the sandbox's first subscription. */
export function vaultIdOf(name: string): string {
  return `${GROUP_OF(testStack().sandbox.subscriptionId)}/providers/Microsoft.KeyVault/vaults/${name}`;
}

/** The ARM id of a managed identity there. */
export function identityIdOf(name: string): string {
  return `${GROUP_OF(testStack().sandbox.subscriptionId)}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/${name}`;
}

/** The ARM id of a managed cluster there. */
export function clusterIdOf(name: string): string {
  return `${GROUP_OF(testStack().sandbox.subscriptionId)}/providers/Microsoft.ContainerService/managedClusters/${name}`;
}

/** The ARM id of a Log Analytics workspace there. */
export function workspaceIdOf(name: string): string {
  return `${GROUP_OF(testStack().sandbox.subscriptionId)}/providers/Microsoft.OperationalInsights/workspaces/${name}`;
}

/** `az monitor log-analytics workspace create`. */
export async function makeWorkspaceByHand(name: string): Promise<void> {
  await asAdministrator((request) => armPut(request, workspaceIdOf(name), { location: 'westeurope' }));
}

/** A diagnostic setting of a vault: `az monitor diagnostic-settings create`, by a person. */
export async function setDiagnosticsByHand(
  vault: string,
  {
    name,
    workspace,
    enabled = true,
  }: { readonly name: string; readonly workspace: string; readonly enabled?: boolean },
): Promise<void> {
  const logs = [{ category: 'AuditEvent', enabled }];
  const body = { properties: { workspaceId: workspaceIdOf(workspace), logs } };
  await asAdministrator((request) => armPut(request, settingId(vault, name), body));
}

/** `az monitor diagnostic-settings delete`. */
export async function removeDiagnosticsByHand(vault: string, name: string): Promise<void> {
  await asAdministrator((request) => armDelete(request, settingId(vault, name)));
}

function settingId(vault: string, name: string): string {
  return `${vaultIdOf(vault)}/providers/Microsoft.Insights/diagnosticSettings/${name}`;
}
