/** A cluster that is made with KMS on: what is planned, what is refused, what ARM is asked for, and what is left when it ends early. */
import { describe, expect, it } from '@jest/globals';
import { newClusterBody } from '../../domain/cluster-to-make';
import { created, keySlots, keysNeeded, proven, reconcile } from '../../domain/ledger';
import { planFaults } from '../../domain/plan/check-plan';
import { keysNeededNow } from '../../domain/plan/outputs';
import type { Plan } from '../../domain/plan/plan';
import type { PlanStep } from '../../domain/plan/steps';
import { plan, ruleFaults } from '../../domain/planner';
import type { AzureObservation } from '../../domain/observed';
import { stateLeft } from '../../domain/state-left';
import {
  azureFor,
  CLUSTER,
  clusterToMake,
  goodCluster,
  goodKey,
  IDENTITY,
  KEY_2,
  NOW,
  observation,
  planned,
  provisioning,
  requestOf,
  VAULT_ID,
} from './fixtures';

const KIND = 'create-cluster';
const subnet = (name: string): string =>
  `/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/rg/providers/Microsoft.Network/virtualNetworks/net/subnets/${name}`;
const SUBNETS = { apiServerSubnetId: subnet('api'), nodeSubnetId: subnet('nodes') };
const PARAMETERS = { location: 'westeurope', identityId: IDENTITY, keyId: KEY_2 };
const KEY_9 = `https://kv9.vault.azure.net/keys/etcd/${'9'.repeat(32)}`;
const EXISTS = { state: 'exists', principalId: 'principal-9' } as const;

function made(parameters: Record<string, unknown> = {}, change: Partial<AzureObservation> = {}) {
  const request = requestOf(KIND, { ...PARAMETERS, ...parameters });
  return plan(request, observation({ ...azureFor(KIND), ...change }), { approvalsRequired: 1 });
}

function planOf(...args: Parameters<typeof made>): Plan {
  const result = made(...args);
  if (!result.plan) throw new Error(JSON.stringify(result.faults));
  return result.plan;
}

function creationOf({ steps }: Plan): PlanStep & { readonly type: 'create-cluster' } {
  const step = steps.find(({ type }) => type === 'create-cluster');
  if (step?.type !== 'create-cluster') throw new Error('The plan makes no cluster.');
  return step;
}

