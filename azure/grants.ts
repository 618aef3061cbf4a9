/**
 * Gives a principal the rights on keys that AKS needs, and those that pods need to read a vault.
 *
 * Does: one write at a time; the same again changes nothing.
 *       Takes back the roles that Service Connector gave for Keyturn.
 * Never does: take another right away, or give more than the AKS documents name ("Assign permissions"): the role Key Vault Crypto User
 *             at the vault, or the key permissions encrypt and decrypt of an access policy; for a private vault Key Vault Contributor. For pods
 *             the roles of `READ_RIGHTS`, or the permissions get and, for a history of versions, list.
 */
import type { Permissions } from '@azure/arm-keyvault';
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { policyWords, READ_RIGHTS, type ObjectType } from '../domain/csi/objects';
import type { Reading } from '../domain/csi/read-rights';
import { KEY_RIGHTS } from '../domain/identity-access';
import { mustParseVaultId, sameText } from '../domain/resource-ids';
import type { ArmClient } from './arm';
import { allPages } from './arm-pages';
import type { CallOptions } from './call-options';
import { ArmError } from './errors';
import type { VaultManagement } from './vault-management';
import { policiesOf } from './vaults';

/** Key Vault Crypto User, a built-in role: the same id in every tenant. */
const CRYPTO_USER = '12338af0-0e69-4776-bea7-57ae8d297424';
/** Key Vault Contributor, likewise: it manages the vault and reads no key. */
const CONTRIBUTOR = 'f25e0fa2-a7c8-4377-a976-54943a77a395';
const API_VERSION = '2022-04-01';

const Assignment = z.looseObject({
  id: z.string(),
  name: z.string(),
  properties: z.looseObject({
    roleDefinitionId: z.string(),
    principalId: z.string(),
    scope: z.string(),
    createdBy: z.string().nullish(),
    createdOn: z.string().nullish(),
  }),
});

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
  /** Assigns the roles at the vault that reading object types needs. @throws as `assignRole` */
  assignReaders(grant: Grant, types: readonly ObjectType[], options?: CallOptions): Promise<void>;
  /** Adds get for object types, and list where versions are listed, to what an access policy of the vault gives to the principal. */
  addReadToPolicy(grant: Grant, reading: Reading, options?: CallOptions): Promise<void>;
  /**
   * Deletes the assignments of the roles that reading object types needs which Service Connector made at the vault: those of the principal,
   * of the maker and since the time, but for those of `assignReaders`.
   * @returns how many
   */
  removeReaders(
    grant: Grant,
    made: { readonly createdBy: string; readonly since: string },
    options?: CallOptions,
  ): Promise<number>;
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

  const addPermissions = (
    { vaultId, principalId }: Grant,
    rights: Readonly<Partial<Record<'keys' | 'secrets' | 'certificates', readonly string[]>>>,
    options: CallOptions,
  ): Promise<void> =>
    management.atVault(vaultId, options, async (client, group, name) => {
      const { abortSignal } = options;
      const vault = await client.vaults.get(group, name, { abortSignal });
      // What the principal has already is sent again: so it is kept, whether Azure joins policies or replaces them.
      const [own] = policiesOf(vault, principalId);
      const joined = Object.entries(rights).map(([of, words]) => {
        const known: readonly string[] = own?.permissions[of as keyof typeof rights] ?? [];
        const missing = words.filter((right) => !known.some((word) => word.toLowerCase() === right));
        return [of, [...known, ...missing]];
      });
      const policy = {
        tenantId: vault.properties.tenantId,
        objectId: principalId,
        permissions: { ...own?.permissions, ...Object.fromEntries(joined) } as Permissions,
      };
      const body = { properties: { accessPolicies: [policy] } };
      await client.vaults.updateAccessPolicy(group, name, 'add', body, { abortSignal });
    });

  return {
    assignRole: (grant, options = {}) => assign(CRYPTO_USER, grant, options),
    assignContributor: (grant, options = {}) => assign(CONTRIBUTOR, grant, options),

    addToPolicy: (grant, options = {}) => addPermissions(grant, { keys: KEY_RIGHTS }, options),

    async assignReaders(grant, types, options = {}) {
      const roles = new Set(types.map((type) => READ_RIGHTS[type].role.id));
      for (const role of roles) await assign(role, grant, options);
    },
    async removeReaders(grant, { createdBy, since }, { abortSignal } = {}) {
      const { vaultId, principalId } = grant;
      const readers = [...new Set(Object.values(READ_RIGHTS).map(({ role }) => role.id))];
      const filter = encodeURIComponent(`principalId eq '${principalId}'`);
      const list = `${vaultId}/providers/Microsoft.Authorization/roleAssignments?api-version=${API_VERSION}&$filter=${filter}`;
      const theirs = (await allPages(arm, list, Assignment, abortSignal)).filter(({ name, properties }) => {
        const role = readers.find((one) => properties.roleDefinitionId.toLowerCase().endsWith(`/${one}`));
        return (
          role !== undefined &&
          sameText(properties.scope, vaultId) &&
          sameText(properties.principalId, principalId) &&
          sameText(properties.createdBy ?? '', createdBy) &&
          Date.parse(properties.createdOn ?? '') >= Date.parse(since) &&
          name !== assignmentName(role, grant)
        );
      });
      for (const { id } of theirs)
        await arm.request({ method: 'DELETE', url: `${id}?api-version=${API_VERSION}`, abortSignal });
      return theirs.length;
    },
    addReadToPolicy: (grant, { types, history = [] }, options = {}) =>
      addPermissions(
        grant,
        Object.fromEntries(types.map((type) => [READ_RIGHTS[type].policy, policyWords(type, history)])),
        options,
      ),
  };
}

/** One name for one grant, whichever operation asks for it: a second try finds the assignment of the first. */
function assignmentName(role: string, { vaultId, principalId }: Grant): string {
  const hex = createHash('sha256').update(`keyturn\n${vaultId}\n${role}\n${principalId}`.toLowerCase()).digest('hex');
  // The form of a UUID of version 8: made from a hash of the maker's own choice (RFC 9562).
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
