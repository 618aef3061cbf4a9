/** What a cluster's identity is granted on a key and its vault: access policies, roles, deny assignments. Reads only. */
import type { IdentityAccess } from '../domain/identity-access';
import { mustParseKeyId } from '../domain/resource-ids';
import type { CallOptions } from './call-options';
import type { Roles } from './roles';
import type { Vaults } from './vaults';

/** Whose access to which key. */
export interface IdentityAccessQuery {
  readonly identity: IdentityAccess['identity'];
  /** Versioned. */
  readonly keyId: string;
  /** Where the vault is looked for first: the cluster's. */
  readonly subscriptionId: string;
  /** ARM id of a vault that may be the one. */
  readonly vaultId?: string;
}

type Readers = { readonly vaults: Pick<Vaults, 'find' | 'read'>; readonly roles: Roles };

/** @throws ArmError, TokenError when Azure cannot say now */
export async function readIdentityAccess(
  azure: Readers,
  { identity, keyId, subscriptionId, vaultId }: IdentityAccessQuery,
  options: CallOptions = {},
): Promise<IdentityAccess> {
  const key = mustParseKeyId(keyId);
  const vault = await azure.vaults.find({ key, subscriptionId, vaultId, principalId: identity.principalId }, options);
  return await withRoles(azure.roles, { identity, keyId, vault }, key.name, options);
}

/** The same for a vault that is known by its ARM id. @throws ArmError, TokenError when Azure cannot say now */
export async function readAccessToVault(
  azure: Readers,
  {
    identity,
    vaultId,
    keyName,
  }: Pick<IdentityAccess, 'identity'> & { readonly vaultId: string; readonly keyName: string },
  options: CallOptions = {},
): Promise<IdentityAccess> {
  const vault = await azure.vaults.read(vaultId, identity.principalId, options);
  return await withRoles(azure.roles, { identity, keyId: `${vaultId}/keys/${keyName}`, vault }, keyName, options);
}

async function withRoles(
  roles: Roles,
  access: Pick<IdentityAccess, 'identity' | 'keyId' | 'vault'>,
  keyName: string,
  options: CallOptions,
): Promise<IdentityAccess> {
  const { identity, vault } = access;
  if (!vault.known) return access;
  // A role may be given at one key. With access policies, roles say what the identity may do with the vault in ARM.
  const query = { principalId: identity.principalId, scope: `${vault.value.vaultId}/keys/${keyName}` };
  const [granted, denied] = await Promise.all([roles.granted(query, options), roles.denied(query, options)]);
  return { ...access, roles: granted, denials: denied };
}
