/**
 * For each code that a rule of a kind can answer with: how a cluster or a request comes to be so. A new rule is one row here, or one
 * line among those that the sandbox cannot bring about.
 */
import { AppsV1Api, StorageV1Api } from '@kubernetes/client-node';
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { ErrorCode } from '../../domain/errors';
import { mustParseKeyId } from '../../domain/resource-ids';
import { armDelete, armPut, connectAzure } from '../../launch/azure-client';
import { makeKey, type SandboxClusterFacts } from '../../launch/sandbox-cluster';
import {
  addWebhookByHand,
  asAdministrator,
  grantByHand,
  letApproveByHand,
  setVaultAccessByHand,
  makeVaultByHand,
  makeWorkspaceByHand,
  putByHand,
  removeDiagnosticsByHand,
  setDiagnosticsByHand,
  setKeyByHand,
  vaultIdOf,
} from './by-hand';
import { federateByHand, makeClassByHand, setAddOnByHand } from './csi';
import { kubeApi } from './kube';
import { control, testStack } from './stack';
import { keyClient } from './vault';

/** What the rows work with. */
export interface RefusalWorld {
  /** A cluster with KMS on, one with KMS off, and one with KMS v1. */
  readonly on: SandboxClusterFacts;
  readonly off: SandboxClusterFacts;
  readonly v1: SandboxClusterFacts;
  /** A cluster whose first key left its slots. */
  readonly retired: SandboxClusterFacts;
  /** A key in another vault, which the identity of `on` may use. */
  readonly otherKey: string;
}

/** How a request comes to be refused with one code. */
export interface Refusal {
  /** Brings the clusters or keys there. @returns what takes it back */
  readonly arrange?: (world: RefusalWorld) => Promise<() => Promise<void>>;
  /** The cluster that is asked for; the one that the kind is for when absent. */
  readonly cluster?: (world: RefusalWorld) => { readonly resourceId: string };
  /** The key that is asked for; one that is fine, where the kind takes one, when absent. */
  readonly keyId?: (world: RefusalWorld) => string | Promise<string>;
  /** What else is asked for. */
  readonly parameters?: Readonly<Record<string, unknown>>;
  /** What is so for one kind instead. */
  readonly of?: Readonly<Record<string, Pick<Refusal, 'cluster' | 'parameters'>>>;
}

/** The clusters that requests of the table are about. */
export function clustersOf({ on, off, v1 }: RefusalWorld): SandboxClusterFacts[] {
  return [on, off, v1];
}

/** Codes that a rule can answer with and that the sandbox cannot bring about. Unit tests of the rules have them. */
export const NOT_IN_SANDBOX: Readonly<Partial<Record<ErrorCode, string>>> = {
  ClusterVersionUnsupported: 'Its ARM takes the versions that it can run, and no other.',
  KeyTypeUnsupported: 'Its vaults make RSA keys only.',
  AgentPoolOutdated: 'A pool may be behind by some minors, and none so far behind runs here.',
  KeyPurged: 'Its vaults have purge protection, as AKS demands it: a purge comes 90 days later.',
  VaultPurged: 'Likewise.',
  GrantRefused: 'The rule finds a deny assignment, and access policies, which its clusters have, know none.',
};

const PRIVATELY = { vaultAccess: 'Private' } as const;
const INTEGRATED = {
  ...PRIVATELY,
  enableVnetIntegration: true,
  apiServerSubnetId:
    '/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/rg/providers/Microsoft.Network/virtualNetworks/net/subnets/api',
} as const;
const DAY_IN_MS = 86_400_000;
const inDays = (days: number): Date => new Date(Date.now() + days * DAY_IN_MS);

/**
 * Codes that the operation says, since the API does not look into clusters: each with how it is brought about, and words that the
 * sentence must have.
 */
