/** What is there of a vault and a key that a cluster is to get, and whether it is fit for that. Pure: what could not be read is an answer. */
import { z } from 'zod';
import { resourceName, sameText } from './resource-ids';

/** How a vault gives rights. */
export const PermissionModel = z.enum(['rbac', 'access-policy']);
/** How a vault gives rights. */
export type PermissionModel = z.infer<typeof PermissionModel>;

/** A vault, as ARM shows it: what decides whether AKS may depend on it. */
export const FoundVault = z.object({
  location: z.string(),
  tenantId: z.string(),
  permissionModel: PermissionModel,
  softDelete: z.boolean(),
  purgeProtection: z.boolean(),
  /** Whether it answers on its public address to every network. */
  openToAllNetworks: z.boolean(),
});
/** A vault, as ARM shows it. */
export type FoundVault = z.infer<typeof FoundVault>;

/** What ARM has of a vault's name. `why` is a whole sentence. */
export const VaultState = z.discriminatedUnion('state', [
  z.object({ state: z.literal('free') }),
  z.object({ state: z.literal('exists'), vault: FoundVault }),
  /** Names are unique in a cloud: a vault elsewhere has it. */
  z.object({ state: z.literal('taken'), why: z.string() }),
  z.object({ state: z.literal('soft-deleted'), why: z.string() }),
  z.object({ state: z.literal('no-group'), why: z.string() }),
  z.object({ state: z.literal('unseen'), why: z.string() }),
]);
/** What ARM has of a vault's name. */
export type VaultState = z.infer<typeof VaultState>;

/** What there is, before a plan. */
export const Provisioning = z.object({
  /** ARM id that the vault has or is to have. */
  vaultId: z.string(),
  /** Of the cluster's subscription. */
  tenantId: z.string(),
  /** Object id of Keyturn's own identity. */
  ownObjectId: z.string(),
  vault: VaultState,
  /** The key of the name, in a vault that exists; `unseen`: Keyturn may not read keys there. */
  key: z.enum(['none', 'exists', 'soft-deleted', 'unseen']),
  /** The vault does not answer from where Keyturn runs: what is known of the key is what ARM shows, which knows no deleted ones. */
  keyThroughArm: z.literal(true).optional(),
});
/** What there is, before a plan. */
export type Provisioning = z.infer<typeof Provisioning>;

/** What a vault must be. */
export interface WantedVault {
  readonly location: string;
  readonly tenantId: string;
  readonly permissionModel: PermissionModel;
  /** How API servers are to reach it. */
  readonly access: 'Public' | 'Private';
}

/** In words. */
export function modelName(model: PermissionModel): string {
  return model === 'rbac' ? 'Azure RBAC' : 'access policies';
}

/** Why a vault that is there is not fit: one sentence each, with what a person can do. Keyturn changes none of it. */
export function vaultShortcomings(name: string, vault: FoundVault, wanted: WantedVault): string[] {
  const sentences: (string | false)[] = [
    !sameText(vault.tenantId, wanted.tenantId) &&
      `it is in the tenant ${vault.tenantId}, and the cluster in ${wanted.tenantId}: AKS needs both in one tenant.`,
    !sameText(plainLocation(vault.location), plainLocation(wanted.location)) &&
      `it is in ${vault.location}, and the cluster in ${wanted.location}: API servers would depend on two regions.`,
    vault.permissionModel !== wanted.permissionModel &&
      `it gives rights by ${modelName(vault.permissionModel)}, and ${modelName(wanted.permissionModel)} is asked for: ask with \`permissionModel\` ${vault.permissionModel}.`,
    !vault.softDelete && 'it has no soft delete: a key that is deleted by mistake is gone at once.',
    !vault.purgeProtection &&
      `it has no purge protection, so a deleted key could be lost for good. Turning it on cannot be undone, so a person does that: az keyvault update --name ${name} --enable-purge-protection true.`,
    wanted.access === 'Public' &&
      !vault.openToAllNetworks &&
      `it is not open to all networks, and with public access AKS reaches it from addresses that no firewall rule can name: az keyvault update --name ${name} --public-network-access Enabled --default-action Allow. Or ask with \`vaultAccess\` Private.`,
    wanted.access === 'Private' &&
      vault.openToAllNetworks &&
      `it answers to all networks, and private access is asked for: ask with \`vaultAccess\` Public; or close it, once no API server needs its public address: az keyvault update --name ${name} --public-network-access Disabled.`,
  ];
  return sentences.filter((sentence) => sentence !== false);
}

/** The command that gives Keyturn itself the rights on the keys of a vault. */
export function ownRightsCommand(vaultId: string, model: PermissionModel, ownObjectId: string): string {
  return model === 'rbac'
    ? `az role assignment create --role "Key Vault Crypto Officer" --assignee-object-id ${ownObjectId} --assignee-principal-type ServicePrincipal --scope ${vaultId}`
    : `az keyvault set-policy --name ${resourceName(vaultId)} --object-id ${ownObjectId} --key-permissions ${OWN_KEY_PERMISSIONS.join(' ')}`;
}

/** What Keyturn does with keys, over all kinds. Never purge. */
export const OWN_KEY_PERMISSIONS = ['get', 'list', 'create', 'update', 'delete', 'recover'] as const;

/** `West Europe` is `westeurope`. */
function plainLocation(location: string): string {
  return location.replaceAll(' ', '');
}
