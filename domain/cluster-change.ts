/**
 * Changes of a managed cluster, as values: the wanted state, the ARM body that asks for it, and whether the cluster has it.
 *
 * Does: computes bodies and compares observations.
 * Never does: send anything. activities/arm/ does, for every type of change in the same way.
 */
import { z } from 'zod';
import { assertNever } from './assert-never';
import type { ObservedCluster } from './observed';
import { OwnError } from './own-error';
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

/** A whole version, `1.27.3`: what Azure reports can be compared with no less. */
const PatchVersion = z.string().regex(/^\d+\.\d+\.\d+$/);

/** One change of a managed cluster. */
export const ClusterChange = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('kms'), to: KmsProfile }),
  /** The API servers are upgraded; agent pools keep their version. */
  z.strictObject({ type: z.literal('control-plane-version'), to: PatchVersion }),
  /** One agent pool is upgraded. */
  z.strictObject({ type: z.literal('pool-version'), pool: z.string(), to: PatchVersion }),
  /** The cluster takes the principal that its identity stands for now, in the place of one that is gone; nothing else changes. */
  z.strictObject({ type: z.literal('identity'), replaces: z.string() }),
  /** API Server VNet Integration is turned on, with a subnet for the API servers. In effect after a stop and a start. */
  z.strictObject({ type: z.literal('vnet-integration'), subnetId: z.string() }),
  /** The cluster is stopped or started: an action of ARM, and no PUT. */
  z.strictObject({ type: z.literal('power'), to: z.enum(['Stopped', 'Running']) }),
  /** The add-on `azureKeyvaultSecretsProvider`; `pollInterval` null: mounted files are not renewed. */
  z.strictObject({ type: z.literal('secrets-provider'), enabled: z.boolean(), pollInterval: z.string().nullable() }),
  /** OIDC issuer and workload identity go on. */
  z.strictObject({ type: z.literal('workload-identity') }),
]);
/** One change of a managed cluster. */
export type ClusterChange = z.infer<typeof ClusterChange>;

/** The members of a cluster's body that changes touch; everything else is sent back as ARM gave it. */
export interface ClusterBodyParts {
  readonly properties: {
    readonly securityProfile?: {
      readonly azureKeyVaultKms?: Readonly<Record<string, unknown>> | null;
      readonly [member: string]: unknown;
    } | null;
    readonly addonProfiles?: Readonly<Record<string, unknown>> | null;
    readonly agentPoolProfiles?: readonly PoolBodyParts[] | null;
    readonly apiServerAccessProfile?: Readonly<Record<string, unknown>> | null;
    readonly [member: string]: unknown;
  };
}

/** The member of an agent pool that identifies it; `orchestratorVersion` is the one that changes touch. */
export interface PoolBodyParts {
  readonly name?: string;
  readonly [member: string]: unknown;
}

/** Provisioning states that a cluster does not leave by itself. Every other state (`Updating`, `Creating`, `Upgrading` …) is busy. */
const RESTING_STATES: readonly string[] = ['Succeeded', 'Failed', 'Canceled'];

/** Whether Azure is changing the cluster now. */
export function isBusy(provisioningState: string): boolean {
  return !RESTING_STATES.includes(provisioningState);
}

