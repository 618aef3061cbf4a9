/**
 * What the identity of a cluster must be granted before KMS is enabled, or moves to another vault. Sources: the AKS documents on KMS etcd encryption, "Assign
 * permissions for a public key vault", for both permission models; "Limitations" on networks.
 */
import type { Fault } from '../errors';
import { rightsOf, type IdentityAccess, type ObservedVault } from '../identity-access';
import type { Rule } from '../kinds/kind';
import type { AzureObservation } from '../observed';
import type { WithVaultAccess } from './private-vault';
import type { Warning } from '../plan/plan';
import { mustParseKeyId, sameKeyId, shortKeyId, resourceName } from '../resource-ids';

const KEY = '/parameters/keyId';
const NEXT_KEY = '/parameters/nextKeyId';
const CLUSTER = '/cluster';

/** The identity must be able to encrypt and decrypt; what Keyturn cannot see is a warning instead. */
export const identityAccessRule: Rule<unknown> = {
  codes: ['IdentityLacksKeyAccess'],
  check({ kms }, { identityAccess, requestedKey }) {
    return identityAccess ? accessFaults(identityAccess, kms.enabled, requestedKey ? KEY : CLUSTER) : [];
  },
};

/**
 * The same for a key that the request names in the vault of the current one: a role may be given at one key object, and AKS does not
 * check a key behind a private endpoint. Access policies are for every key of a vault.
 */
export const otherKeyAccessRule: Rule<{ readonly keyId?: string; readonly nextKeyId?: string }> = {
  codes: ['IdentityLacksKeyAccess'],
  check: ({ kms }, { otherKeyAccess = [] }, { nextKeyId }) =>
    otherKeyAccess
      .filter(({ vault }) => vault.known && vault.value.permissionModel === 'rbac')
      .flatMap((access) =>
        accessFaults(
          access,
          kms.enabled,
          nextKeyId !== undefined && sameKeyId(access.keyId, nextKeyId) ? NEXT_KEY : KEY,
        ),
      ),
};

function accessFaults(access: IdentityAccess, kmsIsOn: boolean, pointer: string): Fault[] {
  if (!access.vault.known) return [];
  const vault = access.vault.value;
  const { missing } = rightsOf(access);
  if (missing.length === 0) return [];
  const detail = `The cluster's identity ${nameOf(access)} may not ${missing.join(' and ')} with ${shortKeyId(access.keyId)}: ${whyMissing(vault, access)} ${kmsIsOn ? 'The cluster keeps its key.' : 'KMS stays off.'} ${remedy(vault, access)}`;
  return [{ code: 'IdentityLacksKeyAccess', pointer, detail }];
}

/** With public access the vault must answer to every network. */
export const vaultOpenRule: Rule<WithVaultAccess> = {
  codes: ['VaultNotOpen'],
  check(_, { identityAccess }, { vaultAccess }) {
    if (vaultAccess === 'Private' || !identityAccess?.vault.known || identityAccess.vault.value.openToAllNetworks)
      return [];
    const detail = `The vault ${vaultName(identityAccess)} is not open to all networks, and with public access AKS reaches it from addresses that no firewall rule can name. Open it (az keyvault update --name ${vaultName(identityAccess)} --public-network-access Enabled --default-action Allow), or choose a key of another vault.`;
    return [{ code: 'VaultNotOpen', pointer: KEY, detail }];
  },
};

/** What could not be checked. It tells of one moment, and AKS checks again when KMS is enabled. */
export function identityAccessWarnings({ identityAccess, cluster }: AzureObservation): Warning[] {
  const unknown = identityAccess
    ? rightsOf(identityAccess).unknown
    : [
        `Azure does not tell the principal of the identity of ${cluster.found ? resourceName(cluster.cluster.resourceId) : 'the cluster'}.`,
      ];
  if (unknown.length === 0) return [];
  const who = identityAccess
    ? `Keyturn did not see whether the cluster's identity ${nameOf(identityAccess)} may encrypt and decrypt with ${shortKeyId(identityAccess.keyId)}`
    : "Keyturn did not see whether the cluster's identity may encrypt and decrypt with the key";
  return [
    {
      code: 'IdentityRightsUnknown',
      detail: `${who}. ${unknown.join(' ')} If it may not, AKS refuses the change, and the operation is blocked with nothing changed.`,
      volatile: true,
    },
  ];
}

function whyMissing(vault: ObservedVault, access: IdentityAccess): string {
  return vault.permissionModel === 'rbac'
    ? `the vault ${vaultName(access)} uses Azure RBAC, and no role at the key, the vault or above them gives the identity these rights.`
    : `no access policy of the vault ${vaultName(access)} gives the identity these rights. Keyturn does not see groups of access policies.`;
}

/** The commands of the AKS documents, or the kind that gives the rights. */
function remedy(vault: ObservedVault, access: IdentityAccess): string {
  const { principalId } = access.identity;
  const { vaultName: name, name: key } = mustParseKeyId(access.keyId);
  const orAsk = `Or ask for the kind provision-kms with the vault ${name}, the key ${key} and the permission model ${vault.permissionModel}, which gives them.`;
  if (vault.permissionModel === 'access-policy') {
    return `Give them: az keyvault set-policy --name ${name} --key-permissions decrypt encrypt --object-id ${principalId}. Then ask again. ${orAsk}`;
  }
  return `Give them: az role assignment create --role "Key Vault Crypto User" --assignee-object-id ${principalId} --assignee-principal-type ServicePrincipal --scope ${vault.vaultId}. Then ask again: a role assignment takes up to ten minutes to work. ${orAsk}`;
}

function nameOf({ identity: { name, principalId } }: IdentityAccess): string {
  return `${name} (principal ${principalId})`;
}

function vaultName({ keyId }: IdentityAccess): string {
  return mustParseKeyId(keyId).vaultName;
}
