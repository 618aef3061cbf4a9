/**
 * What AKS checks about KMS before it accepts a PUT (facts 4.2 and 4.3), and which key slots follow from it.
 *
 * Needs: vaults, role assignments.
 * Does: refuses with AKS's words where they are public, with a code that starts with `Sandbox` where they are not.
 * Never does: check the previous key. AKS does not either: that one is the operator's to keep.
 */
import { z } from 'zod';
import type { EncryptionState } from '../../cluster/contract';
import type { AzureCloud } from '../clouds';
import type { ServicePrincipal } from '../entra/directory';
import { AzureError, badRequest } from '../errors';
import { describeIssues, objectAt, type JsonObject } from '../json';
import { isPermitted } from '../vault/access';
import { checkUsable } from '../vault/crypto';
import { kidOf } from '../vault/key-json';
import { parseKid } from '../vault/kid';
import type { Vault, VaultRegistry } from '../vault/registry';
import type { RoleAssignments } from './role-assignments';

const profileSchema = z.looseObject({
  enabled: z.boolean().nullish(),
  keyId: z.string().nullish(),
  keyVaultNetworkAccess: z.enum(['Public', 'Private']).nullish(),
  keyVaultResourceId: z.string().nullish(),
});

/** `securityProfile.azureKeyVaultKms`. */
export type KmsProfile = z.infer<typeof profileSchema>;

/** AKS keeps two keys: current and previous. */
const KEY_SLOTS = 2;

/** What the rules look at besides the profile. */
export interface KmsRuleContext {
  readonly cloud: AzureCloud;
  readonly tenantId: string;
  readonly registry: VaultRegistry;
  readonly assignments: RoleAssignments;
  /** The type of the cluster's identity: `SystemAssigned`, `UserAssigned`. */
  readonly identityType: string;
  /** The principal of the user-assigned identity, if that is the type. */
  readonly identity: ServicePrincipal | undefined;
  /** Whether the API servers run with VNet integration, which a cluster that exists has only after a restart. */
  readonly vnetIntegrated: boolean;
}

/** The profile inside a cluster's properties; undefined when there is none. @throws AzureError 400 when it is malformed. */
export function kmsProfileOf(properties: JsonObject): KmsProfile | undefined {
  const raw = objectAt(properties, 'securityProfile')['azureKeyVaultKms'];
  if (raw === undefined || raw === null) return undefined;
  const parsed = profileSchema.safeParse(raw);
  if (parsed.success) return parsed.data;
  throw refuse('InvalidParameter', `securityProfile.azureKeyVaultKms is not valid: ${describeIssues(parsed.error)}.`);
}

/**
 * Checks an enabled profile.
 * @returns the key id in the vault's own spelling.
 * @throws AzureError 400 for the first rule that is violated.
 */
export function checkKmsProfile(profile: KmsProfile, context: KmsRuleContext): string {
  const { identity, identityType, registry, tenantId } = context;
  if (profile.keyVaultNetworkAccess === undefined || profile.keyVaultNetworkAccess === null) {
    throw refuse('BadRequest', 'KeyVault network access is unspecified for Azure Key Vault KMS.');
  }
  if (identityType !== 'UserAssigned' || identity === undefined) {
    throw refuse(
      'BadRequest',
      `AzureKeyVaultKms feature does not support cluster identity type ${identityType}, supported value is 'UserAssigned'`,
    );
  }
  const keyId = profile.keyId ?? '';
  const kid = parseKid(keyId);
  if (kid?.version === undefined) {
    throw refuse(
      'SandboxKmsKeyIdNotValid',
      `The key id '${keyId}' is not a versioned Key Vault key id. Use https://{vault}.${context.cloud.vaultSuffix}/keys/{name}/{version}.`,
    );
  }
  const vault = registry.findByHost(kid.host);
  if (vault === undefined) {
    throw refuse('SandboxKmsVaultNotFound', `The vault ${kid.host} of key id '${keyId}' does not exist.`);
  }
  if (vault.properties.tenantId.toLowerCase() !== tenantId) {
    throw refuse(
      'SandboxKmsVaultInOtherTenant',
      `The vault ${vault.name} belongs to tenant ${vault.properties.tenantId}; the cluster belongs to ${tenantId}.`,
    );
  }
  if (profile.keyVaultNetworkAccess === 'Private') checkPrivate(profile, vault, context.vnetIntegrated);
  else checkPublic(vault, identity, context.assignments, kid.name);
  return checkKey(vault, kid.name, kid.version);
}