/**
 * The body of the PUT: everything as ARM gave it, except for the change. The shapes are those that `az aks update`,
 * `az aks upgrade --control-plane-only` and `az aks nodepool upgrade` send. A stop and a start have none.
 * @throws OwnError when the pool that the change names is not in the body
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
    case 'control-plane-version':
      return upgradeBody(body, { kubernetesVersion: change.to });
    case 'pool-version': {
      const pools = body.properties.agentPoolProfiles ?? [];
      if (!pools.some(({ name }) => name === change.pool)) throw poolMissing(change.pool);
      return upgradeBody(body, {
        agentPoolProfiles: pools.map((pool) =>
          pool.name === change.pool ? { ...pool, orchestratorVersion: change.to } : pool,
        ),
      });
    }
    case 'identity':
      // Sent as it is: values of `userAssignedIdentities` are Azure's to fill.
      return body;
    case 'vnet-integration': {
      const { subnetId } = change;
      const profile = { ...body.properties.apiServerAccessProfile, enableVnetIntegration: true, subnetId };
      return { ...body, properties: { ...body.properties, apiServerAccessProfile: profile } };
    }
    case 'power':
      throw new OwnError('A stop and a start are no PUT of the cluster.');
    case 'secrets-provider': {
      const addons = body.properties.addonProfiles ?? {};
      // Azure gives the name in the case in which a client once sent it.
      const name = Object.keys(addons).find((one) => one.toLowerCase() === SECRETS_PROVIDER.toLowerCase());
      const addonProfiles = { ...addons, [name ?? SECRETS_PROVIDER]: addonMembers(change) };
      return { ...body, properties: { ...body.properties, addonProfiles } };
    }
    case 'workload-identity': {
      const securityProfile = { ...body.properties.securityProfile, workloadIdentity: { enabled: true } };
      return { ...body, properties: { ...body.properties, securityProfile, oidcIssuerProfile: { enabled: true } } };
    }
    default:
      return assertNever(change);
  }
}

/** The parts of a cluster that changes are about. */
type ChangedParts = Pick<
  ObservedCluster,
  | 'kms'
  | 'kubernetesVersion'
  | 'agentPools'
  | 'identities'
  | 'vnetIntegration'
  | 'powerState'
  | 'secretsProvider'
  | 'issuerUrl'
  | 'workloadIdentity'
>;

/**
 * Whether the cluster is what the change asks for. Says nothing about the provisioning state. Of a version, the one that
 * runs counts, not the one that was asked for.
 */
export function isApplied(cluster: ChangedParts, change: ClusterChange): boolean {
  const { kms, kubernetesVersion, agentPools, identities, vnetIntegration, powerState } = cluster;
  const { secretsProvider, issuerUrl, workloadIdentity } = cluster;
  switch (change.type) {
    case 'kms':
      return hasProfile(kms, change.to);
    case 'control-plane-version':
      return kubernetesVersion === change.to;
    case 'pool-version':
      return agentPools.some(({ name, version }) => name === change.pool && version === change.to);
    case 'identity':
      return identities.every(
        ({ principalId }) => principalId !== undefined && principalId.toLowerCase() !== change.replaces.toLowerCase(),
      );
    case 'vnet-integration':
      return vnetIntegration === true;
    case 'power':
      return powerState === change.to;
    case 'secrets-provider':
      if (!change.enabled) return secretsProvider?.enabled !== true;
      return secretsProvider?.enabled === true && secretsProvider.pollInterval === change.pollInterval;
    case 'workload-identity':
      return workloadIdentity === true && issuerUrl !== undefined;
    default:
      return assertNever(change);
  }
}

/** The provisioning state while Azure makes a change of the power state, whoever asked for it. */
export function isUnderWay(provisioningState: string, change: ClusterChange): boolean {
  return change.type === 'power' && provisioningState === (change.to === 'Stopped' ? 'Stopping' : 'Starting');
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
  switch (change.type) {
    case 'kms':
      return describeProfile(change.to);
    case 'control-plane-version':
      return `Kubernetes ${change.to} on the control plane`;
    case 'pool-version':
      return `Kubernetes ${change.to} on the agent pool ${change.pool}`;
    case 'identity':
      return `another principal of its identity than ${change.replaces}`;
    case 'vnet-integration':
      return 'that API Server VNet Integration is on';
    case 'power':
      return `the power state ${change.to}`;
    case 'secrets-provider':
      return describeProvider(change);
    case 'workload-identity':
      return 'an OIDC issuer and workload identity';
    default:
      return assertNever(change);
  }
}

