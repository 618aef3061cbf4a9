/**
 * What must hold before a cluster is made with KMS on. Sources: the AKS documents on KMS etcd encryption, "Create an AKS cluster that has a
 * public key vault and turn on KMS etcd encryption", the same for a private key vault, and "Limitations"; API Server VNet Integration.
 */
import type { Fault } from '../errors';
import type { Rule } from '../kinds/kind';
import { mustParseKeyId, resourceName } from '../resource-ids';
import { requestedKeyRule } from './key';
import type { WithVaultAccess } from './private-vault';

const CLUSTER = '/cluster';
const KEY = '/parameters/keyId';

/** There is no such cluster yet, and Azure has the place for it. Keyturn never takes a cluster that exists for the new one. */
export const clusterAbsentRule: Rule<unknown> = {
  codes: ['ClusterExists', 'ResourceGroupNotFound'],
  check({ resourceId }, { cluster }) {
    const name = resourceName(resourceId);
    if (cluster.found) {
      const { kms } = cluster.cluster;
      const next = kms.enabled ? 'rotate-key or rewrite-secrets' : 'enable-kms';
      const detail = `The cluster ${name} exists already, with KMS ${kms.enabled ? 'on' : 'off'}. Nothing was changed. Choose another name; or ask for ${next}.`;
      return [{ code: 'ClusterExists', pointer: CLUSTER, detail }];
    }
    if (cluster.state === 'no-group') {
      return [{ code: 'ResourceGroupNotFound', pointer: CLUSTER, detail: `${cluster.why} Nothing was changed.` }];
    }
    if (cluster.state === 'missing') return [];
    const detail = `Keyturn does not see whether the cluster ${name} exists: ${cluster.why} Nothing was changed. Give Keyturn's identity the right to read and write clusters there, then ask again.`;
    return [{ code: 'ClusterExists', pointer: CLUSTER, detail }];
  },
};

/** The identity is there, or Keyturn sees that it is not and makes it. */
export const identitySeenRule: Rule<unknown> = {
  codes: ['IdentityNotSeen'],
  check(_, { clusterToMake }) {
    if (clusterToMake?.identity.state !== 'unseen') return [];
    const detail = `${clusterToMake.identity.why} Nothing was changed. Name an identity that Keyturn may read, in a resource group that exists.`;
    return [{ code: 'IdentityNotSeen', pointer: '/parameters/identityId', detail }];
  },
};

const KEY_CODES = requestedKeyRule.codes.filter((code) => code !== 'KeyAlreadyCurrent');

/** The key that the request names must exist and be usable. A cluster that is not there has no current key. */
export const firstKeyRule: Rule<unknown> = { codes: KEY_CODES, check: requestedKeyRule.check };

/** Keyturn sees the vault: it gives the identity rights there, and public access needs it open to all networks. */
export const firstVaultRule: Rule<WithVaultAccess> = {
  codes: ['VaultNotFound', 'VaultNotOpen'],
  check(_, { clusterToMake, requestedKey }, { vaultAccess }): Fault[] {
    const vault = clusterToMake?.vault;
    if (!vault) return [];
    if (!vault.known) {
      const detail = `Keyturn gives the identity of the new cluster the rights on the key, and needs the resource id of the vault for that. ${vault.why} Nothing was changed.`;
      return [{ code: 'VaultNotFound', pointer: KEY, detail }];
    }
    if (vaultAccess === 'Private' || vault.value.openToAllNetworks) return [];
    const name = requestedKey?.found
      ? mustParseKeyId(requestedKey.key.keyId).vaultName
      : resourceName(vault.value.vaultId);
    const detail = `The vault ${name} is not open to all networks, and with public access AKS reaches it from addresses that no firewall rule can name. Open it (az keyvault update --name ${name} --public-network-access Enabled --default-action Allow), ask with \`vaultAccess\` Private, or choose a key of another vault.`;
    return [{ code: 'VaultNotOpen', pointer: KEY, detail }];
  },
};

/** What a request says of subnets. */
export interface WithSubnets extends WithVaultAccess {
  readonly apiServerSubnetId?: string;
  readonly nodeSubnetId?: string;
}

/** API servers reach a private vault from a subnet of their own. With one, the nodes need one of the same network. */
export const subnetsRule: Rule<WithSubnets> = {
  codes: ['SubnetMissing'],
  check(_, _azure, { vaultAccess, apiServerSubnetId, nodeSubnetId }) {
    const fault = (member: string, detail: string): Fault[] => [
      { code: 'SubnetMissing', pointer: `/parameters/${member}`, detail },
    ];
    if (vaultAccess === 'Private' && apiServerSubnetId === undefined) {
      return fault(
        'apiServerSubnetId',
        'Private vault access needs API Server VNet Integration: name the subnet of the API servers, which is delegated to Microsoft.ContainerService/managedClusters and has 16 addresses or more, and `nodeSubnetId` in the same network.',
      );
    }
    if ((apiServerSubnetId === undefined) === (nodeSubnetId === undefined)) return [];
    return apiServerSubnetId === undefined
      ? fault('apiServerSubnetId', 'With `nodeSubnetId` name `apiServerSubnetId` too, in the same network.')
      : fault('nodeSubnetId', 'With `apiServerSubnetId` name `nodeSubnetId` too: az aks create needs both.');
  },
};
