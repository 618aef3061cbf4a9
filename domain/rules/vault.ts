/**
 * What must hold of the vault of a key that a cluster is to depend on, whatever its network. Sources: the AKS documents on KMS etcd
 * encryption, "Limitations" (no vault of another tenant); Key Vault documents, "Soft delete" and "Purge protection".
 */
import { accessOf } from '../cluster-change';
import type { VaultLookup } from '../identity-access';
import type { Rule } from '../kinds/kind';
import type { AzureObservation, ObservedCluster } from '../observed';
import { resourceName } from '../resource-ids';
import type { WithVaultAccess } from './private-vault';

/** The member of the request that names the vault, where one does. */
function pointerTo({ requestedKey }: AzureObservation): string {
  return requestedKey ? '/parameters/keyId' : '/cluster';
}

/** The vault, and the tenant that it must be in. */
function vaultFacts({ identityAccess, clusterToMake }: AzureObservation): {
  readonly vault?: VaultLookup;
  readonly tenantId?: string;
} {
  const { vault, tenantId } = identityAccess ?? clusterToMake ?? {};
  return { ...(vault === undefined ? {} : { vault }), ...(tenantId === undefined ? {} : { tenantId }) };
}

/** AKS takes no vault of another tenant. */
export const vaultTenantRule: Rule<unknown> = {
  codes: ['VaultInOtherTenant'],
  check({ kms }, azure) {
    const { vault, tenantId } = vaultFacts(azure);
    if (!vault?.known || tenantId === undefined || vault.value.tenantId.toLowerCase() === tenantId.toLowerCase())
      return [];
    const name = resourceName(vault.value.vaultId);
    const detail = `The vault ${name} is in the tenant ${vault.value.tenantId}, and the cluster in ${tenantId}. AKS takes no vault of another tenant. ${kms.enabled ? 'The cluster keeps its key.' : 'KMS stays off.'} Choose a key of a vault in the tenant of the cluster: the kind provision-kms makes one.`;
    return [{ code: 'VaultInOtherTenant', pointer: pointerTo(azure), detail }];
  },
};

/** A key that is lost is a cluster lost: what is deleted by mistake must come back. */
export const vaultProtectedRule: Rule<unknown> = {
  codes: ['VaultUnprotected'],
  check({ kms }, azure) {
    const { vault } = vaultFacts(azure);
    if (!vault?.known || (vault.value.softDelete && vault.value.purgeProtection)) return [];
    const name = resourceName(vault.value.vaultId);
    const lacks = vault.value.softDelete ? 'no purge protection' : 'no soft delete';
    const detail = `The vault ${name} has ${lacks}: a key that is deleted by mistake could be lost for good, and with it every Secret. ${kms.enabled ? 'The cluster keeps its key.' : 'KMS stays off.'} Turn it on, which cannot be undone (az keyvault update --name ${name} --enable-purge-protection true), or choose a key of another vault. Then ask again.`;
    return [{ code: 'VaultUnprotected', pointer: pointerTo(azure), detail }];
  },
};

/** A rule about the access to a vault, for kinds that disable KMS and enable it again with the access and the vault that it has. */
export function withPresentAccess({ codes, check }: Rule<WithVaultAccess>): Rule<unknown> {
  return {
    codes,
    check(cluster: ObservedCluster, azure) {
      const { kms } = cluster;
      if (!kms.enabled) return [];
      const faults = check(cluster, azure, { vaultAccess: accessOf(kms) });
      // The cluster itself names the vault.
      const known = kms.vaultId !== undefined;
      return faults
        .filter(({ code }) => !(known && code === 'VaultNotSeen'))
        .map((fault) => ({ ...fault, pointer: '/cluster' }));
    },
  };
}