/** What a cluster reports of the thing that a change is about, in the same words. */
export function describeReported(cluster: ChangedParts, change: ClusterChange): string {
  const { kms, kubernetesVersion, agentPools, identities, vnetIntegration, powerState } = cluster;
  const { secretsProvider, issuerUrl, workloadIdentity } = cluster;
  switch (change.type) {
    case 'kms':
      return describeKms(kms);
    case 'control-plane-version':
      return `Kubernetes ${kubernetesVersion} on the control plane`;
    case 'pool-version': {
      const pool = agentPools.find(({ name }) => name === change.pool);
      if (pool === undefined) return `no agent pool ${change.pool}`;
      return `Kubernetes ${pool.version} on the agent pool ${change.pool}`;
    }
    case 'identity':
      return `the principal ${identities[0]?.principalId ?? 'unknown'} of its identity`;
    case 'vnet-integration':
      return `that API Server VNet Integration is ${vnetIntegration === true ? 'on' : 'off'}`;
    case 'power':
      return `the power state ${powerState}`;
    case 'secrets-provider':
      return describeProvider(secretsProvider ?? { enabled: false, pollInterval: null });
    case 'workload-identity':
      return `${issuerUrl === undefined ? 'no OIDC issuer' : `the OIDC issuer ${issuerUrl}`}, and workload identity ${workloadIdentity === true ? 'on' : 'off'}`;
    default:
      return assertNever(change);
  }
}

/** A profile in the words of `describeKms`. */
export function describeProfile(profile: KmsProfile): string {
  if (profile.mode === 'off') return 'that KMS is off';
  return `the key ${shortKeyId(profile.keyId)} with ${profile.access.toLowerCase()} vault access`;
}

const SECRETS_PROVIDER = 'azureKeyvaultSecretsProvider';

/** As `az aks enable-addons` and `disable-addons` send it. */
function addonMembers({
  enabled,
  pollInterval,
}: {
  readonly enabled: boolean;
  readonly pollInterval: string | null;
}): object {
  if (!enabled) return { enabled: false };
  return {
    enabled: true,
    config: {
      enableSecretRotation: String(pollInterval !== null),
      rotationPollInterval: pollInterval ?? DEFAULT_POLL_INTERVAL,
    },
  };
}

/** Of AKS. */
const DEFAULT_POLL_INTERVAL = '2m';

function describeProvider({
  enabled,
  pollInterval,
}: {
  readonly enabled: boolean;
  readonly pollInterval: string | null;
}): string {
  if (!enabled) return 'the add-on azureKeyvaultSecretsProvider off';
  return `the add-on azureKeyvaultSecretsProvider ${pollInterval === null ? 'without rotation' : `with rotation every ${pollInterval}`}`;
}

/** When KMS goes off, the other members stay in the PUT: `az aks update --disable-azure-keyvault-kms` leaves them too. */
function kmsMembers(profile: KmsProfile): Record<string, unknown> {
  if (profile.mode === 'off') return { enabled: false };
  const { keyId, access, vaultId } = profile;
  const common = { enabled: true, keyId, keyVaultNetworkAccess: access };
  if (access === 'Public') return { ...common, keyVaultResourceId: '' };
  return vaultId === undefined ? common : { ...common, keyVaultResourceId: vaultId };
}

/**
 * An upgrade sends nothing else that could be a change, and leaves `servicePrincipalProfile` out: AKS validates the profile of
 * an upgrade, and a GET never shows its secret. `az aks upgrade` clears it for the same reason.
 */
function upgradeBody<B extends ClusterBodyParts>(body: B, members: Record<string, unknown>): B {
  const { servicePrincipalProfile: _validatedByAks, ...properties } = body.properties;
  return { ...body, properties: { ...properties, ...members } };
}

function poolMissing(pool: string): OwnError {
  return new OwnError(
    `The cluster has no agent pool ${pool} any more. Nothing was sent. Find out who removed it, and start a new operation.`,
  );
}
