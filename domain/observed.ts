/** What Keyturn observed of a cluster and its keys before it plans. Facts only; the rules are elsewhere. */
import { z } from 'zod';
import { Census } from './census';
import { accessOf } from './cluster-change';
import { ClusterToMake } from './cluster-to-make';
import { CsiFacts, CsiInside, SecretsProvider } from './csi/facts';
import { kmsScheme, type EncryptionState } from './encryption';
import { IdentityAccess } from './identity-access';
import { KeyUsers, VaultUsers } from './key-users';
import { Ledger } from './ledger';
import { KeyLookup, ObservedKey } from './observed-key';
import { Provisioning } from './provisioning';
import { Recovery } from './recovery';
import { UpgradeRisks } from './upgrade-risks';
import { VaultDiagnostics } from './vault-diagnostics';
import { VnetSight } from './vnet-integration';

export { ANOTHER_VAULT, KeyLookup, ObservedKey } from './observed-key';

/** The answer about a cluster that ARM does not know. @param code of ARM */
export function notInArm(code: string): string {
  switch (code) {
    case 'SubscriptionNotFound':
    case 'InvalidSubscriptionId':
      return `ARM knows no such subscription (${code}).`;
    case 'InvalidAuthenticationTokenTenant':
      return `Its subscription is in another tenant than Keyturn's identity (${code}).`;
    case 'ResourceGroupNotFound':
      return `ARM knows no such resource group (${code}).`;
    default:
      return `ARM knows no such cluster (${code}).`;
  }
}

/** What a version is called that ARM does not report. */
export const UNKNOWN_VERSION = 'unknown';

/** An agent pool as ARM reports it. */
export const ObservedPool = z.object({
  name: z.string(),
  /** What its nodes run now; `unknown` when ARM does not say. */
  version: z.string(),
  /** What was last asked for: while an upgrade runs, and after one that failed, another than `version`. */
  wantedVersion: z.string(),
  /** Nodes. */
  count: z.int(),
  /** Whether the autoscaler of AKS sets the count. */
  autoscaled: z.boolean().optional(),
  /** Whether it is an availability set and no scale set: AKS cannot stop such a cluster. */
  availabilitySet: z.boolean().optional(),
  /** `System` or `User`. */
  mode: z.string(),
});
/** An agent pool as ARM reports it. */
export type ObservedPool = z.infer<typeof ObservedPool>;

/** A managed cluster as ARM reports it: the fields that the rules need. */
export const ObservedCluster = z.object({
  resourceId: z.string(),
  location: z.string(),
  /** What the API servers run now; `unknown` when ARM does not say. */
  kubernetesVersion: z.string(),
  /** What was last asked for, perhaps without a patch: while an upgrade runs, and after one that failed, another. */
  wantedKubernetesVersion: z.string(),
  /** By name. */
  agentPools: z.array(ObservedPool),
  provisioningState: z.string(),
  /** Changes with every change of the cluster by any client; absent when ARM gives none. */
  eTag: z.string().optional(),
  /** `Running` or `Stopped`. */
  powerState: z.string(),
  identityType: z.string(),
  /** The user-assigned identities of the control plane: AKS takes one. */
  identities: z.array(z.object({ resourceId: z.string(), principalId: z.string().optional() })),
  /** API Server VNet Integration is on: private vaults need it. Absent when ARM does not say. */
  vnetIntegration: z.boolean().optional(),
  /** Node auto-provisioning is on: AKS cannot stop such a cluster. */
  nodeAutoProvisioning: z.boolean().optional(),
  /** The add-on for secrets of vaults in pods. Absent when ARM shows none: it was never on. */
  secretsProvider: SecretsProvider.optional(),
  /** Who issues the tokens of service accounts, for Entra ID; absent while the cluster has none. */
  issuerUrl: z.string().optional(),
  /** Whether AKS injects such tokens into pods that ask for them. */
  workloadIdentity: z.boolean().optional(),
  localAccountsDisabled: z.boolean(),
  /** ARM tags. */
  tags: z.record(z.string(), z.string()),
  /** `securityProfile.kubernetesResourceObjectEncryptionProfile` is set: the newer encryption, which rotates its own keys. */
  platformManagedEncryption: z.boolean(),
  kms: z.object({
    enabled: z.boolean(),
    keyId: z.string().optional(),
    /** `Public` or `Private`. */
    networkAccess: z.string().optional(),
    /** ARM resource id of the vault: with private access. */
    vaultId: z.string().optional(),
  }),
});
/** A managed cluster as ARM reports it. */
export type ObservedCluster = z.infer<typeof ObservedCluster>;

/** The key id that a cluster reports as current; null when KMS is off, whatever key it had before. */
export function reportedKeyId({ kms }: Pick<ObservedCluster, 'kms'>): string | null {
  return kms.enabled ? (kms.keyId ?? null) : null;
}