describe('a plan of a new cluster', () => {
  it('makes the identity, grants, makes the cluster with KMS on, and proves it', () => {
    const { steps, from, to, keysNeeded: needed, summary } = planned(KIND);
    expect(steps.slice(1)).toMatchObject([
      { type: 'create-identity', identityId: IDENTITY, location: 'westeurope' },
      { type: 'grant-key-access', vaultId: VAULT_ID, permissionModel: 'rbac', keyName: 'k1', principalId: null },
      { type: 'create-cluster', to, nodeCount: 3, kubernetesVersion: '', vmSize: '', apiServerSubnetId: null },
      { type: 'converge', to, baseline: null },
      { type: 'prove', to, acceptable: false },
      { type: 'record-proof', to },
    ]);
    expect([from, to]).toEqual([{ mode: 'off' }, { mode: 'on', scheme: 'kms-v2', key: KEY_2, access: 'Public' }]);
    expect(needed).toEqual([]);
    expect(summary).toMatch(/^Create the cluster aks1 in westeurope, encrypted with kv1\/k1\/.* from the start/);
  });

  it('with a private vault has VNet integration, and lets AKS approve its endpoint', () => {
    const facts = { clusterToMake: clusterToMake({ identity: EXISTS, vault: { openToAllNetworks: false } }) };
    const { steps, to, warnings } = planOf({ vaultAccess: 'Private', ...SUBNETS }, facts);
    expect(steps.map(({ type }) => type)).toEqual([
      'gate',
      'grant-key-access',
      'grant-endpoint-approval',
      'create-cluster',
      'converge',
      'prove',
      'record-proof',
    ]);
    expect(steps[2]).toMatchObject({ vaultId: VAULT_ID, principalId: 'principal-9' });
    expect(to).toMatchObject({ access: 'Private', vaultId: VAULT_ID });
    expect(warnings.map(({ code }) => code)).toEqual(['ClusterIsNew', 'IdentityExists', 'SubnetRightsNeeded']);
  });

  const PROVISION = { vaultName: 'kv9', keyName: 'etcd' };
  const provisioned = (parameters: Record<string, unknown> = {}, facts: Partial<AzureObservation> = {}) =>
    made(
      { keyId: undefined, provision: PROVISION, ...parameters },
      { requestedKey: undefined, clusterToMake: { identity: EXISTS }, provisioning: provisioning(), ...facts },
    );

  it('makes vault and key first where the request names them, and needs the key once the cluster is asked for', () => {
    const whole = provisioned({ vaultAccess: 'Private', ...SUBNETS }).plan;
    expect(whole?.steps.map(({ type }) => type)).toEqual([
      'gate',
      'create-vault',
      'create-key',
      'grant-key-access',
      'grant-endpoint-approval',
      'create-cluster',
      'converge',
      'prove',
      'record-proof',
    ]);
    const { vaultId } = provisioning();
    expect(whole?.steps.slice(1, 5)).toMatchObject([
      { vaultId, access: 'Private', location: 'westeurope', exists: false },
      { vaultId, keyName: 'etcd', exists: null },
      { vaultId, keyName: 'etcd', principalId: 'principal-9' },
      { vaultId },
    ]);
    expect(whole?.to).toMatchObject({ key: { madeBy: 'create-key' }, access: 'Private', vaultId });
    expect(whole?.summary).toMatch(
      /^First make the vault kv9 and the key etcd\. Create the cluster .* with the new key /,
    );
    expect(whole?.warnings.map(({ code }) => code)).toEqual(
      expect.arrayContaining(['KeyMadeThroughArm', 'PurgeProtectionIsFinal', 'ClusterIsNew']),
    );
    if (!whole) return;
    const outputs = { 'create-key': { type: 'create-key', keyId: KEY_9, created: true } } as const;
    const begun = (...ids: string[]) => ids.map((id) => ({ id, status: 'done' as const, startedAt: NOW }));
    expect(keysNeededNow(whole, begun('create-key'), outputs)).toEqual([]);
    expect(keysNeededNow(whole, begun('create-key', 'create-cluster'), outputs)).toEqual([KEY_9]);
    expect(stateLeft(whole, begun('create-vault', 'create-key'), { outputs })).toMatch(
      /not made\. The vault kv9 was made and stays.*The key etcd .*9{32}\) was made and stays/,
    );
    const without = whole.steps.filter(({ type }) => type !== 'create-key');
    expect(planFaults(without, { state: whole.from, proven: false }).join()).toMatch(
      /its key is made by no earlier step/,
    );
  });

  it('uses vault and key that are there unchanged, and refuses what is not fit under the name of its parameter', () => {
    const vault = {
      state: 'exists' as const,
      vault: {
        location: 'westeurope',
        tenantId: 'tenant-1',
        permissionModel: 'rbac' as const,
        softDelete: true,
        purgeProtection: true,
        openToAllNetworks: true,
      },
    };
    const facts = { provisioning: provisioning({ vault, key: 'exists' }), provisionedKey: goodKey(KEY_9) };
    const there = provisioned({}, facts).plan;
    expect(there?.to).toMatchObject({ key: KEY_9 });
    expect(there?.steps.slice(1, 3)).toMatchObject([{ exists: true }, { exists: KEY_9 }]);
    const faults = provisioned({ provision: { ...PROVISION, permissionModel: 'access-policy' } }, facts).faults;
    expect(faults).toMatchObject([{ code: 'VaultUnsuited', pointer: '/parameters/provision/vaultName' }]);
  });

  it('names either a key or what is to be made', () => {
    expect(() => made({ provision: PROVISION })).toThrow(/Name either the key version/);
    expect(() => made({ keyId: undefined })).toThrow(/Name either the key version/);
  });

  it('asks for a Kubernetes version before 1.27 with KMS v1, and says what that weakens', () => {
    const { to, warnings } = planOf({ kubernetesVersion: '1.26' });
    expect(to).toMatchObject({ scheme: 'kms-v1' });
    expect(warnings.map(({ code }) => code)).toContain('KmsV1');
  });

  it('is none without the grant, with a step before it that needs the cluster, or without the proof after it', () => {
    const { steps, from } = planned(KIND);
    const start = { state: from, proven: false };
    const faults = (changed: readonly PlanStep[]): string => planFaults(changed, start).join();
    const without = (type: PlanStep['type']): PlanStep[] => steps.filter((step) => step.type !== type);
    expect(faults(steps)).toBe('');
    expect(faults(without('grant-key-access'))).toMatch(/gets no rights on the key/);
    expect(faults(without('create-identity'))).toMatch(/made by no earlier step/);
    for (const type of ['create-cluster', 'converge', 'prove', 'record-proof'] as const)
      expect(faults(without(type))).not.toBe('');
    const later = [...steps.filter(({ type }) => type !== 'create-cluster'), creationOf(planned(KIND))];
    expect(faults(later)).toMatch(/a step before it needs the cluster/);
    expect(planFaults(steps, { state: from, proven: true }).join()).toMatch(/there is a cluster already/);
  });
});

