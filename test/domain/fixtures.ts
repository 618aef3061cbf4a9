/** Facts and requests that the domain's tests start from; each test changes what it is about. */
import type { IdentityAccess, ObservedVault } from '../../domain/identity-access';
import type { CsiFacts, CsiInside, ReadVault } from '../../domain/csi/facts';
import type { ClusterToMake } from '../../domain/cluster-to-make';
import type { KeyUsers } from '../../domain/key-users';
import type { Ledger } from '../../domain/ledger';
import type { AzureObservation, Observation, ObservedCluster, ObservedKey } from '../../domain/observed';
import type { Actor } from '../../domain/people';
import type { Recovery, SlotFacts } from '../../domain/recovery';
import type { Plan } from '../../domain/plan/plan';
import type { Provisioning } from '../../domain/provisioning';
import { plan } from '../../domain/planner';
import { OperationRequest } from '../../domain/request';

export const CLUSTER =
  '/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/rg/providers/Microsoft.ContainerService/managedClusters/aks1';
export const NOW = '2026-11-22T12:00:00.000Z';
/** What the API adds to a decision; the signature is of nobody, and as long as a real one. */
export const SIGNED = {
  roles: ['Kms.Approver'],
  at: NOW,
  texts: `sha256:${'0'.repeat(64)}`,
  signature: { keyId: `sha256:${'0'.repeat(64)}`, value: `${'A'.repeat(86)}==` },
};
const LATER = '2026-11-22T14:00:00.000Z';
const version = (digit: string): string => digit.repeat(32);
/** A key version that has left its slots. */
export const KEY_0 = `https://kv1.vault.azure.net/keys/k0/${version('0')}`;
export const KEY_1 = `https://kv1.vault.azure.net/keys/k1/${version('1')}`;
export const KEY_2 = `https://kv1.vault.azure.net/keys/k1/${version('2')}`;
export const KEY_3 = `https://kv1.vault.azure.net/keys/k1/${version('3')}`;
export const FOREIGN_KEY = `https://kv2.vault.azure.net/keys/k1/${version('2')}`;

export const person = (name: string): Actor => ({ tenantId: 't', objectId: `oid-${name}`, name, type: 'user' });

export function request(change: Partial<Record<'keyId', string>> & { whenBusy?: string } = {}): OperationRequest {
  const { keyId, ...rest } = change;
  return OperationRequest.parse({
    kind: 'rotate-key',
    cluster: CLUSTER,
    change: { number: 'CHG1' },
    parameters: keyId === undefined ? {} : { keyId },
    ...rest,
  });
}

export const goodKey = (keyId: string, change: Partial<ObservedKey> = {}): ObservedKey => ({
  keyId,
  keyType: 'RSA',
  keySizeInBits: 2048,
  operations: ['encrypt', 'decrypt'],
  enabled: true,
  ...change,
});

export const goodCluster = (change: Partial<ObservedCluster> = {}): ObservedCluster => ({
  resourceId: CLUSTER,
  location: 'westeurope',
  kubernetesVersion: '1.34.1',
  wantedKubernetesVersion: '1.34.1',
  agentPools: [{ name: 'nodepool1', version: '1.34.1', wantedVersion: '1.34.1', count: 1, mode: 'System' }],
  provisioningState: 'Succeeded',
  powerState: 'Running',
  identityType: 'UserAssigned',
  identities: [{ resourceId: '/subscriptions/s/…/userAssignedIdentities/id1', principalId: 'principal-1' }],
  localAccountsDisabled: false,
  platformManagedEncryption: false,
  tags: {},
  kms: { enabled: true, keyId: KEY_1, networkAccess: 'Public' },
  ...change,
});

export function azure(
  change: { cluster?: Partial<ObservedCluster>; currentKey?: Partial<ObservedKey>; requestedKey?: ObservedKey } = {},
): AzureObservation {
  return {
    at: NOW,
    cluster: { found: true, cluster: goodCluster(change.cluster) },
    currentKey: { found: true, key: goodKey(KEY_1, change.currentKey) },
    ...(change.requestedKey ? { requestedKey: { found: true as const, key: change.requestedKey } } : {}),
  };
}

