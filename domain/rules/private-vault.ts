/**
 * What must hold of private vaults, and of vaults that do not answer from where Keyturn runs. Sources: the AKS documents on KMS etcd
 * encryption, "Enable KMS for a private key vault" and "Limitations"; API Server VNet Integration.
 */
import { mayApproveEndpoint } from '../identity-access';
import type { Rule } from '../kinds/kind';
import type { AzureObservation, KeyLookup } from '../observed';
import { accessOf } from '../cluster-change';
import type { Warning } from '../plan/plan';
import { namesOf } from '../key-users';
import { mustParseKeyId, resourceName, shortKeyId } from '../resource-ids';

const ACCESS = '/parameters/vaultAccess';

/** The member of requests that says how the API servers reach the vault. */
export interface WithVaultAccess {
  readonly vaultAccess?: 'Public' | 'Private';
}

/** AKS reaches a private vault through API servers in the customer's network only. */
export const vnetIntegrationRule: Rule<WithVaultAccess> = {
  codes: ['VnetIntegrationMissing'],
  check({ vnetIntegration, resourceId }, _, { vaultAccess }) {
    if (vaultAccess !== 'Private' || vnetIntegration === true) return [];
    const detail = `Private vault access needs API Server VNet Integration, and ${resourceName(resourceId)} does not have it. Turning it on cannot be undone, and takes effect when the cluster is stopped and started: az aks update --enable-apiserver-vnet-integration --apiserver-subnet-id …, az aks stop, az aks start. Before you do, look for admission webhooks with wildcard rules: they can keep a cluster from stopping and starting. Then ask again; or use a vault with public access.`;
    return [{ code: 'VnetIntegrationMissing', pointer: ACCESS, detail }];
  },
};

/** AKS makes a private endpoint and approves it as the cluster's identity, and cannot check beforehand whether that is allowed. */
export const privateVaultRule: Rule<WithVaultAccess> = {
  codes: ['VaultNotSeen', 'IdentityMayNotApproveEndpoint'],
  check(_, { identityAccess }, { vaultAccess }) {
    if (vaultAccess !== 'Private' || identityAccess === undefined) return [];
    const { vault, keyId, identity } = identityAccess;
    if (!vault.known) {
      const detail = `Private vault access needs the resource id of the vault. ${vault.why}`;
      return [{ code: 'VaultNotSeen', pointer: ACCESS, detail }];
    }
    if (mayApproveEndpoint(identityAccess) !== 'no') return [];
    const { vaultName } = mustParseKeyId(keyId);
    const detail = `The cluster's identity ${identity.name} (principal ${identity.principalId}) may not approve a private endpoint of the vault ${vaultName}, and AKS does not say so before it fails. Give it the role: az role assignment create --role "Key Vault Contributor" --assignee-object-id ${identity.principalId} --assignee-principal-type ServicePrincipal --scope ${vault.value.vaultId}. Then ask again: a role assignment takes up to ten minutes to work.`;
    return [{ code: 'IdentityMayNotApproveEndpoint', pointer: ACCESS, detail }];
  },
};

/** A vault that Keyturn is to write to must answer it. */
export const vaultAnswersRule: Rule<unknown> = {
  codes: ['VaultNotReachable'],
  check(_, { currentKey, requestedKey, nextKey }) {
    const unreachable = [currentKey, requestedKey, nextKey].find(seenThroughArm);
    if (unreachable?.found !== true) return [];
    const { keyId } = unreachable.key;
    const detail = `The vault of ${shortKeyId(keyId)} does not answer from where Keyturn runs, so Keyturn can neither make, disable nor delete key versions there. Run Keyturn in a network with a private endpoint of the vault; or make the key version from such a network and name it as keyId in a request for rotate-key.`;
    return [{ code: 'VaultNotReachable', pointer: '/parameters', detail }];
  },
};

/** The same where the request leaves it to Keyturn to make a key version. */
export const vaultAnswersForNewVersionRule: Rule<{ readonly keyId?: string }> = {
  codes: vaultAnswersRule.codes,
  check: (cluster, azure, parameters) =>
    parameters.keyId === undefined ? vaultAnswersRule.check(cluster, azure, parameters) : [],
};

/** A change of the access changes something. */
export const accessDiffersRule: Rule<WithVaultAccess> = {
  codes: ['VaultAccessAlready'],
  check({ kms }, _, { vaultAccess }) {
    if (!kms.enabled || accessOf(kms) !== vaultAccess) return [];
    const detail = `The cluster uses its vault with ${vaultAccess.toLowerCase()} access already.`;
    return [{ code: 'VaultAccessAlready', pointer: ACCESS, detail }];
  },
};

/** No other cluster may need the public address that a change to private access closes. */
export const vaultUnusedByOthersRule: Rule<WithVaultAccess> = {
  codes: ['VaultInUse'],
  check(_, { vaultUsers }, { vaultAccess }) {
    if (vaultAccess !== 'Private' || !vaultUsers || vaultUsers.clusters.length === 0) return [];
    const detail = `${namesOf(vaultUsers.clusters)} reach ${vaultUsers.vaultUrl} on its public address, which this closes: they could not read their Secrets any more. Move them to other vaults first, or give this cluster a vault of its own by the kind change-vault.`;
    return [{ code: 'VaultInUse', pointer: ACCESS, detail }];
  },
};

/** What Keyturn knows only from ARM, or not at all, of vaults that do not answer it. */
export function privateVaultWarnings(
  { cluster, currentKey, requestedKey, nextKey, identityAccess }: AzureObservation,
  { vaultAccess }: WithVaultAccess,
): Warning[] {
  const throughArm = [currentKey, requestedKey, nextKey].filter(seenThroughArm);
  const names = throughArm.flatMap((lookup) => (lookup?.found ? [shortKeyId(lookup.key.keyId)] : []));
  const endpoint = vaultAccess === 'Private' && identityAccess ? mayApproveEndpoint(identityAccess) : 'yes';
  return [
    ...(names.length === 0
      ? []
      : [
          {
            code: 'KeySeenThroughArm',
            detail: `The vault does not answer from where Keyturn runs: what Keyturn knows of ${[...new Set(names)].join(' and ')} is what ARM says. AKS cannot check a key behind a private endpoint either: if the API servers cannot use it, canaries show that after the switch, and the operation is blocked with both keys needed.`,
          },
        ]),
    ...(typeof endpoint === 'object'
      ? [
          {
            code: 'EndpointApprovalUnknown',
            detail: `Keyturn did not see whether the identity of ${cluster.found ? resourceName(cluster.cluster.resourceId) : 'the cluster'} may approve a private endpoint of the vault. ${endpoint.unknown} If it may not, Azure's operation fails (LinkedAuthorizationFailed), and the operation is blocked.`,
            volatile: true,
          },
        ]
      : []),
  ];
}

function seenThroughArm(lookup: KeyLookup | undefined): boolean {
  return lookup?.found === true && lookup.key.seenThrough === 'arm';
}