describe('create-cluster is refused', () => {
  const absent = (state: 'missing' | 'no-group' | 'unseen'): Partial<AzureObservation> => ({
    cluster: { found: false, state, why: 'A sentence.' },
  });
  const unknownVault = { known: false as const, why: 'Keyturn sees no vault kv1.' };

  it.each<[string, string, string, Partial<AzureObservation>, Record<string, unknown>]>([
    [
      'for a cluster that exists',
      'ClusterExists',
      '/cluster',
      { cluster: { found: true, cluster: goodCluster() } },
      {},
    ],
    ['where Keyturn may not look', 'ClusterExists', '/cluster', absent('unseen'), {}],
    ['without a resource group', 'ResourceGroupNotFound', '/cluster', absent('no-group'), {}],
    [
      'for an identity that Keyturn may not read',
      'IdentityNotSeen',
      '/parameters/identityId',
      { clusterToMake: clusterToMake({ identity: { state: 'unseen', why: 'A sentence.' } }) },
      {},
    ],
    [
      'for a key that is disabled',
      'KeyDisabled',
      '/parameters/keyId',
      { requestedKey: { found: true, key: goodKey(KEY_2, { enabled: false }) } },
      {},
    ],
    [
      'for a vault that Keyturn does not see',
      'VaultNotFound',
      '/parameters/keyId',
      { clusterToMake: { ...clusterToMake(), vault: unknownVault } },
      {},
    ],
    [
      'for a closed vault with public access',
      'VaultNotOpen',
      '/parameters/keyId',
      { clusterToMake: clusterToMake({ vault: { openToAllNetworks: false } }) },
      {},
    ],
    ['private without subnets', 'SubnetMissing', '/parameters/apiServerSubnetId', {}, { vaultAccess: 'Private' }],
    [
      'with the subnet of API servers only',
      'SubnetMissing',
      '/parameters/nodeSubnetId',
      {},
      { apiServerSubnetId: SUBNETS.apiServerSubnetId },
    ],
    [
      'with the subnet of nodes only',
      'SubnetMissing',
      '/parameters/apiServerSubnetId',
      {},
      { nodeSubnetId: SUBNETS.nodeSubnetId },
    ],
  ])('%s: %s', (_what, code, pointer, facts, parameters) => {
    expect(made(parameters, facts).faults).toMatchObject([{ code, pointer }]);
  });

  it('never because there is no cluster; every other kind is', () => {
    expect(ruleFaults(requestOf(KIND), azureFor(KIND))).toEqual([]);
    expect(ruleFaults(requestOf('rotate-key'), azureFor(KIND))).toMatchObject([{ code: 'ClusterNotFound' }]);
  });
});

