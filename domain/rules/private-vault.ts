/**
 * What must hold of private vaults, and of vaults that do not answer from where Keyturn runs. Sources: the AKS documents on KMS etcd
 * encryption, "Enable KMS for a private key vault" and "Limitations".
 */
import { mayApproveEndpoint } from '../identity-access';
import type { Fault } from '../errors';
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
  check: (_, azure) =>
    unreachableVault(
      azure,
      'so Keyturn can neither make, disable nor delete key versions there. Run Keyturn in a network with a private endpoint of the vault. To rotate all the same, ask for rotate-key with `newKeyName`: ARM makes a key of another name in the vault.',
    ),
};

function unreachableVault({ currentKey, requestedKey, nextKey }: AzureObservation, means: string): Fault[] {
  const unreachable = [currentKey, requestedKey, nextKey].find(seenThroughArm);
  if (unreachable?.found !== true) return [];
  const detail = `The vault of ${shortKeyId(unreachable.key.keyId)} does not answer from where Keyturn runs, ${means}`;
  return [{ code: 'VaultNotReachable', pointer: '/parameters', detail }];
}

/** The same where the request leaves it to Keyturn to make a key version. A key of another name is made through ARM. */
export const vaultAnswersForNewVersionRule: Rule<{ readonly keyId?: string; readonly newKeyName?: string }> = {
  codes: vaultAnswersRule.codes,
  check: (_, azure, { keyId, newKeyName }) =>
    keyId !== undefined || newKeyName !== undefined
      ? []
      : unreachableVault(
          azure,
          'so Keyturn cannot make a version of the key: ARM makes keys, and no second version of one. Nothing was changed. Ask again with `newKeyName`, the name of a key that ARM is to make in the vault; or make a version from a network that reaches the vault, and name it as `keyId`; or run Keyturn in such a network.',
        ),
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