export const SAID_BY_OPERATIONS: Readonly<Partial<Record<ErrorCode, Refusal & { readonly says: RegExp }>>> = {
  KeyInUse: {
    // Another cluster has the key as its KMS key.
    async arrange({ on, off }) {
      await grantByHand(off, { name: mustParseKeyId(on.keyId).vaultName, permissions: 'access-policy' });
      await setKeyByHand(off, on.keyId);
      return () => setKeyByHand(off, null);
    },
    cluster: ({ on }) => on,
    says: /is needed by .*refusals-off \(its KMS key\)/,
  },
  KeyNotEvicted: {
    cluster: ({ on }) => on,
    keyId: ({ on }) => anotherVersion(on, {}),
    says: /does not show that .* left its slots/,
  },
  VaultInUse: {
    // Another cluster reaches the vault on its public address.
    async arrange({ on, off }) {
      await grantByHand(off, { name: mustParseKeyId(on.keyId).vaultName, permissions: 'access-policy' });
      await setKeyByHand(off, on.keyId);
      return () => setKeyByHand(off, null);
    },
    cluster: ({ on }) => on,
    says: /refusals-off reach .* on its public address/,
  },
  WebhooksPreventStop: {
    // The webhook of another team, which AKS would refuse the stop for.
    async arrange({ off }) {
      await letApproveByHand(off, 'kv-refusals-off');
      return await addWebhookByHand(off, 'refusals-policies');
    },
    cluster: ({ off }) => off,
    parameters: INTEGRATED,
    says: /webhook everything\.example\.com \(ValidatingWebhookConfiguration refusals-policies\) has wildcards in rule 1/,
  },
  NothingToRecover: { cluster: ({ on }) => on, says: /found no cause in Azure.*say that their KMS works/ },
  NamespaceNotFound: { parameters: { namespace: 'refusals' }, says: /no namespace refusals/ },
  CsiDriverInstalledOtherwise: {
    async arrange({ on }) {
      const api = kubeApi(on).config.makeApiClient(AppsV1Api);
      const at = { namespace: 'default', name: 'by-helm' };
      const labels = { app: 'by-helm' };
      const containers = [{ name: 'secrets-store', image: 'registry.k8s.io/csi-secrets-store/driver:v1.5.4' }];
      const spec = { selector: { matchLabels: labels }, template: { metadata: { labels }, spec: { containers } } };
      await api.createNamespacedDaemonSet({ ...at, body: { metadata: { name: at.name }, spec } });
      return async () => void (await api.deleteNamespacedDaemonSet(at));
    },
    says: /did not install: .*by-helm/,
  },
  ServiceAccountDiffers: {
    async arrange({ on }) {
      const { core } = kubeApi(on);
      const at = { namespace: 'default', name: 'refusals-on' };
      const annotations = { 'azure.workload.identity/client-id': '00000000-0000-0000-0000-000000000001' };
      await core.createNamespacedServiceAccount({ ...at, body: { metadata: { name: at.name, annotations } } });
      return async () => void (await core.deleteNamespacedServiceAccount(at));
    },
    says: /default\/refusals-on names the identity with the client id 00000000-0000/,
  },
  SecretProviderClassDiffers: {
    arrange: (world) => classOn(world, 'refusals-on'),
    says: /default\/refusals-on is there, and not as it is wanted/,
  },
  NotMadeByKeyturn: {
    arrange: (world) => classOn(world, 'refusals-on'),
    says: /default\/refusals-on was not made by connect-csi/,
  },
  SecretProviderClassInUse: {
    // The request wants the add-on off, too.
    arrange: (world) => classOn(world, 'of-others'),
    says: /AKS refuses to turn it off: default\/of-others/,
  },
  SecretsProviderIncomplete: {
    async arrange(world) {
      const addOnOff = await withAddOn(world);
      const api = kubeApi(world.on).config.makeApiClient(StorageV1Api);
      await api.deleteCSIDriver({ name: 'secrets-store.csi.k8s.io' });
      return addOnOff;
    },
    says: /has no CSIDriver secrets-store\.csi\.k8s\.io/,
  },
};