/** An identity that may use the key of a vault with access policies. */
export const identityAccess = (
  change: { readonly vault?: Partial<ObservedVault> } & Partial<
    Pick<IdentityAccess, 'keyId' | 'roles' | 'denials'>
  > = {},
): IdentityAccess => {
  const { vault, ...rest } = change;
  const value: ObservedVault = {
    vaultId: VAULT_ID,
    permissionModel: 'access-policy',
    policyKeys: ['encrypt', 'decrypt'],
    openToAllNetworks: true,
    tenantId: 'tenant-1',
    softDelete: true,
    purgeProtection: true,
    ...vault,
  };
  return {
    keyId: KEY_2,
    tenantId: 'tenant-1',
    identity: { name: 'id1', principalId: 'principal-1' },
    vault: { known: true, value },
    ...rest,
  };
};

/** Key Vault Contributor: what AKS needs to approve a private endpoint. */
export const VAULT_CONTRIBUTOR = {
  name: 'Key Vault Contributor',
  actions: ['Microsoft.KeyVault/*'],
  notActions: ['Microsoft.KeyVault/locations/deletedVaults/purge/action'],
  dataActions: [],
  notDataActions: [],
  uncertain: false,
};

export const observation = (azureFacts: AzureObservation, ledger: Ledger | null = null): Observation => ({
  azure: azureFacts,
  ledger,
});

export const provenLedger = (...keyIds: string[]): Ledger => ({
  version: 1,
  generations: keyIds.map((keyId, index) => ({
    keyId,
    state: index === keyIds.length - 1 ? 'proven' : index === keyIds.length - 2 ? 'superseded' : 'evicted',
    origin: 'operation',
    since: NOW,
  })),
});

/** Nobody but the cluster itself needs a key. */
export const keyUsers = (keyId: string, ...others: string[]): KeyUsers => ({
  keyId,
  users: [
    ...(keyId === KEY_1 ? [{ cluster: CLUSTER, by: 'current' as const }] : []),
    ...others.map((cluster) => ({ cluster, by: 'current' as const })),
  ],
  clusters: 2,
  unread: [],
  refusedSubscriptions: [],
});

/** The keys that a good request of a kind names. */
const NAMED: Readonly<Record<string, string>> = {
  'enable-kms': KEY_2,
  'change-vault': FOREIGN_KEY,
  'retire-key': KEY_0,
  'create-cluster': KEY_2,
};

export const VAULT_ID = '/subscriptions/s/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/kv1';
export const WORKSPACE =
  '/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/rg/providers/Microsoft.OperationalInsights/workspaces/logs';

/** Kinds whose cluster has KMS off. */
const STARTS_OFF: readonly string[] = ['enable-kms', 'provision-kms', 'create-cluster'];

/** What there is of a vault and a key: nothing, unless a test says more. */
export const provisioning = (change: Partial<Provisioning> = {}): Provisioning => ({
  vaultId: VAULT_ID.replace(/kv1$/, 'kv9'),
  tenantId: 'tenant-1',
  ownObjectId: 'own-object-id',
  vault: { state: 'free' },
  key: 'none',
  ...change,
});

/** The identity that a new cluster is to have. */
export const IDENTITY =
  '/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id9';

/** What there is of the things that a new cluster needs: a vault, and no identity yet. */
export const clusterToMake = (
  change: { readonly vault?: Partial<ObservedVault> } & Partial<Pick<ClusterToMake, 'identity'>> = {},
): ClusterToMake => {
  const { vault, ...rest } = change;
  const access = identityAccess({ vault: { permissionModel: 'rbac', ...vault } });
  return { identity: { state: 'missing' }, tenantId: 'tenant-1', vault: access.vault, ...rest };
};

/** A vault that pods are to read. */
export const READ_VAULT_ID =
  '/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/kv-app';

