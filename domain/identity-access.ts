/**
 * What the identity of a cluster may do with a key: the answer of Azure's two permission models, as far as Keyturn sees them.
 *
 * Only AKS can try a key as the cluster's identity, so Keyturn reads what Azure grants. Pure: facts come in as
 * arguments, and what could not be read makes a right unknown, never missing.
 */
import { z } from 'zod';

/** What AKS does with the key. It needs no other right (AKS documents, "Assign permissions"). */
export const KEY_RIGHTS = ['encrypt', 'decrypt'] as const;
/** A right on a key. */
export type KeyRight = (typeof KEY_RIGHTS)[number];

/** Data actions that a role gives at a scope, or that a deny assignment takes away. Patterns: `*` stands for any text. */
const Permission = z.object({
  /** Of the role or the deny assignment, for sentences. */
  name: z.string(),
  dataActions: z.array(z.string()),
  notDataActions: z.array(z.string()),
  /** Of the control plane. */
  actions: z.array(z.string()),
  notActions: z.array(z.string()),
  /** It has a condition, or names groups: Keyturn cannot tell whether it applies. */
  uncertain: z.boolean(),
});
/** Data actions of a role or a deny assignment. */
export type Permission = z.infer<typeof Permission>;

/** The vault of a key, as ARM shows it. */
export const ObservedVault = z.object({
  vaultId: z.string(),
  permissionModel: z.enum(['rbac', 'access-policy']),
  /** Key permissions that access policies give to the identity, in lower case. */
  policyKeys: z.array(z.string()),
  /** Whether the vault answers on its public address to every network. */
  openToAllNetworks: z.boolean(),
  tenantId: z.string(),
  softDelete: z.boolean(),
  purgeProtection: z.boolean(),
});
/** The vault of a key, as ARM shows it. */
export type ObservedVault = z.infer<typeof ObservedVault>;

/** What was looked up, or why it could not be: a whole sentence. */
const lookup = <Value extends z.ZodType>(value: Value) =>
  z.union([z.object({ known: z.literal(true), value }), z.object({ known: z.literal(false), why: z.string() })]);

/** A vault, or why it could not be looked at. */
export const VaultLookup = lookup(ObservedVault);
/** A vault, or why it could not be looked at. */
export type VaultLookup = z.infer<typeof VaultLookup>;

/** Permissions, or why they could not be read. */
export const PermissionsLookup = lookup(z.array(Permission));
/** Permissions, or why they could not be read. */
export type PermissionsLookup = z.infer<typeof PermissionsLookup>;

/** What a cluster's identity is granted on a key. */
export const IdentityAccess = z.object({
  keyId: z.string(),
  identity: z.object({
    name: z.string(),
    /** Object id in Entra ID. */
    principalId: z.string(),
  }),
  /** Of the cluster's subscription; absent when no rule asks for it. */
  tenantId: z.string().optional(),
  vault: VaultLookup,
  /** Of roles at the key and above it, groups of the identity included. */
  roles: PermissionsLookup.optional(),
  /** Of deny assignments that concern the identity. */
  denials: PermissionsLookup.optional(),
});
/** What a cluster's identity is granted on a key. */
export type IdentityAccess = z.infer<typeof IdentityAccess>;

/** The answer. */
export interface RightsFound {
  /** Rights that the identity surely does not have. */
  readonly missing: readonly KeyRight[];
  /** Why other rights are not sure: one sentence each; empty when everything was seen. */
  readonly unknown: readonly string[];
}