/** Kinds that have a rule and are not tried here, mostly because the key of the row does not violate it. Unit tests have them. */
export const BY_KEY_ONLY: Readonly<Partial<Record<ErrorCode, readonly string[]>>> = {
  // Clusters with KMS on and without the integration, whose identities may approve private endpoints.
  WebhooksPreventStop: ['change-vault', 'change-vault-access'],
  IdentityLacksKeyAccess: ['change-vault-access', 'upgrade-to-kms-v2', 'rotate-key', 'replace-key'],
  VaultInOtherTenant: ['change-vault-access', 'upgrade-to-kms-v2', 'connect-csi'],
  // Its class must note a connection; test/domain/csi-plans.test.ts.
  ServiceConnectionDiffers: ['disconnect-csi'],
  VaultNotOpen: ['upgrade-to-kms-v2'],
  VnetIntegrationMissing: ['upgrade-to-kms-v2'],
  VaultNotSeen: ['upgrade-to-kms-v2'],
  IdentityMayNotApproveEndpoint: ['upgrade-to-kms-v2'],
  // One rule of many kinds, which unit tests try with each.
  NodesScaledToZero: [
    'enable-kms',
    'replace-key',
    'retire-key',
    'change-vault',
    'change-vault-access',
    'rewrite-secrets',
    'disable-kms',
    'connect-csi',
  ],
  // Operations say it: test/e2e/recover-key-variants.test.ts.
  VaultNotReachable: ['recover-key'],
};

