/** What approvers of several kinds should know. */
import type { EncryptionState } from '../encryption';
import { keySlots, type Ledger } from '../ledger';
import { keyUserWarnings } from '../key-users';
import type { AzureObservation, ObservedKey } from '../observed';
import type { Warning } from '../plan/plan';
import type { PlanFacts } from './kind';
import { shortKeyId } from '../resource-ids';
import type { KeyExpiry } from '../plan/steps';
import { ownRightsCommand, type PermissionModel, type Provisioning } from '../provisioning';
import { upgradeRiskWarnings } from '../upgrade-risks';

/** What KMS v1 weakens. */
export function kmsV1Warnings(to: EncryptionState): Warning[] {
  if (to.mode === 'off' || to.scheme !== 'kms-v1') return [];
  return [
    {
      code: 'KmsV1',
      detail:
        'This Kubernetes version encrypts with KMS v1: records carry no key id, and API servers show none in their metrics, so that the proof rests on canaries and restarts. If both keys turn out to share one provider name, or no operation has proven the current key, every Secret gets the annotation keyturn.dev/rewritten. With one name for both, the new key is not called proven by this operation: the next one rewrites again before it rotates.',
    },
  ];
}

/** What becomes of the key in the second slot. */
export function previousKeyWarnings(ledger: Ledger): Warning[] {
  const slots = keySlots(ledger);
  if (!slots) return [];
  if (!slots.previousKnown) {
    return [
      {
        code: 'PreviousSlotUnknown',
        detail:
          'Keyturn has no ledger of an earlier change of this cluster, and Azure does not tell the previous key. Keep every older key version enabled and unexpired until this operation is proven.',
      },
    ];
  }
  if (slots.previous === null) return [];
  return [
    {
      code: 'PreviousKeyLeavesItsSlot',
      detail: `${shortKeyId(slots.previous)} leaves its slot with the next switch. The proof of the current key says that no live Secret needs it; backups of etcd may.`,
    },
  ];
}

/** What an upgrade by way of plaintext means. @param key in words: the key that KMS has before and after @param to the version */
export function upgradeWarnings(
  { cluster, upgradeRisks }: Pick<PlanFacts<unknown>, 'cluster' | 'upgradeRisks'>,
  key: string,
  to: string,
): Warning[] {
  const empty = cluster.agentPools.filter(({ count }) => count === 0).map(({ name }) => name);
  return [
    {
      code: 'PlaintextAtRest',
      detail: `From the first change of the cluster until KMS is on again, etcd and its backups hold every Secret in plaintext. Backups of etcd from this time stay readable without ${key}. ${key} must stay enabled, unexpired and undeleted all the time.`,
    },
    {
      code: 'UpgradeIsFinal',
      detail:
        'AKS cannot go back to an older Kubernetes version. Each node is drained and replaced, and programs that use removed APIs stop working. Keyturn tells what the cluster shows of it, and does not judge.',
    },
    ...(upgradeRisks ? upgradeRiskWarnings(upgradeRisks, to) : []),
    ...(empty.length === 0
      ? []
      : [{ code: 'AgentPoolsEmpty', detail: `Agent pools without nodes are upgraded as well: ${empty.join(', ')}.` }]),
  ];
}

/** What is lost with a key. @param options.objectStays whether a version of the same key object is known to be needed */
export function retirementWarnings(
  { keyUsers }: AzureObservation,
  key: string,
  { objectStays }: { readonly objectStays: boolean },
): Warning[] {
  const name = shortKeyId(key);
  return [
    ...(keyUsers ? keyUserWarnings(keyUsers) : []),
    {
      code: 'BackupsNeedTheKey',
      detail: `Backups of etcd from before the last rotation cannot be restored without ${name}. As long as it is only disabled, or deleted and not purged, it can be brought back: az keyvault key set-attributes --enabled true, or az keyvault key recover.`,
    },
    ...(objectStays
      ? [
          {
            code: 'KeyObjectStays',
            detail: `${name} is disabled and not deleted: Key Vault deletes a key object with all its versions, and another version of it is in use.`,
          },
        ]
      : []),
  ];
}