describe('what ARM is asked for', () => {
  it('is what az aks create sends, with KMS on', () => {
    const step = creationOf(planned(KIND));
    const body = newClusterBody(step, { mode: 'on', keyId: KEY_2, access: 'Public' }, { a: 'b' });
    expect(body).toMatchObject({
      location: 'westeurope',
      tags: { a: 'b' },
      identity: { type: 'UserAssigned', userAssignedIdentities: { [IDENTITY]: {} } },
      properties: {
        kubernetesVersion: '',
        dnsPrefix: 'aks1-rg-111111',
        agentPoolProfiles: [{ name: 'nodepool1', mode: 'System', count: 3, vmSize: '', orchestratorVersion: '' }],
      },
    });
    expect(body.properties).not.toHaveProperty('apiServerAccessProfile');
    expect(body.properties).toHaveProperty('securityProfile.azureKeyVaultKms', {
      enabled: true,
      keyId: KEY_2,
      keyVaultNetworkAccess: 'Public',
    });
  });

  it('names the vault and the subnets with private access', () => {
    const step = creationOf(planOf({ vaultAccess: 'Private', ...SUBNETS }));
    const { properties } = newClusterBody(step, { mode: 'on', keyId: KEY_2, access: 'Private', vaultId: VAULT_ID }, {});
    expect(properties).toMatchObject({
      apiServerAccessProfile: { enableVnetIntegration: true, subnetId: SUBNETS.apiServerSubnetId },
      agentPoolProfiles: [{ vnetSubnetID: SUBNETS.nodeSubnetId }],
      securityProfile: { azureKeyVaultKms: { keyVaultNetworkAccess: 'Private', keyVaultResourceId: VAULT_ID } },
    });
  });
});

describe('an operation that makes a cluster', () => {
  const whole = planned(KIND);
  const statuses = (done: readonly string[], running?: string): Parameters<typeof stateLeft>[1] => [
    ...done.map((id) => ({ id, status: 'done' as const, startedAt: NOW })),
    ...(running === undefined ? [] : [{ id: running, status: 'interrupted' as const, startedAt: NOW }]),
  ];
  const left = (done: readonly string[], running?: string, blockedBy?: string): string =>
    stateLeft(whole, statuses(done, running), { outputs: {}, ...(blockedBy === undefined ? {} : { blockedBy }) });
  const before = ['approve', 'create-identity', 'grant-key-access'];

  it('needs its key from the moment that it may have asked for the cluster (K1)', () => {
    expect(keysNeededNow(whole, statuses(before), {})).toEqual([]);
    expect(keysNeededNow(whole, statuses(before, 'create-cluster'), {})).toEqual([KEY_2]);
  });

  it('says what it leaves when it ends early', () => {
    expect(left(['approve'])).toBe('The cluster was not made.');
    expect(left(['approve'], 'create-identity')).toMatch(/not made\. The managed identity id9 may have been made/);
    expect(left(before)).toMatch(/not made\. The managed identity id9 was made and stays/);
    expect(left(before, 'create-cluster')).toMatch(/did not see it finish: it may be there.*keysNeeded.*az aks delete/);
    expect(left(before, 'create-cluster', 'ArmRequestRefused')).toMatch(/^Azure refused to make the cluster/);
    expect(left([...before, 'create-cluster'], 'created.converge')).toMatch(
      /was made and writes with kv1\/k1\/.*, but not every Secret is proven.*rewrite-secrets/,
    );
  });

  it('begins a ledger whose second slot is empty, and which an earlier ledger is not lost to', () => {
    const begun = created({ version: 1, generations: [] }, KEY_2, 'op-1', NOW);
    expect(keySlots(begun)).toEqual({ current: KEY_2, previous: null, previousKnown: true });
    expect(created(begun, KEY_2, 'op-1', 'later')).toEqual(begun);
    const done = proven(reconcile(begun, KEY_2, NOW, 'op-1'), KEY_2, {
      operationId: 'op-1',
      at: NOW,
      convergedRv: '1',
      secrets: 0,
    });
    expect(done.generations).toMatchObject([{ keyId: KEY_2, state: 'proven', origin: 'operation' }]);
    expect(keysNeeded(done)).toEqual([KEY_2]);
    expect(whole.cluster).toBe(CLUSTER);
  });
});