/** What Azure shows before pods are connected by workload identity: a vault, and no identity yet. */
export const csiFacts = (
  change: Partial<Omit<CsiFacts, 'vault'>> & { readonly vault?: Partial<ReadVault> } = {},
): CsiFacts => {
  const { vault, ...rest } = change;
  const value: ReadVault = {
    vaultId: READ_VAULT_ID,
    tenantId: 'tenant-1',
    permissionModel: 'rbac',
    openToAllNetworks: true,
    policy: { secrets: [], keys: [], certificates: [] },
    ...vault,
  };
  return {
    cloud: 'AzureCloud',
    vault: { known: true, value },
    identity: { state: 'to-be-made' },
    credentials: { known: true, value: [] },
    ...rest,
  };
};

/** What the cluster shows: nothing of a connection. */
export const csiInside = (change: Partial<CsiInside> = {}): CsiInside => ({
  namespaceFound: true,
  classes: [],
  otherInstallations: [],
  notReady: [],
  ...change,
});

const CSI_PLACE = { namespace: 'apps', secretProviderClass: 'web', serviceAccount: 'web', identity: IDENTITY };

/** What else a good request of a kind names. */
const PARAMETERS: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  'change-vault-access': { vaultAccess: 'Private' },
  'enable-vault-diagnostics': { workspaceId: WORKSPACE },
  'provision-kms': { vaultName: 'kv9', keyName: 'etcd' },
  'create-cluster': { location: 'westeurope', identityId: IDENTITY },
  'connect-csi': {
    ...CSI_PLACE,
    mode: 'workload-identity',
    vaultId: READ_VAULT_ID,
    objects: [
      { objectName: 'secret1', objectType: 'secret' },
      { objectName: 'key1', objectType: 'key' },
    ],
    rotationPollInterval: '2m',
  },
  'disconnect-csi': { ...CSI_PLACE, disableAddOn: true },
};

/** A request of any kind; kinds that need a key name one. */
export function requestOf(kind: string, parameters?: Record<string, unknown>): OperationRequest {
  const named = NAMED[kind] === undefined ? {} : { keyId: NAMED[kind] };
  return OperationRequest.parse({
    kind,
    cluster: CLUSTER,
    change: { number: 'CHG1' },
    parameters: parameters ?? { ...PARAMETERS[kind], ...named },
  });
}

/** The key of a slot, in a vault that is open to all networks, and what its identity is granted. */
export const slotFacts = (
  slot: SlotFacts['slot'],
  keyId: string,
  change: Partial<SlotFacts> & { readonly version?: Partial<ObservedKey> } = {},
): SlotFacts => {
  const { version = {}, ...rest } = change;
  return {
    slot,
    keyId,
    key: { found: true, key: goodKey(keyId, version) },
    vault: { state: 'live', vaultId: VAULT_ID, permissionModel: 'access-policy', openToAllNetworks: true },
    access: identityAccess({ keyId }),
    ...rest,
  };
};

/** A cluster whose key does not work, for several reasons at once. */
export const recovery = (change: Partial<Recovery> = {}): Recovery => ({
  slots: [slotFacts('current', KEY_1, { version: { enabled: false, expiresOn: '2026-11-21T00:00:00.000Z' } })],
  identity: {
    id: '/subscriptions/s/resourceGroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id1',
    location: 'westeurope',
    state: 'same',
    principalId: 'principal-1',
  },
  kms: { answers: 1, causes: ['KeyDisabled: the vault does not encrypt or decrypt with a disabled key version.'] },
  ...change,
});