/** Which rights the identity lacks, and what could not be seen. */
export function rightsOf({ vault, roles, denials }: IdentityAccess): RightsFound {
  if (!vault.known) return { missing: [], unknown: [vault.why] };
  if (vault.value.permissionModel === 'access-policy') {
    const { policyKeys } = vault.value;
    const missing = KEY_RIGHTS.filter((right) => !policyKeys.includes(right) && !policyKeys.includes('all'));
    return { missing, unknown: [] };
  }
  if (!roles?.known) return { missing: [], unknown: roles ? [roles.why] : [] };
  const denied = denials?.known ? denials.value : [];
  const missing: KeyRight[] = [];
  const unknown = new Set<string>();
  for (const right of KEY_RIGHTS) {
    const giving = roles.value.filter((role) => covers(role, actionOf(right)));
    const taking = denied.filter((denial) => covers(denial, actionOf(right)));
    const surelyTaken = taking.some(({ uncertain }) => !uncertain);
    if (giving.length === 0 || surelyTaken) missing.push(right);
    else if (giving.every(({ uncertain }) => uncertain)) unknown.add(CONDITION_OF_ROLE);
    else if (taking.length > 0) unknown.add(UNCERTAIN_DENIAL);
  }
  if (denials?.known === false && missing.length === 0) unknown.add(denials.why);
  return { missing, unknown: [...unknown] };
}

/** The names of deny assignments that surely take a right on the key from the identity. Access policies do not know them. */
export function denyingAssignments({ vault, denials }: IdentityAccess): string[] {
  if (!vault.known || vault.value.permissionModel !== 'rbac' || !denials?.known) return [];
  const taking = denials.value.filter(
    (denial) => !denial.uncertain && KEY_RIGHTS.some((right) => covers(denial, actionOf(right))),
  );
  return [...new Set(taking.map(({ name }) => name))];
}

/** What AKS does as the cluster's identity with a private vault. Source: AKS documents, "Assign permissions for a private key vault" (Key Vault Contributor). */
const APPROVE_ENDPOINT = 'Microsoft.KeyVault/vaults/PrivateEndpointConnectionsApproval/action';

/**
 * Whether the identity may approve a private endpoint of the vault: in ARM, whatever the vault's own permission model.
 * @returns `unknown` with the reason when that cannot be seen
 */
export function mayApproveEndpoint({
  roles,
  denials,
}: Pick<IdentityAccess, 'roles' | 'denials'>): 'yes' | 'no' | { readonly unknown: string } {
  if (!roles?.known) return { unknown: roles?.why ?? CONDITION_OF_ROLE };
  const covering = (permissions: readonly Permission[]): Permission[] =>
    permissions.filter(
      ({ actions, notActions }) =>
        actions.some((pattern) => matches(pattern, APPROVE_ENDPOINT)) &&
        !notActions.some((pattern) => matches(pattern, APPROVE_ENDPOINT)),
    );
  const giving = covering(roles.value);
  const taking = denials?.known ? covering(denials.value) : [];
  if (giving.length === 0 || taking.some(({ uncertain }) => !uncertain)) return 'no';
  if (giving.every(({ uncertain }) => uncertain)) return { unknown: CONDITION_OF_ROLE };
  if (taking.length > 0) return { unknown: UNCERTAIN_DENIAL };
  return denials?.known === false ? { unknown: denials.why } : 'yes';
}

const CONDITION_OF_ROLE =
  'The rights come from a role assignment with a condition, or from a role that Keyturn may not read.';
const UNCERTAIN_DENIAL =
  'A deny assignment with a condition or with groups covers the key, and Keyturn does not see whether it concerns the identity.';

function actionOf(right: KeyRight): string {
  return `Microsoft.KeyVault/vaults/keys/${right}/action`;
}

/** Whether a permission covers a data action. */
export function covers({ dataActions, notDataActions }: Permission, action: string): boolean {
  return (
    dataActions.some((pattern) => matches(pattern, action)) &&
    !notDataActions.some((pattern) => matches(pattern, action))
  );
}

/** Azure's patterns of actions: `*` stands for any text, and case does not matter. */
function matches(pattern: string, action: string): boolean {
  const source = pattern
    .split('*')
    .map((text) => text.replace(/[.+?^${}()|[\]\\]/g, String.raw`\$&`))
    .join('.*');
  return new RegExp(`^${source}$`, 'i').test(action);
}
