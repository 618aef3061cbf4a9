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
  /** Where the vault is looked for: the cluster's. */
  readonly subscriptionId: string;
}

/** @throws ArmError, TokenError when Azure cannot say now */
export async function readIdentityAccess(
  { vaults, roles }: { readonly vaults: Vaults; readonly roles: Roles },
  { identity, keyId, subscriptionId }: IdentityAccessQuery,
  options: CallOptions = {},
): Promise<IdentityAccess> {
  const { principalId } = identity;
  const key = mustParseKeyId(keyId);
  const vault = await vaults.find({ key, subscriptionId, principalId }, options);
  if (!vault.known) return { keyId, identity, vault };
  // A role may be given at one key. With access policies, roles say what the identity may do with the vault in ARM.
  const query = { principalId, scope: `${vault.value.vaultId}/keys/${key.name}` };
  const [granted, denied] = await Promise.all([roles.granted(query, options), roles.denied(query, options)]);
  return { keyId, identity, vault, roles: granted, denials: denied };
}