/** What Azure reports of a good cluster for a kind: in the state that the kind needs. */
export function azureFor(kind: string): AzureObservation {
  const named = NAMED[kind];
  const on = azure({
    cluster: {
      ...(kind === 'upgrade-to-kms-v2' ? CLUSTER_WITH_KMS_V1 : {}),
      ...(kind === 'change-vault-access' ? { vnetIntegration: true } : {}),
      ...(kind === 'disconnect-csi' ? { secretsProvider: { enabled: true, pollInterval: null } } : {}),
    },
  });
  const { currentKey: _none, ...off } = azure({ cluster: { kms: { enabled: false } } });
  const retired = kind === 'replace-key' ? KEY_1 : kind === 'retire-key' ? KEY_0 : undefined;
  return {
    ...(STARTS_OFF.includes(kind) ? off : on),
    ...(named === undefined ? {} : { requestedKey: { found: true, key: goodKey(named) } }),
    ...(kind === 'enable-kms' || kind === 'change-vault' ? { identityAccess: identityAccess() } : {}),
    ...(kind === 'change-vault-access'
      ? {
          identityAccess: identityAccess({ keyId: KEY_1, roles: { known: true, value: [VAULT_CONTRIBUTOR] } }),
          vaultUsers: { vaultUrl: 'https://kv1.vault.azure.net', clusters: [], unread: [], refusedSubscriptions: [] },
        }
      : {}),
    ...(kind === 'upgrade-to-kms-v2'
      ? {
          identityAccess: identityAccess({ keyId: KEY_1 }),
          upgradeProfile: { current: '1.26.6', offered: ['1.26.10', '1.27.3', '1.27.7'] },
        }
      : {}),
    ...(retired === undefined ? {} : { keyUsers: keyUsers(retired) }),
    ...(kind === 'enable-vault-diagnostics'
      ? { vaultDiagnostics: { known: true as const, vaultId: VAULT_ID, settings: [], workspaceFound: true } }
      : {}),
    ...(kind === 'provision-kms' ? { provisioning: provisioning() } : {}),
    ...(kind === 'recover-key' ? { recovery: recovery() } : {}),
    ...(kind === 'connect-csi' ? { csi: csiFacts() } : {}),
    ...(kind === 'create-cluster'
      ? {
          cluster: { found: false as const, state: 'missing' as const, why: 'ARM knows no such cluster.' },
          clusterToMake: clusterToMake(),
        }
      : {}),
  };
}

const CLUSTER_WITH_KMS_V1: Partial<ObservedCluster> = {
  kubernetesVersion: '1.26.6',
  wantedKubernetesVersion: '1.26.6',
  agentPools: [{ name: 'nodepool1', version: '1.26.6', wantedVersion: '1.26.6', count: 1, mode: 'System' }],
};

/** The ledger of that cluster: `KEY_0` has left its slots. */
export function ledgerFor(kind: string, { proven }: { readonly proven: boolean }): Ledger {
  const last = STARTS_OFF.includes(kind) ? [null] : [KEY_2, KEY_1];
  const keys = kind === 'retire-key' ? [KEY_0, ...last] : last.slice(-1);
  return {
    version: 1,
    generations: keys.map((keyId, index) => ({
      keyId,
      state:
        (['evicted', 'superseded', proven ? 'proven' : 'activated'] as const)[index + 3 - keys.length] ?? 'evicted',
      origin: 'operation',
      since: NOW,
      // What was evicted is free only once something after it is proven.
      ...(index === keys.length - 2 ? { proof: { operationId: 'o', at: NOW, convergedRv: '1', secrets: 1 } } : {}),
    })),
  };
}

/** What the cluster shows before a plan of the CSI kinds: nothing, or what connect-csi made. */
export function insideFor(kind: string): CsiInside | undefined {
  if (kind === 'connect-csi') return csiInside();
  if (kind !== 'disconnect-csi') return undefined;
  return csiInside({
    classes: [{ namespace: 'apps', name: 'web', ours: true, problems: [], pods: [] }],
    serviceAccount: { namespace: 'apps', name: 'web', ours: true },
  });
}

/** The plan of a kind on a good cluster in the state that the kind needs. */
export function planned(kind: string, { proven = true }: { readonly proven?: boolean } = {}): Plan {
  const facts = {
    ...observation(azureFor(kind), kind === 'create-cluster' ? null : ledgerFor(kind, { proven })),
    csiInside: insideFor(kind),
  };
  // An hour after the last switch: KMS v1 does not show which key API servers write with.
  const result = plan(requestOf(kind), { ...facts, azure: { ...facts.azure, at: LATER } }, { approvalsRequired: 1 });
  if (!result.plan) throw new Error(JSON.stringify(result.faults));
  return result.plan;
}
