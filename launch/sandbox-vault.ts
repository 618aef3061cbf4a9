/** Vaults of the sandbox, made and opened as a platform engineer would: grants, network access, keys. */
import { z } from 'zod';
import { armDelete, armPatch, armPut, type AzureRequest } from './azure-client';
import type { SandboxFacts } from './sandbox';

/** The permission model of a vault. */
export type VaultPermissions = 'access-policy' | 'rbac';

/** `keyVaultNetworkAccess`. */
export type VaultAccess = 'Public' | 'Private';

/** Where everything is. */
export const LOCATION = 'westeurope';
const GROUP = 'keyturn';
/** Key Vault Crypto User: the role that the AKS documents name. */
const CRYPTO_USER = '12338af0-0e69-4776-bea7-57ae8d297424';
/** Key Vault Contributor: with it AKS approves the private endpoint that it makes to a private vault. */
const CONTRIBUTOR = 'f25e0fa2-a7c8-4377-a976-54943a77a395';

const Vault = z.object({ properties: z.object({ vaultUri: z.string() }) });
const Key = z.object({ key: z.object({ kid: z.string() }) });

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
  await setRole(request, { facts, scope: id, role: CRYPTO_USER, principalId, granted });
}

/** Lets an identity approve private endpoints to a vault (Key Vault Contributor), or takes that. Keys have grants of their own. */
export async function setApproval(
  request: AzureRequest,
  {
    facts,
    name,
    principalId,
    granted,
  }: Omit<SandboxVault, 'permissions'> & { readonly principalId: string; readonly granted: boolean },
): Promise<void> {
  await setRole(request, { facts, scope: vaultId(facts, name), role: CONTRIBUTOR, principalId, granted });
}

/** Opens a vault to all networks, or closes it to all but private endpoints. Its keys stay. */
export async function setVaultAccess(
  request: AzureRequest,
  { facts, name }: Omit<SandboxVault, 'permissions'>,
  access: VaultAccess,
): Promise<void> {
  const publicNetworkAccess = access === 'Public' ? 'Enabled' : 'Disabled';
  await armPatch(request, vaultId(facts, name), { properties: { publicNetworkAccess } });
}

/**
 * Makes a private endpoint by hand, as for the network of Keyturn's worker: all clients on this machine reach the vault by it.
 * @returns its resource id, for {@link armDelete}
 */
export async function makeClientLink(
  request: AzureRequest,
  { facts, name }: Omit<SandboxVault, 'permissions'>,
): Promise<string> {
  const id = `${groupOf(facts)}/providers/Microsoft.Network/privateEndpoints/worker-to-${name}`;
  const privateLinkServiceId = vaultId(facts, name);
  await armPut(request, id, {
    location: LOCATION,
    properties: {
      privateLinkServiceConnections: [{ name: 'vault', properties: { privateLinkServiceId, groupIds: ['vault'] } }],
    },
  });
  return id;
}

async function setRole(
  request: AzureRequest,
  {
    facts,
    scope,
    role,
    principalId,
    granted,
  }: {
    readonly facts: SandboxFacts;
    readonly scope: string;
    readonly role: string;
    readonly principalId: string;
    readonly granted: boolean;
  },
): Promise<void> {
  // One name for one principal and role, so that the same assignment is found again.
  const name = `${role.slice(0, 8)}${principalId.slice(8)}`;
  const assignment = `${scope}/providers/Microsoft.Authorization/roleAssignments/${name}`;
  const roleDefinitionId = `/subscriptions/${facts.subscriptionId}/providers/Microsoft.Authorization/roleDefinitions/${role}`;
  if (granted) await armPut(request, assignment, { properties: { roleDefinitionId, principalId } });
  else await armDelete(request, assignment);
}

/** The resource group of a subscription that all of this is in. */
export function groupOf(facts: SandboxFacts, subscription: 'first' | 'other' = 'first'): string {
  return subscription === 'first'
    ? `/subscriptions/${facts.subscriptionId}/resourceGroups/${GROUP}`
    : `/subscriptions/${facts.otherSubscriptionId}/resourceGroups/${GROUP}-other`;
}

/** ARM id of a vault. */
export function vaultId(facts: SandboxFacts, name: string): string {
  return `${groupOf(facts)}/providers/Microsoft.KeyVault/vaults/${name}`;
}

/** Makes a version of a key. @returns its versioned id */
export async function makeKey(
  request: AzureRequest,
  vaultUrl: string,
  { name, keySize = 2048 }: { readonly name: string; readonly keySize?: number },
): Promise<string> {
  const { body } = await request('POST', `${vaultUrl}/keys/${name}/create?api-version=2025-07-01`, {
    kty: 'RSA',
    key_size: keySize,
  });
  return Key.parse(body).key.kid;
}