/** How each of the others is brought about. */
export const REFUSALS: Readonly<Partial<Record<ErrorCode, Refusal>>> = {
  ClusterNotFound: { cluster: ({ on }) => ({ resourceId: `${on.resourceId}-that-is-not-there` }) },
  ClusterNotRunning: {
    arrange: (world) =>
      onEach(clustersOf(world), async (cluster) => {
        await act(cluster, 'stop');
        return () => act(cluster, 'start');
      }),
  },
  ClusterNotSucceeded: {
    async arrange(world) {
      const clusters = clustersOf(world);
      await control().setFault('hold-operation', { path: '/managedclusters/refusals-' });
      for (const { resourceId } of clusters) await request('PATCH', resourceId, { tags: { owner: 'somebody' } });
      return async () => {
        await control().clearFault('hold-operation');
        for (const { resourceId } of clusters) await settled(resourceId);
      };
    },
  },
  PlatformManagedEncryption: {
    arrange: (world) =>
      onEach([...clustersOf(world), world.retired], (cluster) =>
        changed(cluster, (properties) => ({
          ...properties,
          securityProfile: {
            ...properties.securityProfile,
            kubernetesResourceObjectEncryptionProfile: { infrastructureEncryption: 'Enabled' },
          },
        })),
      ),
  },
  LocalAccountsDisabled: {
    arrange: (world) =>
      onEach(clustersOf(world), (cluster) =>
        changed(cluster, (properties) => ({ ...properties, disableLocalAccounts: true })),
      ),
  },
  // AKS takes KMS with a user-assigned identity only: so it is the cluster with KMS off, for every kind.
  ClusterIdentityUnsupported: {
    arrange: ({ off }) => changed(off, (properties) => properties, { type: 'SystemAssigned' }),
    cluster: ({ off }) => off,
  },
  KmsNotEnabled: { cluster: ({ off }) => off },
  KmsAlreadyEnabled: { cluster: ({ on }) => on },
  KmsV2Already: { cluster: ({ on }) => on },
  UpgradeNotOffered: { parameters: { kubernetesVersion: '1.34' } },
  KmsV1NotSupported: { cluster: ({ v1 }) => v1 },
  CurrentKeyUnusable: {
    cluster: ({ on }) => on,
    async arrange({ on }) {
      const { name, version } = mustParseKeyId(on.keyId);
      const expires = (expiresOn: Date): Promise<unknown> =>
        keyClient(on.keyId).updateKeyProperties(name, version, { expiresOn });
      await expires(inDays(0.5));
      return async () => void (await expires(inDays(3_650)));
    },
  },
  KeyInSameVault: { keyId: ({ on }) => anotherVersion(on, {}) },
  IdentityLacksKeyAccess: { keyId: () => makeVaultByHand('kv-refusals-no-grant', 'rbac') },
  VaultNotOpen: { keyId: closedVault },
  KeyForeign: { keyId: ({ off }) => off.keyId },
  KeyNotFound: { keyId: ({ on }) => on.keyId.replace(/[0-9a-f]{32}$/, '0'.repeat(32)) },
  KeyAlreadyCurrent: { cluster: ({ on }) => on, keyId: ({ on }) => on.keyId },
  KeyDisabled: { keyId: ({ on }) => anotherVersion(on, { enabled: false }) },
  KeyExpired: { keyId: ({ on }) => anotherVersion(on, { expiresOn: inDays(-1) }) },
  KeyExpiresSoon: { keyId: ({ on }) => anotherVersion(on, { expiresOn: inDays(0.5) }) },
  KeyNotYetValid: { keyId: ({ on }) => anotherVersion(on, { notBefore: inDays(1) }) },
  KeyOperationsMissing: { keyId: ({ on }) => anotherVersion(on, { keyOps: ['sign', 'verify'] }) },
  VnetIntegrationMissing: { cluster: ({ v1 }) => v1, parameters: PRIVATELY },
  VnetIntegrationNotNeeded: { parameters: { vaultAccess: 'Public', enableVnetIntegration: true } },
  ClusterCannotStop: {
    arrange: ({ v1 }) => changed(v1, (properties) => ({ ...properties, nodeProvisioningProfile: { mode: 'Auto' } })),
    cluster: ({ v1 }) => v1,
    parameters: INTEGRATED,
  },
  VaultNotSeen: {
    arrange: () => forbidden('GET', '/vaults/kv-refusals-on', '/vaults/kv-refusals-off', '/vaults/kv2-refusals'),
    cluster: ({ on }) => on,
    parameters: PRIVATELY,
  },
  IdentityMayNotApproveEndpoint: {
    async arrange({ on }) {
      await letApproveByHand(on, 'kv-refusals-on', false);
      return () => letApproveByHand(on, 'kv-refusals-on');
    },
    cluster: ({ on }) => on,
    parameters: PRIVATELY,
  },
  VaultNotReachable: {
    async arrange() {
      await setVaultAccessByHand('kv-refusals-on', 'Private');
      return () => setVaultAccessByHand('kv-refusals-on', 'Public');
    },
    cluster: ({ on }) => on,
  },
  VaultAccessAlready: { cluster: ({ on }) => on, parameters: { vaultAccess: 'Public' } },
  VaultNotFound: {
    arrange: () => forbidden('GET', '/vaults/kv-refusals-on', '/vaults/p-refusals-off'),
    of: { 'rotate-key': { parameters: { newKeyName: 'next' } } },
  },
  WorkspaceNotFound: { arrange: () => forbidden('GET', '/workspaces/logs-refusals-on') },
  DiagnosticSettingDiffers: {
    async arrange() {
      const [vault, name, workspace] = ['kv-refusals-on', 'refusals-on', 'refusals-other-logs'];
      await makeWorkspaceByHand(workspace);
      await setDiagnosticsByHand(vault, { name, workspace });
      return () => removeDiagnosticsByHand(vault, name);
    },
  },
  VaultNameTaken: {
    arrange: () => existing('kv-refusals-taken'),
    ...provisions({ vaultName: 'kv-refusals-taken', vaultResourceGroup: 'refusals-other-group' }),
  },
  VaultSoftDeleted: {
    async arrange() {
      await existing('kv-refusals-gone');
      await asAdministrator((ask) => armDelete(ask, vaultIdOf('kv-refusals-gone')));
      return () => Promise.resolve();
    },
    ...provisions({ vaultName: 'kv-refusals-gone' }),
  },
  ResourceGroupNotFound: {
    parameters: { vaultResourceGroup: 'refusals-no-group' },
    of: {
      'create-cluster': {
        parameters: {},
        cluster: ({ on }) => ({
          resourceId: on.resourceId.replace(/(\/resourceGroups\/)[^/]+/, '$1refusals-no-group'),
        }),
      },
    },
  },
  VaultUnsuited: {
    arrange: () => existing('kv-refusals-unfit'),
    // It gives rights by access policies.
    ...provisions({ vaultName: 'kv-refusals-unfit', permissionModel: 'rbac' }),
  },
  KeyUnsuited: {
    async arrange() {
      const keyId = await makeVaultByHand('kv-refusals-badkey', 'rbac');
      await keyClient(keyId).updateKeyProperties('etcd', mustParseKeyId(keyId).version, { enabled: false });
      return () => Promise.resolve();
    },
    ...provisions({ vaultName: 'kv-refusals-badkey' }),
  },
  ClusterExists: { cluster: ({ on }) => on },
  SubnetMissing: {
    cluster: ({ v1 }) => v1,
    parameters: { ...PRIVATELY, enableVnetIntegration: true },
    of: { 'create-cluster': { cluster: undefined, parameters: PRIVATELY } },
  },
  IdentityNotSeen: {
    arrange: () => forbidden('GET', '/userAssignedIdentities/refusals-on', '/userAssignedIdentities/id-refusals-on'),
  },
  KeySoftDeleted: {
    async arrange({ on }) {
      const keyId = await makeVaultByHand('kv-refusals-nokey', 'rbac');
      await (await keyClient(keyId).beginDeleteKey('etcd')).pollUntilDone();
      await keyClient(on.keyId).createRsaKey('gone');
      await (await keyClient(on.keyId).beginDeleteKey('gone')).pollUntilDone();
      return () => Promise.resolve();
    },
    ...provisions({ vaultName: 'kv-refusals-nokey' }, { 'rotate-key': { parameters: { newKeyName: 'gone' } } }),
  },
  KeyNameTaken: { parameters: { newKeyName: 'refusals-on' } },
  ExpiryTooSoon: { parameters: { expiresOn: inDays(0.5).toISOString() } },
  NodesScaledToZero: {
    arrange: (world) =>
      onEach([...clustersOf(world), world.retired], (cluster) =>
        changed(cluster, (properties) => ({
          ...properties,
          agentPoolProfiles: Pools.parse(properties['agentPoolProfiles']).map((pool) => ({ ...pool, count: 0 })),
        })),
      ),
  },
  VaultInOtherTenant: { keyId: () => unfitVault('kv-refusals-tenant', { tenantId: randomUUID() }) },
  VaultUnprotected: { keyId: () => unfitVault('kv-refusals-weak', { enablePurgeProtection: undefined }) },
  SecretsProviderDiffers: { arrange: withAddOn, parameters: { rotationPollInterval: '7m' } },
  FederatedCredentialDiffers: { arrange: ({ on }) => federateByHand(on, 'refusals-on') },
  ServiceConnectionDiffers: {
    arrange: () => forbidden('GET', '/linkers'),
    parameters: { mode: 'service-connector', identity: undefined, serviceAccount: undefined },
  },
  VaultNotReachedByNodes: {
    async arrange() {
      await setVaultAccessByHand('kv-refusals-on', 'Private');
      return () => setVaultAccessByHand('kv-refusals-on', 'Public');
    },
  },
};