/** What approvers should know of a vault and a key that a cluster is to get. */
export function provisioningWarnings(
  { vaultId, ownObjectId, vault, key, keyThroughArm }: Provisioning,
  {
    vaultName,
    keyName,
    permissionModel,
    vaultAccess,
    asked,
    found,
  }: {
    readonly vaultName: string;
    readonly keyName: string;
    readonly permissionModel: PermissionModel;
    readonly vaultAccess: 'Public' | 'Private';
    readonly asked: { readonly keySizeInBits: number; readonly expiry: KeyExpiry };
    readonly found: ObservedKey | undefined;
  },
): Warning[] {
  const isNew = vault.state === 'free';
  const command = ownRightsCommand(vaultId, permissionModel, ownObjectId);
  const warnings: Warning[] = [];
  if (isNew) {
    warnings.push({
      code: 'PurgeProtectionIsFinal',
      detail: `Purge protection of the vault ${vaultName} cannot be turned off, and its retention cannot be changed. The name of the vault stays taken until the retention is over, even if the vault is deleted.`,
    });
  }
  const throughArm = keyThroughArm === true || (isNew && vaultAccess === 'Private');
  if (throughArm) {
    warnings.push({
      code: 'KeyMadeThroughArm',
      detail: `${isNew ? 'The new vault will not answer' : `The vault ${vaultName} does not answer`} from where Keyturn runs, unless a private endpoint is in its network: ARM makes and shows the key, which needs Microsoft.KeyVault/vaults/keys/read and /write there (Key Vault Contributor). ARM makes the first version of a key and never another one, and shows no deleted keys. For a later rotation run Keyturn in a network with a private endpoint of the vault, or have another key made.`,
    });
  }
  if (!throughArm && ((isNew && permissionModel === 'rbac') || key === 'unseen')) {
    const when = isNew
      ? 'A new vault with Azure RBAC gives nobody rights on its keys.'
      : `Keyturn may not read the keys of ${vaultName}.`;
    warnings.push({
      code: 'OwnRightsNeeded',
      detail: `${when} Unless Keyturn's identity (object id ${ownObjectId}) has the rights from a scope above, the operation waits at create-key for: ${command}.`,
    });
  }
  if (found !== undefined) {
    const size = found.keySizeInBits === undefined ? 'of unknown length' : `with ${found.keySizeInBits} bits`;
    const expires = found.expiresOn === undefined ? 'does not expire' : `expires on ${found.expiresOn}`;
    const differs = found.keySizeInBits !== asked.keySizeInBits || asked.expiry !== null;
    warnings.push({
      code: 'KeyExists',
      detail: `The key ${keyName} exists: RSA ${size}, and it ${expires}. It is used as it is${differs ? ', whatever length and expiry the request names' : ''}. Other clusters or programs may use it too.`,
    });
  }
  return warnings;
}

/** What approvers should know of a cluster that is to be made. */
export function newClusterWarnings({
  name,
  identityName,
  vaultName,
  principalId,
  apiServerSubnetId,
  nodeCount,
}: {
  readonly name: string;
  readonly identityName: string;
  readonly vaultName: string;
  readonly principalId: string | null;
  readonly apiServerSubnetId: string | null;
  readonly nodeCount: number;
}): Warning[] {
  const warnings: Warning[] = [
    {
      code: 'ClusterIsNew',
      detail: `The plan creates ${nodeCount} node(s) and a cluster that Keyturn never deletes. What the request does not name has the default of AKS: network, tier, local accounts, no SSH key. If the creation fails, the cluster stays as Azure leaves it: a retry asks again, or delete it (az aks delete --name ${name}).`,
    },
  ];
  if (principalId !== null) {
    warnings.push({
      code: 'IdentityExists',
      detail: `The identity ${identityName} exists (principal ${principalId}). Whatever else acts as it gets the same rights on the vault ${vaultName}.`,
    });
  }
  if (apiServerSubnetId !== null) {
    warnings.push({
      code: 'SubnetRightsNeeded',
      detail: `AKS refuses the cluster unless ${identityName} may join both subnets (Network Contributor there). Keyturn neither checks nor gives that right. API Server VNet Integration cannot be turned off later.`,
    });
  }
  return warnings;
}
