/** What an identity may read in a vault, as far as Azure shows it. Reads only. */
import type { AzureAccess } from '../../azure/access';
import type { CallOptions } from '../../azure/call-options';
import type { CsiFacts } from '../../domain/csi/facts';
import { systemAssignedOf } from './identity';

/** The vault with what its access policies give to the principal, and with Azure RBAC the roles and denials. @throws ArmError, TokenError */
export async function readingRights(
  { vaults, roles }: Pick<AzureAccess, 'vaults' | 'roles'>,
  { vaultId, principalId }: { readonly vaultId: string; readonly principalId: string | undefined },
  options: CallOptions,
): Promise<Pick<CsiFacts, 'vault' | 'roles' | 'denials'>> {
  const vault = await vaults.forReading(vaultId, principalId, options);
  if (!vault.known || vault.value.permissionModel !== 'rbac' || principalId === undefined) return { vault };
  const query = { principalId, scope: vaultId };
  const [granted, denied] = await Promise.all([roles.granted(query, options), roles.denied(query, options)]);
  return { vault, roles: granted, denials: denied };
}

/** The same for the system-assigned identities of the nodes, of which `identity` is the first; undefined where there is one alone. */
export async function rightsOfOtherNodes(
  azure: Pick<AzureAccess, 'vaults' | 'roles'>,
  { vaultId, nodes, identity }: Pick<CsiFacts, 'nodes' | 'identity'> & { readonly vaultId: string },
  options: CallOptions,
): Promise<CsiFacts['otherNodes']> {
  // An identity that has a client id is shared by all nodes.
  if (nodes?.known !== true || identity.state !== 'exists' || identity.clientId !== undefined) return undefined;
  const found = systemAssignedOf(nodes.value);
  const others = 'why' in found ? [] : found.principalIds.filter((one) => one !== identity.principalId);
  if (others.length === 0) return undefined;
  return await Promise.all(
    others.map(async (principalId) => ({
      principalId,
      ...(await readingRights(azure, { vaultId, principalId }, options)),
    })),
  );
}