/** The encryption state that a cluster is in, as ARM reports it. @throws Error when KMS is on without a key */
export function encryptionStateOf({ kms, kubernetesVersion }: ObservedCluster): EncryptionState {
  if (!kms.enabled) return { mode: 'off' };
  if (kms.keyId === undefined) throw new Error('KMS is on without a key.');
  return {
    mode: 'on',
    scheme: kmsScheme(kubernetesVersion),
    key: kms.keyId,
    access: accessOf(kms),
    ...(kms.vaultId === undefined ? {} : { vaultId: kms.vaultId }),
  };
}

/** The id of a key that was found, as its vault spells it; undefined when none was looked up, or it is not there. */
export function foundKeyId(lookup: KeyLookup | undefined): string | undefined {
  return lookup?.found ? lookup.key.keyId : undefined;
}

/** What AKS offers to upgrade the control plane to (ARM `upgradeProfiles/default`): whole versions, previews left out. It skips no minor. */
export const UpgradeProfile = z.object({
  /** Of the control plane. */
  current: z.string(),
  offered: z.array(z.string()).readonly(),
});
/** What AKS offers to upgrade to. */
export type UpgradeProfile = z.infer<typeof UpgradeProfile>;

/** What Azure reports, before Keyturn reads anything inside the cluster. */
export const AzureObservation = z.object({
  /** ISO 8601. */
  at: z.string(),
  cluster: z.union([
    z.object({ found: z.literal(true), cluster: ObservedCluster }),
    z.object({
      found: z.literal(false),
      why: z.string(),
      /** `missing`: ARM knows none of this name; `no-group`: nor its resource group; `unseen`: Keyturn may not look. */
      state: z.enum(['missing', 'no-group', 'unseen']).optional(),
    }),
  ]),
  currentKey: KeyLookup.optional(),
  /** The key that the request names. */
  requestedKey: KeyLookup.optional(),
  /** The second key that the request names. */
  nextKey: KeyLookup.optional(),
  /** What AKS offers to upgrade to. For kinds that need it. */
  upgradeProfile: UpgradeProfile.optional(),
  /** Who needs the key that is to be retired. For kinds that need it. */
  keyUsers: KeyUsers.optional(),
  /** What the cluster's identity is granted on the requested key, or on the current one; for kinds that need it. */
  identityAccess: IdentityAccess.optional(),
  /** The same for keys that the request names and that are other objects than the current key, in its vault. For kinds that need it. */
  otherKeyAccess: z.array(IdentityAccess).optional(),
  /** ARM ids of vaults, by name in lower case: those of keys that a kind retires, where Keyturn sees them. */
  vaultIds: z.record(z.string(), z.string()).optional(),
  /** Why API servers cannot use their keys. For kinds that need it. */
  recovery: Recovery.optional(),
  /** Who else needs the public address of the vault of the current key. For kinds that need it. */
  vaultUsers: VaultUsers.optional(),
  /** Diagnostic settings of the vault of the current key; for kinds that need them. */
  vaultDiagnostics: VaultDiagnostics.optional(),
  /** What there is of the vault and the key that the request names; for kinds that need it. */
  provisioning: Provisioning.optional(),
  /** The newest version of that key, when it is there. */
  provisionedKey: ObservedKey.optional(),
  /** What there is of the things that a new cluster needs; for kinds that make one. */
  clusterToMake: ClusterToMake.optional(),
  /** What Azure shows of the connection between the cluster's pods and a vault; for kinds that need it. */
  csi: CsiFacts.optional(),
});
/** What Azure reports. */
export type AzureObservation = z.infer<typeof AzureObservation>;

/** All that a plan is made from. */
export const Observation = z.object({
  azure: AzureObservation,
  /** The ledger in the cluster; null when the cluster has none. Absent when Azure's answer made reading it pointless. */
  ledger: Ledger.nullable().optional(),
  /** The ledger calls the current key proven, and no signed evidence confirms it: `ledger` says activated here. */
  ledgerNotConfirmed: z.boolean().optional(),
  /** The ledger's proof is confirmed, and the cluster was changed in Azure since: `ledger` says activated here. */
  changedSinceProof: z.boolean().optional(),
  /** Why the cluster could not be read, one sentence: for kinds that can do without. */
  unreadable: z.string().optional(),
  /** What may not survive an upgrade, as far as the cluster tells. For kinds that need it. */
  upgradeRisks: UpgradeRisks.optional(),
  /** What the cluster shows of the connection between its pods and a vault. For kinds that need it. */
  csiInside: CsiInside.optional(),
  /** A key version that an earlier operation made for the cluster and was not seen to set; for plans that make one. */
  unusedVersion: z.object({ keyId: z.string(), operationId: z.string() }).optional(),
  /** Nodes by the name of their agent pool; absent when the API server shows none. */
  nodes: z.record(z.string(), z.int()).optional(),
  /** The size of etcd's database; absent when the API server does not show it. */
  storageBytes: z.number().optional(),
  /** What the cluster shows of API Server VNet Integration. For kinds that need it, with private vault access. */
  vnetSight: VnetSight.optional(),
  /** The census of every Secret; absent as long as there was none. */
  census: Census.optional(),
});
/** All that a plan is made from. */
export type Observation = z.infer<typeof Observation>;