/** What a request names of vault and key, as each kind that makes them has it. */
function provisions(
  asked: Readonly<Record<string, string>>,
  of: Refusal['of'] = {},
): Pick<Refusal, 'parameters' | 'of'> {
  const names = { keyName: 'etcd', ...asked };
  return { parameters: names, of: { ...of, 'create-cluster': { parameters: { keyId: undefined, provision: names } } } };
}

const Pools = z.array(z.record(z.string(), z.unknown()));

/** A vault as `makeVaultByHand` makes it, but for some properties. @returns the id of a key of it */
async function unfitVault(name: string, properties: Readonly<Record<string, unknown>>): Promise<string> {
  const { tenantId } = testStack().sandbox;
  const fit = {
    tenantId,
    sku: { family: 'A', name: 'standard' },
    enableRbacAuthorization: true,
    enablePurgeProtection: true,
  };
  return await asAdministrator(async (ask) => {
    await armPut(ask, vaultIdOf(name), { location: 'westeurope', properties: { ...fit, ...properties } });
    return await makeKey(ask, `https://${name}.vault.azure.net`, { name: 'etcd' });
  });
}

/** The add-on is on. */
async function withAddOn({ on }: RefusalWorld): Promise<() => Promise<void>> {
  // The rotation that the row of connect-csi asks for.
  await setAddOnByHand(on, true, '2s');
  return () => setAddOnByHand(on, false);
}

