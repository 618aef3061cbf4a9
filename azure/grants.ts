/**
 * Gives a principal the rights on keys that AKS needs.
 *
 * Does: one write at a time; the same again changes nothing.
 * Never does: take a right away, or give more than the AKS documents name ("Assign permissions"): the role Key Vault Crypto User
 *             at the vault, or the key permissions encrypt and decrypt of an access policy; for a private vault Key Vault Contributor.
 */
import { createHash } from 'node:crypto';
import { KEY_RIGHTS } from '../domain/identity-access';
import { mustParseVaultId } from '../domain/resource-ids';
import type { ArmClient } from './arm';
import type { CallOptions } from './call-options';
import { ArmError } from './errors';
import type { VaultManagement } from './vault-management';

/** Key Vault Crypto User, a built-in role: the same id in every tenant. */
const CRYPTO_USER = '12338af0-0e69-4776-bea7-57ae8d297424';
/** Key Vault Contributor, likewise: it manages the vault and reads no key. */
const CONTRIBUTOR = 'f25e0fa2-a7c8-4377-a976-54943a77a395';
const API_VERSION = '2022-04-01';

/** Who gets the rights, and where. */
export interface Grant {
  /** ARM id of the vault. */
  readonly vaultId: string;
  readonly principalId: string;
}

/** What Keyturn asks Azure to grant. Everything throws `ArmError` or `TokenError`. */
export interface Grants {
  /**
   * Assigns Key Vault Crypto User at the vault.
   * @throws ArmError `PrincipalNotFound` while ARM does not know a principal that was just made
   */
  assignRole(grant: Grant, options?: CallOptions): Promise<void>;
  /** Adds encrypt and decrypt to what an access policy of the vault gives to the principal. */
  addToPolicy(grant: Grant, options?: CallOptions): Promise<void>;
  /** Assigns Key Vault Contributor at the vault: AKS approves its private endpoint with it. @throws as `assignRole` */
  assignContributor(grant: Grant, options?: CallOptions): Promise<void>;
}

/** Makes the client; sends nothing yet. */
export function createGrants(arm: ArmClient, management: VaultManagement): Grants {
  const assign = async (role: string, grant: Grant, { abortSignal }: CallOptions): Promise<void> => {
    const { vaultId, principalId } = grant;
    const { subscriptionId } = mustParseVaultId(vaultId);
    try {
      await arm.request({
        method: 'PUT',
        url: `${vaultId}/providers/Microsoft.Authorization/roleAssignments/${assignmentName(role, grant)}?api-version=${API_VERSION}`,
        body: {
          properties: {
            roleDefinitionId: `/subscriptions/${subscriptionId}/providers/Microsoft.Authorization/roleDefinitions/${role}`,
            principalId,
            // Without it ARM looks the principal up in Entra ID, which learns of a new identity minutes later.
            principalType: 'ServicePrincipal',
          },
        },
        abortSignal,
      });
    } catch (error) {
      // Another client gave the same role at the same place under a name of its own.
      if (!(error instanceof ArmError) || error.code !== 'RoleAssignmentExists') throw error;
    }
  };

  return {
    assignRole: (grant, options = {}) => assign(CRYPTO_USER, grant, options),
    assignContributor: (grant, options = {}) => assign(CONTRIBUTOR, grant, options),

    addToPolicy: ({ vaultId, principalId }, options = {}) =>
      management.atVault(vaultId, options, async (client, group, name) => {
        const { abortSignal } = options;
        const { properties } = await client.vaults.get(group, name, { abortSignal });
        // What the principal has already is sent again: so it is kept, whether Azure joins policies or replaces them.
        const own = (properties.accessPolicies ?? []).find(
          ({ objectId, applicationId }) =>
            objectId.toLowerCase() === principalId.toLowerCase() && (applicationId ?? '') === '',
        );
        const known = own?.permissions.keys ?? [];
        const missing = KEY_RIGHTS.filter((right) => !known.some((word) => word.toLowerCase() === right));
        const policy = {
          tenantId: properties.tenantId,
          objectId: principalId,
          permissions: { ...own?.permissions, keys: [...known, ...missing] },
        };
        const body = { properties: { accessPolicies: [policy] } };
        await client.vaults.updateAccessPolicy(group, name, 'add', body, { abortSignal });
      }),
  };
}

/** One name for one grant, whichever operation asks for it: a second try finds the assignment of the first. */
function assignmentName(role: string, { vaultId, principalId }: Grant): string {
  const hex = createHash('sha256').update(`keyturn\n${vaultId}\n${role}\n${principalId}`.toLowerCase()).digest('hex');
  // The form of a UUID of version 8: made from a hash of the maker's own choice (RFC 9562).
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
