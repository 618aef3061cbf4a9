/** The Azure side of connecting pods with a vault: what is there is found and kept, what is missing is made once, and nothing of others goes. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { createFederatedCredential, deleteFederatedCredential } from '../../activities/csi/federated-credential';
import { principalOf } from '../../activities/csi/identity';
import { assignNodeIdentity } from '../../activities/csi/node-identity';
import { nodeNetworksOf } from '../../activities/csi/network';
import { observeCsi } from '../../activities/csi/observe';
import {
  createServiceConnection,
  deleteServiceConnection,
  requireNoConnection,
} from '../../activities/csi/service-connection';
import { awaitVaultRead, grantVaultRead } from '../../activities/csi/vault-read';
import { ArmError } from '../../azure/errors';
import { applyChange } from '../../domain/cluster-change';
import { GROUP, LOCATION } from '../sandbox/azure-support';
import { AzureRig } from './support';

const AUDIENCES = ['api://AzureADTokenExchange'];
const SECRETS_USER = '4633458b-17de-408a-b874-0445c86b69e6';
const CERTIFICATE_USER = 'db79e9a7-68ee-4b58-9aeb-b90e7c24fcba';

describe('a connection of pods with a vault', () => {
  let rig: AzureRig;
  let pods: { identityId: string; principalId: string };
  const { signal } = new AbortController();
  const running = { signal, heartbeat: () => undefined };
  const failure = (work: Promise<unknown>): Promise<unknown> => work.catch((error: unknown) => error);

  beforeAll(async () => {
    rig = await AzureRig.start();
    pods = await rig.azure.identity('id-pods');
    const body = await rig.raw();
    await rig.putRaw({ ...body, properties: { ...body.properties, oidcIssuerProfile: { enabled: true } } });
  });
  afterEach(() => rig.azure.sandbox.faults.clear('forbidden'));
  afterAll(() => rig.stop());

  const path = (name: string): string => `/resourceGroups/${GROUP}/providers/Microsoft.KeyVault/vaults/${name}`;
  const vaultId = (name: string): string => `/subscriptions/${rig.azure.sandbox.subscriptionId}${path(name)}`;
  const makeVault = async (name: string, properties: Record<string, unknown>): Promise<string> => {
    const { tenantId } = rig.azure.sandbox;
    const all = { tenantId, sku: { family: 'A', name: 'standard' }, ...properties };
    await rig.azure.arm('PUT', path(name), { body: { location: LOCATION, properties: all } });
    return vaultId(name);
  };
  const observe = async (parameters: object): Promise<ReturnType<typeof observeCsi>> =>
    observeCsi(rig.access, await rig.access.clusters.read(rig.cluster), parameters);
  const issuer = async (): Promise<string> => String((await rig.access.clusters.read(rig.cluster)).observed.issuerUrl);

  describe('by workload identity', () => {
    const name = 'keyturn-0123456789abcdef';
    const subject = 'system:serviceaccount:apps:web';
    const step = () => ({ cluster: rig.cluster, identityId: pods.identityId, name, subject });
    const list = () => rig.access.federatedCredentials.list(pods.identityId);

    it('has one federated credential, with the issuer of the cluster byte by byte, however often it is asked for', async () => {
      const made = await createFederatedCredential(rig.access, step(), signal);
      expect(made).toEqual({ changed: true, issuer: await issuer() });
      expect(await list()).toEqual([{ name, issuer: await issuer(), subject, audiences: AUDIENCES }]);
      expect(await createFederatedCredential(rig.access, step(), signal)).toMatchObject({ changed: false });
      const facts = await observe({
        mode: 'workload-identity',
        vaultId: vaultId('kv-none'),
        identity: pods.identityId,
      });
      expect(facts).toMatchObject({
        identity: {
          state: 'exists',
          clientId: expect.stringMatching(/^[-0-9a-f]{36}$/),
          principalId: pods.principalId,
        },
        vault: { known: false },
        credentials: { known: true, value: [{ name, subject }] },
      });
      expect(facts).not.toHaveProperty('nodes');
    });

    it('keeps a credential that says something else, and names it; a credential of another subject is not deleted', async () => {
      const slash = { name: 'of-another', issuer: `${await issuer()}/`, subject: 'system:serviceaccount:apps:other' };
      await rig.access.federatedCredentials.create(pods.identityId, { ...slash, audiences: AUDIENCES });
      const other = { ...step(), name: 'of-another', subject: slash.subject };
      expect(await failure(createFederatedCredential(rig.access, other, signal))).toMatchObject({
        type: 'ConnectionNotAsApproved',
        nonRetryable: true,
        message: expect.stringContaining(slash.issuer),
      });
      expect(await failure(deleteFederatedCredential(rig.access, { ...other, subject }, signal))).toMatchObject({
        type: 'ConnectionNotAsApproved',
      });
      expect(await list()).toHaveLength(2);
      expect(await deleteFederatedCredential(rig.access, step(), signal)).toEqual({ changed: true });
      expect(await deleteFederatedCredential(rig.access, step(), signal)).toEqual({ changed: false });
      expect((await list()).map((one) => one.name)).toEqual(['of-another']);
    });

    it('is retried while another write for the identity is under way (azurerm#19968)', async () => {
      const one = {
        name: 'first',
        issuer: await issuer(),
        subject: 'system:serviceaccount:apps:a',
        audiences: AUDIENCES,
      };
      const create = (credential: typeof one) => rig.access.federatedCredentials.create(pods.identityId, credential);
      const both = await Promise.allSettled([
        create(one),
        create({ ...one, name: 'second', subject: `${one.subject}b` }),
      ]);
      expect(both.flatMap((each) => (each.status === 'rejected' ? [each.reason as unknown] : []))).toMatchObject([
        { code: 'ConcurrentFederatedIdentityCredentialsWritesForSingleManagedIdentity', retryable: true },
      ]);
    });

    it('ends for two service accounts of one identity that are connected at the same moment: each write is retried', async () => {
      const retried = async (subjectName: string): ReturnType<typeof createFederatedCredential> => {
        const one = { ...step(), name: `of-${subjectName}`, subject: `system:serviceaccount:apps:${subjectName}` };
        for (;;) {
          try {
            return await createFederatedCredential(rig.access, one, signal);
          } catch (error) {
            // As Temporal does with what `toFailure` makes of it.
            if (!(error instanceof ArmError) || !error.retryable) throw error;
          }
        }
      };
      const names = ['one', 'other', 'third'];
      expect(await Promise.all(names.map(retried))).toMatchObject(names.map(() => ({ changed: true })));
      expect((await list()).map((one) => one.name)).toEqual(expect.arrayContaining(names.map((one) => `of-${one}`)));
    });

    it('plans an identity that is missing as one to be made, and one without a resource group as unknown', async () => {
      const of = async (identity: string) =>
        (await observe({ mode: 'workload-identity', vaultId: vaultId('kv-none'), identity })).identity;
      expect(await of(`${pods.identityId}-none`)).toEqual({ state: 'to-be-made' });
      expect(await of(pods.identityId.replace(GROUP, 'rg-none'))).toMatchObject({ state: 'unknown' });
      rig.azure.sandbox.faults.set('forbidden', { method: 'GET', path: '/federatedIdentityCredentials' });
      const facts = await observe({
        mode: 'workload-identity',
        vaultId: vaultId('kv-none'),
        identity: pods.identityId,
      });
      expect(facts.credentials).toMatchObject({
        known: false,
        why: expect.stringMatching(/federatedIdentityCredentials\/read/),
      });
    });
  });

  describe('is allowed to read', () => {
    const given = (name: string, permissionModel: 'rbac' | 'access-policy') => ({
      cluster: rig.cluster,
      vaultId: vaultId(name),
      permissionModel,
      types: ['secret', 'key', 'cert'] as ('secret' | 'key' | 'cert')[],
      identity: { from: 'resource' as const, identityId: pods.identityId },
    });
    const roles = async (name: string): Promise<unknown> => {
      const { body } = await rig.azure.arm('GET', `${path(name)}/providers/Microsoft.Authorization/roleAssignments`);
      return (body['value'] as { properties: { principalId: string; roleDefinitionId: string } }[])
        .filter(({ properties }) => properties.principalId === pods.principalId)
        .map(({ properties }) => properties.roleDefinitionId.split('/').at(-1));
    };

    it('by the two roles that the documents name, each once', async () => {
      await makeVault('kv-read-rbac', { enableRbacAuthorization: true });
      const step = given('kv-read-rbac', 'rbac');
      expect(await grantVaultRead(rig.access, { ...step, types: ['secret'] }, signal)).toMatchObject({ changed: true });
      expect(await roles('kv-read-rbac')).toEqual([SECRETS_USER]);
      expect(await grantVaultRead(rig.access, step, signal)).toEqual({
        principalIds: [pods.principalId],
        changed: true,
      });
      await awaitVaultRead(rig.access, { ...step, principalIds: [pods.principalId] }, running);
      expect(await grantVaultRead(rig.access, step, signal)).toMatchObject({ changed: false });
      expect(await roles('kv-read-rbac')).toEqual([SECRETS_USER, CERTIFICATE_USER]);
    });

    it('by get in the access policies, beside what they give already', async () => {
      const { tenantId } = rig.azure.sandbox;
      const own = { tenantId, objectId: pods.principalId, permissions: { keys: ['Get'], secrets: ['list'] } };
      await makeVault('kv-read-policy', { enableRbacAuthorization: false, accessPolicies: [own] });
      const step = given('kv-read-policy', 'access-policy');
      expect(await grantVaultRead(rig.access, step, signal)).toMatchObject({ changed: true });
      expect(await grantVaultRead(rig.access, step, signal)).toMatchObject({ changed: false });
      const { body } = await rig.azure.arm('GET', path('kv-read-policy'));
      expect((body['properties'] as { accessPolicies: unknown }).accessPolicies).toEqual([
        { ...own, permissions: { keys: ['Get'], secrets: ['list', 'get'], certificates: ['get'] } },
      ]);
    });

    it('not when Azure refuses, or the vault is not as approved: the command is in the sentence', async () => {
      await makeVault('kv-read-refused', { enableRbacAuthorization: true });
      rig.azure.sandbox.faults.set('forbidden', { method: 'PUT', path: '/roleAssignments' });
      expect(await failure(grantVaultRead(rig.access, given('kv-read-refused', 'rbac'), signal))).toMatchObject({
        type: 'ReadGrantRefused',
        nonRetryable: true,
        message: expect.stringContaining(
          `az role assignment create --role "Key Vault Certificate User" --assignee-object-id ${pods.principalId}`,
        ),
      });
      expect(
        await failure(grantVaultRead(rig.access, given('kv-read-refused', 'access-policy'), signal)),
      ).toMatchObject({
        type: 'ReadGrantRefused',
        message: expect.stringMatching(/by Azure RBAC now/),
      });
      const gone = { ...given('kv-read-refused', 'rbac'), identity: { from: 'add-on' as const } };
      expect(await failure(grantVaultRead(rig.access, gone, signal))).toMatchObject({ type: 'IdentityNotAsApproved' });
    });
  });

  it('with an add-on that Azure shows without a config is one without rotation, and other add-ons stay as they are', async () => {
    const body = await rig.raw();
    const omsagent = { enabled: false, config: null };
    const addonProfiles = { azureKeyvaultSecretsProvider: { enabled: true, config: null }, omsagent };
    await rig.putRaw({ ...body, properties: { ...body.properties, addonProfiles } });
    const { body: seen, observed } = await rig.access.clusters.read(rig.cluster);
    expect(observed.secretsProvider).toMatchObject({ enabled: true, pollInterval: null });
    expect(observed.secretsProvider?.identity?.clientId).toMatch(/^[-0-9a-f]{36}$/);
    await rig.putRaw(applyChange(seen, { type: 'secrets-provider', enabled: false, pollInterval: null }));
    const { properties } = await rig.raw();
    expect(properties['addonProfiles']).toMatchObject({ azureKeyvaultSecretsProvider: { enabled: false }, omsagent });
  });

  it('has its identity at every machine of the nodes, beside the others', async () => {
    const parameters = { mode: 'managed-identity', vaultId: vaultId('kv-none'), identity: pods.identityId };
    const { nodes } = await observe(parameters);
    if (!nodes?.known) throw new Error('The nodes are not seen.');
    const [machine] = nodes.value;
    const step = { cluster: rig.cluster, identityId: pods.identityId };
    const given = await assignNodeIdentity(rig.access, step, running);
    expect(given).toEqual({ changed: true, nodes: [machine?.resourceId] });
    expect(await assignNodeIdentity(rig.access, step, running)).toEqual({ ...given, changed: false });
    const after = (await observe(parameters)).nodes;
    const names = (ids: readonly string[] = []): string[] => ids.map((id) => id.toLowerCase());
    expect(after?.known === true && names(after.value[0]?.identities)).toEqual(
      names([...(machine?.identities ?? []), pods.identityId]),
    );
    const refusal = { ...step, identityId: `${pods.identityId}-gone` };
    expect(await failure(assignNodeIdentity(rig.access, refusal, running))).toMatchObject({
      type: 'ConnectionRefused',
      message: expect.stringMatching(/FailedIdentityOperation.*az vmss identity assign/),
    });
  });

  it('of the system-assigned identities of the nodes has one of each scale set, which keeps it when another is added', async () => {
    const parameters = { mode: 'managed-identity', vaultId: vaultId('kv-none'), identity: 'system-assigned' };
    const before = await observe(parameters);
    expect(before.identity).toMatchObject({ state: 'unknown', why: expect.stringMatching(/no system-assigned/) });
    const id = before.nodes?.known ? String(before.nodes.value[0]?.resourceId) : '';
    const machine = id.slice(id.indexOf('/resourceGroups'));
    await rig.azure.arm('PATCH', machine, { body: { identity: { type: 'SystemAssigned, UserAssigned' } } });
    const { identity } = await observe(parameters);
    expect(identity).toMatchObject({ state: 'exists', principalId: expect.any(String) });
    const second = await rig.azure.identity('id-second');
    await rig.access.nodeMachines.addIdentity(id, second.identityId);
    const principal = await principalOf(rig.access, rig.cluster, { from: 'nodes' });
    expect(identity).toMatchObject({ principalId: principal.principalId });
    expect(principal).not.toHaveProperty('clientId');

    const body = await rig.raw();
    const [pool] = body.properties['agentPoolProfiles'] as Record<string, unknown>[];
    const pools = [pool, { ...pool, name: 'pool2', mode: 'User' }];
    await rig.putRaw({ ...body, properties: { ...body.properties, agentPoolProfiles: pools } });
    const without = await observe(parameters);
    expect(without.identity).toMatchObject({ state: 'unknown', why: expect.stringMatching(/: aks-pool2-\d+-vmss\. /) });
    const added = without.nodes?.known ? String(without.nodes.value[1]?.resourceId) : '';
    await rig.azure.arm('PATCH', added.slice(added.indexOf('/resourceGroups')), {
      body: { identity: { type: 'SystemAssigned, UserAssigned' } },
    });
    const vaultOf = await makeVault('kv-read-nodes', { enableRbacAuthorization: true });
    const both = await observe({ ...parameters, vaultId: vaultOf });
    expect(both).toMatchObject({ identity, otherNodes: [{ roles: { known: true, value: [] } }] });
    const principalIds = [principal.principalId, String(both.otherNodes?.[0]?.principalId)];
    expect(new Set(principalIds).size).toBe(2);
    const step = { vaultId: vaultOf, permissionModel: 'rbac' as const, types: ['secret' as const] };
    const grant = { ...step, cluster: rig.cluster, identity: { from: 'nodes' as const } };
    expect(await grantVaultRead(rig.access, grant, signal)).toEqual({ principalIds, changed: true });
    await awaitVaultRead(rig.access, { ...grant, principalIds }, running);
    expect(await grantVaultRead(rig.access, grant, signal)).toEqual({ principalIds, changed: false });
    const { otherNodes } = await observe({ ...parameters, vaultId: vaultOf });
    expect(otherNodes).toMatchObject([{ roles: { value: [{ name: 'Key Vault Secrets User' }] } }]);
  });

  it('to a vault that is not open to all networks shows the ways in, and the networks that the nodes are in', async () => {
    const { subscriptionId } = rig.azure.sandbox;
    const network = `/subscriptions/${subscriptionId}/resourceGroups/${GROUP}/providers/Microsoft.Network/virtualNetworks/hub`;
    const subnetRules = [`${network}/subnets/nodes`];
    const vault = await makeVault('kv-not-open', {
      networkAcls: {
        defaultAction: 'Deny',
        ipRules: [{ value: '203.0.113.7/32' }],
        virtualNetworkRules: subnetRules.map((id) => ({ id })),
      },
    });
    const endpoint = `/resourceGroups/${GROUP}/providers/Microsoft.Network/privateEndpoints/to-vault`;
    const connection = { name: 'vault', properties: { privateLinkServiceId: vault, groupIds: ['vault'] } };
    const subnetId = `${network}/subnets/endpoints`;
    const properties = { subnet: { id: subnetId }, privateLinkServiceConnections: [connection] };
    await rig.azure.arm('PUT', endpoint, { body: { location: LOCATION, properties } });
    const endpointId = `/subscriptions/${subscriptionId}${endpoint}`;
    const parameters = { mode: 'managed-identity', vaultId: vault };
    const waysIn = { publicAddress: 'restricted', addressRules: 1, subnetRules };
    const seen = { endpointId: expect.stringMatching(new RegExp(`^${endpointId}$`, 'i')), status: 'Approved' };
    expect(await observe(parameters)).toMatchObject({
      vault: { value: { openToAllNetworks: false, waysIn: { ...waysIn, endpoints: [{ ...seen, subnetId }] } } },
      nodeNetworks: expect.arrayContaining([
        { pool: 'nodepool1', network: expect.stringMatching(/\/resourceGroups\/MC_.*virtualNetworks$/) },
      ]),
    });
    const { body, observed } = await rig.access.clusters.read(rig.cluster);
    const ofPools = (...subnets: (string | null)[]) => {
      const agentPoolProfiles = subnets.map((vnetSubnetID, n) => ({ name: `pool${n}`, vnetSubnetID }));
      const properties = { ...body.properties, agentPoolProfiles, nodeResourceGroup: null };
      return nodeNetworksOf({ observed, provisioningError: {}, body: { ...body, properties } });
    };
    expect(ofPools(subnetId)).toEqual([{ pool: 'pool0', subnetId, network }]);
    // Azure does not say where the second one is: then nothing is said of all nodes.
    expect(ofPools(subnetId, null)).toBeUndefined();
    rig.azure.sandbox.faults.set('forbidden', { method: 'GET', path: '/privateEndpoints' });
    const { properties: changed } = await rig.azure.vaults.vaults.update(GROUP, 'kv-not-open', {
      properties: { publicNetworkAccess: 'Disabled' },
    });
    expect(changed.publicNetworkAccess).toBe('Disabled');
    const { vault: unseen } = await observe(parameters);
    expect(unseen).toMatchObject({ value: { waysIn: { ...waysIn, publicAddress: 'closed', endpoints: [seen] } } });
    expect(unseen.known && unseen.value.waysIn?.endpoints[0]).not.toHaveProperty('subnetId');
    const { vault: open } = await observe({ ...parameters, vaultId: await makeVault('kv-is-open', {}) });
    expect(open.known && open.value).not.toHaveProperty('waysIn');
  });

  it('by Service Connector is made once, found again under any name, and its add-on reads the vault', async () => {
    const vault = await makeVault('kv-linked', { enableRbacAuthorization: true });
    const step = { cluster: rig.cluster, name: 'kv_linked', namespace: 'apps', vaultId: vault, exists: false };
    const parameters = { mode: 'service-connector', vaultId: vault };
    expect(await observe(parameters)).toMatchObject({
      identity: { state: 'to-be-made' },
      connections: { known: true, value: [] },
    });
    await rig.azure.arm('POST', '/providers/Microsoft.KubernetesConfiguration/unregister');
    expect(await failure(createServiceConnection(rig.access, step, running))).toMatchObject({
      type: 'ConnectionRefused',
      nonRetryable: true,
      message: expect.stringMatching(
        /Conflict.*az provider register.*sent PUT .*linkers.*connectAsKubernetesCsiDriver/,
      ),
    });
    await rig.azure.arm('POST', '/providers/Microsoft.KubernetesConfiguration/register');
    expect(await createServiceConnection(rig.access, step, running)).toEqual({ changed: true });
    const principal = await principalOf(rig.access, rig.cluster, { from: 'add-on' });
    expect(await observe(parameters)).toMatchObject({
      identity: { state: 'exists', principalId: principal.principalId },
      connections: { known: true, value: [{ name: 'kv_linked', targetId: vault, byCsiDriver: true }] },
    });
    expect(await createServiceConnection(rig.access, { ...step, name: 'another' }, running)).toEqual({
      changed: false,
    });
    expect(await failure(requireNoConnection(rig.access, { ...step, vaultId: '/elsewhere' }, signal))).toMatchObject({
      type: 'ConnectionNotAsApproved',
      message: expect.stringMatching(/there is kv_linked .* now/),
    });
    const elsewhere = { ...step, vaultId: await makeVault('kv-elsewhere', { enableRbacAuthorization: true }) };
    expect(await failure(createServiceConnection(rig.access, elsewhere, running))).toMatchObject({
      type: 'ConnectionNotAsApproved',
    });
    expect(await failure(deleteServiceConnection(rig.access, elsewhere, running))).toMatchObject({
      type: 'ConnectionNotAsApproved',
    });
    expect(await deleteServiceConnection(rig.access, step, running)).toEqual({ changed: true });
    expect(await deleteServiceConnection(rig.access, step, running)).toEqual({ changed: false });

    // Of its two roles go those of the maker, made since, and at the vault; what grant-vault-read gave stays.
    const grant = { vaultId: vault, principalId: principal.principalId };
    const remove = (createdBy: string, since: Date): Promise<number> =>
      rig.access.grants.removeReaders(grant, { createdBy, since: since.toISOString() });
    const own = await rig.access.own.objectId();
    expect(await remove(own, new Date(Date.now() + 3_600_000))).toBe(0);
    expect(await remove(principal.principalId, new Date(0))).toBe(0);
    expect(await remove(own, new Date(0))).toBe(2);
    await rig.access.grants.assignReaders(grant, ['secret']);
    expect(await remove(own, new Date(0))).toBe(0);
  });
});