/** The add-on is on, and a team has made a class. */
async function classOn(world: RefusalWorld, name: string): Promise<() => Promise<void>> {
  const addOnOff = await withAddOn(world);
  const remove = await makeClassByHand(world.on, name);
  return async () => {
    await remove();
    await addOnOff();
  };
}

async function anotherVersion(
  { keyId }: SandboxClusterFacts,
  options: Parameters<ReturnType<typeof keyClient>['createKey']>[2],
): Promise<string> {
  const { id } = await keyClient(keyId).createKey(mustParseKeyId(keyId).name, 'RSA', options);
  return id ?? '';
}

/** A vault with access policies that a person made, and an empty resource group beside its own. */
async function existing(name: string): Promise<() => Promise<void>> {
  await makeVaultByHand(name, 'access-policy');
  const { subscriptionId } = testStack().sandbox;
  const group = `/subscriptions/${subscriptionId}/resourceGroups/refusals-other-group`;
  await asAdministrator((ask) => armPut(ask, group, { location: 'westeurope' }));
  return () => Promise.resolve();
}

/** ARM answers as if Keyturn had no right to something. */
async function forbidden(method: 'GET' | 'PUT', ...paths: readonly string[]): Promise<() => Promise<void>> {
  for (const path of paths) await control().setFault('forbidden', { method, path });
  return () => control().clearFault('forbidden');
}

async function onEach(
  clusters: readonly SandboxClusterFacts[],
  arrange: (cluster: SandboxClusterFacts) => Promise<() => Promise<void>>,
): Promise<() => Promise<void>> {
  const back = await Promise.all(clusters.map(arrange));
  return async () => void (await Promise.all(back.map((one) => one())));
}

/** A vault whose firewall lets only this machine in: Keyturn sees its key, and AKS would not reach it. */
async function closedVault({ on, off }: RefusalWorld): Promise<string> {
  const vault = { name: 'kv-refusals-closed', permissions: 'access-policy' } as const;
  const keyId = await makeVaultByHand(vault.name, vault.permissions);
  for (const cluster of [on, off]) await grantByHand(cluster, vault);
  const { subscriptionId } = testStack().sandbox;
  const id = `/subscriptions/${subscriptionId}/resourceGroups/keyturn/providers/Microsoft.KeyVault/vaults/${vault.name}`;
  const url = `https://management.azure.com${id}?api-version=2024-11-01`;
  await asAdministrator(async (ask) => {
    const { location, properties } = Vault.parse((await ask('GET', url)).body);
    const networkAcls = { defaultAction: 'Deny', ipRules: [{ value: '127.0.0.1' }] };
    await ask('PUT', url, { location, properties: { ...properties, networkAcls } });
  });
  return keyId;
}

const Vault = z.object({ location: z.string(), properties: z.record(z.string(), z.unknown()) });

type Properties = Record<string, unknown> & { readonly securityProfile?: Record<string, unknown> };

async function changed(
  { resourceId }: SandboxClusterFacts,
  change: (properties: Properties) => Record<string, unknown>,
  identity?: Record<string, unknown>,
): Promise<() => Promise<void>> {
  let before: Record<string, unknown> = {};
  await putByHand(resourceId, (body) => {
    before = body;
    return { ...body, properties: change(body.properties), ...(identity === undefined ? {} : { identity }) };
  });
  return () => putByHand(resourceId, () => before);
}

const State = z.object({ properties: z.object({ provisioningState: z.string() }) });

async function settled(resourceId: string): Promise<void> {
  while (State.parse(await request('GET', resourceId)).properties.provisioningState !== 'Succeeded') await sleep(100);
}

async function act({ resourceId }: SandboxClusterFacts, action: 'start' | 'stop'): Promise<void> {
  await request('POST', `${resourceId}/${action}`);
  await settled(resourceId);
}

/** One request to ARM, past Keyturn. @returns the body of the answer */
export async function request(method: 'GET' | 'PATCH' | 'POST', path: string, body?: unknown): Promise<unknown> {
  const azure = await connectAzure(testStack().sandbox);
  try {
    return (await azure.request(method, `https://management.azure.com${path}?api-version=2026-04-01`, body)).body;
  } finally {
    await azure.close();
  }
}
