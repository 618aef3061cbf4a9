/**
 * Changes of a managed cluster, as values: the wanted state, the ARM body that asks for it, and whether the cluster has it.
 *
 * Does: computes bodies and compares observations.
 * Never does: send anything. activities/arm/ does, for every type of change in the same way.
 */
import { z } from 'zod';
import { assertNever } from './assert-never';
import type { ObservedCluster } from './observed';
import { sameKeyId, shortKeyId } from './resource-ids';

/** How the API servers reach the vault: over its public address, or over a private endpoint. */
export const VaultAccess = z.enum(['Public', 'Private']);
/** How the API servers reach the vault. */
export type VaultAccess = z.infer<typeof VaultAccess>;

/** `securityProfile.azureKeyVaultKms`, as Keyturn asks for it. */
export const KmsProfile = z.discriminatedUnion('mode', [
  z.strictObject({ mode: z.literal('off') }),
  z.strictObject({
    mode: z.literal('on'),
    /** Versioned. */
    keyId: z.string(),
    access: VaultAccess,
    /** ARM resource id of the vault; AKS needs it with private access, and takes none with public access. */
    vaultId: z.string().optional(),
  }),
]);
/** `securityProfile.azureKeyVaultKms`, as Keyturn asks for it. */
export type KmsProfile = z.infer<typeof KmsProfile>;

/** One change of a managed cluster. */
export const ClusterChange = z.discriminatedUnion('type', [z.strictObject({ type: z.literal('kms'), to: KmsProfile })]);
/** One change of a managed cluster. */
export type ClusterChange = z.infer<typeof ClusterChange>;

/** The members of a cluster's body that changes touch; everything else is sent back as ARM gave it. */
export interface ClusterBodyParts {
  readonly properties: {
    readonly securityProfile?: { readonly azureKeyVaultKms?: Readonly<Record<string, unknown>> | null } | null;
  };
}

/** Provisioning states that a cluster does not leave by itself. Every other state (`Updating`, `Creating`, `Upgrading` …) is busy. */
const RESTING_STATES: readonly string[] = ['Succeeded', 'Failed', 'Canceled'];

/** Whether Azure is changing the cluster now. */
export function isBusy(provisioningState: string): boolean {
  return !RESTING_STATES.includes(provisioningState);
}

/**
 * The body of the PUT: everything as ARM gave it, except for the change.
 * The shapes are those that `az aks update` sends.
 */
export function applyChange<B extends ClusterBodyParts>(body: B, change: ClusterChange): B {
  switch (change.type) {
    case 'kms': {
      const { securityProfile } = body.properties;
      const azureKeyVaultKms = { ...securityProfile?.azureKeyVaultKms, ...kmsMembers(change.to) };
      return {
        ...body,
        properties: { ...body.properties, securityProfile: { ...securityProfile, azureKeyVaultKms } },
      };
    }
    default:
      return assertNever(change.type);
  }
}

/** Whether the cluster has the state that the change asks for. Says nothing about the provisioning state. */
export function isApplied({ kms }: Pick<ObservedCluster, 'kms'>, change: ClusterChange): boolean {
  switch (change.type) {
    case 'kms':
      return hasProfile(kms, change.to);
    default:
      return assertNever(change.type);
  }
}

/** Whether a cluster reports a profile. Azure compares key names, vaults and ids without regard to case. */
export function hasProfile(kms: ObservedCluster['kms'], profile: KmsProfile): boolean {
  if (profile.mode === 'off') return !kms.enabled;
  if (!kms.enabled || kms.keyId === undefined || !sameKeyId(kms.keyId, profile.keyId)) return false;
  if (accessOf(kms) !== profile.access) return false;
  return (
    profile.access === 'Public' ||
    profile.vaultId === undefined ||
    kms.vaultId?.toLowerCase() === profile.vaultId.toLowerCase()
  );
}

/** The access that a cluster reports; AKS uses `Public` as the default. */
export function accessOf({ networkAccess }: Pick<ObservedCluster['kms'], 'networkAccess'>): VaultAccess {
  return networkAccess === 'Private' ? 'Private' : 'Public';
}

/** What a cluster reports, to complete "Azure reports …". */
export function describeKms(kms: ObservedCluster['kms']): string {
  if (!kms.enabled) return 'that KMS is off';
  return `${kms.keyId === undefined ? 'no key' : `the key ${shortKeyId(kms.keyId)}`} with ${accessOf(kms).toLowerCase()} vault access`;
}

/** What a change asks for, in the same words. */
export function describeChange(change: ClusterChange): string {
  return describeProfile(change.to);
}

/** A profile in the words of `describeKms`. */
export function describeProfile(profile: KmsProfile): string {
  if (profile.mode === 'off') return 'that KMS is off';
  return `the key ${shortKeyId(profile.keyId)} with ${profile.access.toLowerCase()} vault access`;
}

/** When KMS goes off, the other members stay in the PUT: `az aks update --disable-azure-keyvault-kms` leaves them too. */
function kmsMembers(profile: KmsProfile): Record<string, unknown> {
  if (profile.mode === 'off') return { enabled: false };
  const { keyId, access, vaultId } = profile;
  const common = { enabled: true, keyId, keyVaultNetworkAccess: access };
  if (access === 'Public') return { ...common, keyVaultResourceId: '' };
  return vaultId === undefined ? common : { ...common, keyVaultResourceId: vaultId };
}
