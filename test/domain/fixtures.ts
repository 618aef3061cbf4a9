/** Facts and requests that the domain's tests start from; each test changes what it is about. */
import type { IdentityAccess, ObservedVault } from '../../domain/identity-access';
import type { Ledger } from '../../domain/ledger';
import type { AzureObservation, Observation, ObservedCluster, ObservedKey } from '../../domain/observed';
import type { Actor } from '../../domain/people';
import type { Plan } from '../../domain/plan/plan';
import { plan } from '../../domain/planner';
import { OperationRequest } from '../../domain/request';

export const CLUSTER =
  '/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/rg/providers/Microsoft.ContainerService/managedClusters/aks1';
export const NOW = '2026-11-22T12:00:00.000Z';
const version = (digit: string): string => digit.repeat(32);
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
  change: { readonly vault?: Partial<ObservedVault> } & Partial<Pick<IdentityAccess, 'roles' | 'denials'>> = {},
): IdentityAccess => {
  const { vault, ...rest } = change;
  const value: ObservedVault = {
    vaultId: '/subscriptions/s/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/kv1',
    permissionModel: 'access-policy',
    policyKeys: ['encrypt', 'decrypt'],
    openToAllNetworks: true,
    ...vault,
  };
  return {
    keyId: KEY_2,
    identity: { name: 'id1', principalId: 'principal-1' },
    vault: { known: true, value },
    ...rest,
  };
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

/** A request of any kind; `enable-kms` names a key. */
export function requestOf(kind: string, parameters?: Record<string, string>): OperationRequest {
  const named = kind === 'enable-kms' ? { keyId: KEY_2 } : {};
  return OperationRequest.parse({
    kind,
    cluster: CLUSTER,
    change: { number: 'CHG1' },
    parameters: parameters ?? named,
  });
}

/** The plan of a kind on a good cluster in the state that the kind needs. */
export function planned(kind: string, { proven = true }: { readonly proven?: boolean } = {}): Plan {
  const off = kind === 'enable-kms';
  const facts = off ? { ...azure({ cluster: { kms: { enabled: false } } }), currentKey: undefined } : azure();
  const ledger: Ledger = {
    version: 1,
    generations: [
      { keyId: off ? null : KEY_1, state: proven ? 'proven' : 'activated', origin: 'operation', since: NOW },
    ],
  };
  const named = off
    ? { requestedKey: { found: true as const, key: goodKey(KEY_2) }, identityAccess: identityAccess() }
    : {};
  const result = plan(requestOf(kind), observation({ ...facts, ...named }, ledger), { approvalsRequired: 1 });
  if (!result.plan) throw new Error(JSON.stringify(result.faults));
  return result.plan;
}