/**
 * The network access of the attached vault stays as it is while KMS is on; another vault may come with another access (AKS documents,
 * "Update a key vault mode").
 * @throws AzureError 400
 */
export function checkAccessKept(before: KmsProfile | undefined, profile: KmsProfile): void {
  const hostOf = ({ keyId }: KmsProfile): string | undefined => parseKid(keyId ?? '')?.host.toLowerCase();
  if (before?.enabled !== true || profile.enabled !== true || hostOf(before) !== hostOf(profile)) return;
  const [from, to] = [before.keyVaultNetworkAccess ?? 'Public', profile.keyVaultNetworkAccess ?? 'Public'];
  if (from === to) return;
  throw refuse(
    'SandboxKmsNetworkAccessChange',
    `keyVaultNetworkAccess of the attached key vault cannot be changed from ${from} to ${to} while KMS is on. Disable KMS, rewrite all Secrets, then enable it with ${to}; or use a key of another vault.`,
  );
}

/** A vault with a firewall fails the public check with the permission's message: seen in the field (azure-docs#98954). */
function checkPublic(vault: Vault, identity: ServicePrincipal, assignments: RoleAssignments, keyName: string): void {
  const { publicNetworkAccess, networkAcls } = vault.properties;
  const openToAll = publicNetworkAccess === 'Enabled' && networkAcls?.defaultAction !== 'Deny';
  const permitted = (['encrypt', 'decrypt'] as const).every((permission) =>
    isPermitted(vault, assignments, identity, permission, keyName),
  );
  if (openToAll && permitted) return;
  throw refuse(
    'AzureKeyVaultKmsValidateIdentityPermissionCustomerError',
    `The identity does not have keys encrypt/decrypt permission on key vault https://${vault.name}.${vault.cloud.vaultSuffix}/`,
  );
}

/** AKS cannot check permissions behind a private endpoint, so it does not. */
function checkPrivate(profile: KmsProfile, vault: Vault, vnetIntegrated: boolean): void {
  if (
    profile.keyVaultResourceId === undefined ||
    profile.keyVaultResourceId === null ||
    profile.keyVaultResourceId === ''
  ) {
    throw refuse('BadRequest', 'KeyVault resource ID is empty when KeyVault network access is Private.');
  }
  if (!vnetIntegrated) {
    throw refuse('BadRequest', 'Vnet integration should be enabled when KeyVault network access is Private.');
  }
  if (profile.keyVaultResourceId.toLowerCase() !== vault.id.toLowerCase()) {
    throw refuse(
      'SandboxKmsVaultMismatch',
      `keyVaultResourceId names ${profile.keyVaultResourceId}, but the key id belongs to ${vault.id}.`,
    );
  }
}

function checkKey(vault: Vault, name: string, versionId: string): string {
  try {
    const version = vault.keys.getVersion(name, versionId);
    checkUsable(version, 'encrypt');
    checkUsable(version, 'decrypt');
    return kidOf(vault, vault.keys.get(name).name, version);
  } catch (error) {
    if (!(error instanceof AzureError)) throw error;
    throw refuse('SandboxKmsKeyNotUsable', `The key ${name}/${versionId} cannot be used for KMS: ${error.toLine()}`);
  }
}

/**
 * The slots after a PUT. `applied` is what the API servers run with, not what the last PUT asked for: a roll-out that
 * failed has put no key into a slot.
 */
export function nextEncryption(applied: EncryptionState, kid: string | undefined): EncryptionState {
  if (kid === undefined) return { write: 'identity', slots: applied.slots.slice(0, 1) };
  return { write: 'kms', slots: [kid, ...applied.slots.filter((slot) => slot !== kid)].slice(0, KEY_SLOTS) };
}

function refuse(code: string, message: string): AzureError {
  return badRequest(message, code, { shape: 'bare' });
}
