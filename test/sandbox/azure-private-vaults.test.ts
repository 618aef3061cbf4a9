/** KMS Private: VNet integration, the private endpoint that AKS makes, and who may approve it. The clusters are records. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { readFile } from 'node:fs/promises';
import { ProxyAgent } from 'undici';
import { VaultReader } from '../../sandbox/cluster/node/vault-reader';
import { GROUP, LOCATION, TestAzure, type RawAnswer } from './azure-support';

const CONTRIBUTOR = 'f25e0fa2-a7c8-4377-a976-54943a77a395';
const PURGE_OPERATOR = 'a68e7c17-0ab2-4c09-9a58-125dae29748c';

describe('a private vault in the sandbox', () => {
  let azure: TestAzure;
  let identityId: string;
  let principalId: string;
  let count = 0;
  /** Of the test: every one has a cluster and a vault of its own. */
  let cluster: string;
  let vault: string;
  let key: string;

  beforeAll(async () => {
    azure = await TestAzure.start();
  });
  afterAll(() => azure.stop());
  beforeEach(async () => {
    count++;
    [cluster, vault] = [`c${count}`, `kv-private-${count}`];
    await azure.provision(vault);
    ({ identityId, principalId } = await azure.identity(`id-${count}`));
    await azure.grant(idOf(vault), '12338af0-0e69-4776-bea7-57ae8d297424', principalId);
    key = await newKey();
    await open(false);
  });

  const subscription = (): string => `/subscriptions/${azure.sandbox.subscriptionId}`;
  const group = (): string => `${subscription()}/resourceGroups/${GROUP}`;
  const idOf = (name: string): string => `${group()}/providers/Microsoft.KeyVault/vaults/${name}`;
  const newKey = async (name = vault): Promise<string> => String((await azure.keys(name).createRsaKey('etcd')).id);
  const open = async (isOpen: boolean, name = vault): Promise<void> => {
    const publicNetworkAccess = isOpen ? 'Enabled' : 'Disabled';
    await azure.vaults.vaults.update(GROUP, name, { properties: { publicNetworkAccess } });
  };
  const privately = (keyId: string, name = vault): unknown => ({
    enabled: true,
    keyId,
    keyVaultNetworkAccess: 'Private',
    keyVaultResourceId: idOf(name),
  });
  const publicly = (keyId: string): unknown => ({ enabled: true, keyId, keyVaultNetworkAccess: 'Public' });
  const create = async (kms: unknown, enableVnetIntegration = true): Promise<RawAnswer> =>
    azure.arm('PUT', azure.clusterPath(cluster), {
      body: {
        location: LOCATION,
        identity: { type: 'UserAssigned', userAssignedIdentities: { [identityId]: {} } },
        properties: {
          apiServerAccessProfile: { enableVnetIntegration },
          agentPoolProfiles: [{ name: 'nodepool1' }],
          securityProfile: { azureKeyVaultKms: kms },
        },
      },
    });
  const change = async (securityProfile: unknown, others: object = {}): Promise<RawAnswer> => {
    const { body } = await azure.arm('GET', azure.clusterPath(cluster));
    const before = body['properties'] as object;
    const properties = { ...before, ...others, securityProfile: { azureKeyVaultKms: securityProfile } };
    return azure.arm('PUT', azure.clusterPath(cluster), { body: { ...body, properties } });
  };
  const ended = async (answer: RawAnswer | Promise<RawAnswer>): Promise<unknown> => {
    const { status, error } = (await azure.poll(await answer)) as { status: string; error?: { code: string } };
    return error?.code ?? status;
  };
  const connections = async (name = vault): Promise<unknown[]> => {
    const { properties } = await azure.vaults.vaults.get(GROUP, name);
    return (properties.privateEndpointConnections ?? []).map((one) => one.privateLinkServiceConnectionState?.status);
  };
  const endpoints = async (): Promise<unknown> => {
    const nodes = `/resourceGroups/MC_${GROUP}_${cluster}_${LOCATION}`;
    return (await azure.arm('GET', `${nodes}/providers/Microsoft.Network/privateEndpoints`)).body['value'];
  };
  const post = async (action: string): Promise<unknown> =>
    ended(await azure.arm('POST', `${azure.clusterPath(cluster)}/${action}`));

  it('gets an approved private endpoint in the node resource group, and both go with the cluster', async () => {
    await azure.grant(group(), CONTRIBUTOR, principalId); // Inherited by the vault.
    expect(await ended(create(privately(key)))).toBe('Succeeded');
    expect(await connections()).toEqual(['Approved']);
    expect(await endpoints()).toMatchObject([
      {
        type: 'Microsoft.Network/privateEndpoints',
        properties: { privateLinkServiceConnections: [{ properties: { privateLinkServiceId: idOf(vault) } }] },
      },
    ]);
    // The endpoint is the cluster's: other clients stay outside.
    await expect(azure.keys(vault).getKey('etcd')).rejects.toMatchObject({ statusCode: 403, code: 'Forbidden' });
    await ended(azure.arm('DELETE', azure.clusterPath(cluster)));
    expect(await connections()).toEqual([]);
    expect((await azure.arm('GET', `/resourceGroups/MC_${GROUP}_${cluster}_${LOCATION}`)).status).toBe(404);
  });

  it('fails the operation when the identity may not approve the endpoint, or a deny assignment takes the right', async () => {
    await azure.grant(idOf(vault), PURGE_OPERATOR, principalId);
    expect(await ended(create(privately(key)))).toBe('LinkedAuthorizationFailed');
    await ended(azure.arm('DELETE', azure.clusterPath(cluster)));
    await azure.grant(idOf(vault), CONTRIBUTOR, principalId);
    const denial = `${subscription()}/providers/Microsoft.Authorization/denyAssignments/${crypto.randomUUID()}`;
    const token = await azure.token('https://management.azure.com');
    const deny = (method: string, body?: unknown): Promise<RawAnswer> =>
      azure.raw(method, `https://management.azure.com${denial}?api-version=2022-04-01`, { token, body });
    const dataActions = ['Microsoft.KeyVault/vaults/keys/decrypt/action'];
    const permissions = [{ actions: ['Microsoft.KeyVault/vaults/*'], dataActions }];
    await deny('PUT', {
      properties: { denyAssignmentName: 'none', permissions, principals: [{ id: principalId }] },
    });
    await open(true);
    expect((await create(publicly(key))).body).toMatchObject({
      code: 'AzureKeyVaultKmsValidateIdentityPermissionCustomerError',
    });
    await open(false);
    expect(await ended(create(privately(key)))).toBe('LinkedAuthorizationFailed');
    expect(await connections()).toEqual([]);
    await deny('DELETE');
    expect(await ended(create(privately(key)))).toBe('Succeeded');
    expect(await connections()).toEqual(['Approved']);
  });

  it('keeps its endpoint as long as a key slot, current or previous, uses it', async () => {
    await azure.grant(idOf(vault), CONTRIBUTOR, principalId);
    expect(await ended(create(privately(key)))).toBe('Succeeded');
    const other = `kv-other-${count}`;
    await azure.provision(other);
    await azure.grant(idOf(other), '12338af0-0e69-4776-bea7-57ae8d297424', principalId);
    const [first, second] = [await newKey(other), await newKey(other)];
    // Straight to another vault in the other mode: the previous slot is still read by the endpoint.
    expect(await ended(change(publicly(first)))).toBe('Succeeded');
    expect(await connections()).toEqual(['Approved']);
    expect(await ended(change(publicly(second)))).toBe('Succeeded');
    expect(await connections()).toEqual([]);
    // And back.
    expect(await ended(change(privately(key)))).toBe('Succeeded');
    expect(await connections()).toEqual(['Approved']);
    expect(await ended(change({ enabled: false }))).toBe('Succeeded');
    expect(await connections()).toEqual(['Approved']);
  });

  it('keeps its network access while KMS is on', async () => {
    await azure.grant(idOf(vault), CONTRIBUTOR, principalId);
    expect(await ended(create(privately(key)))).toBe('Succeeded');
    await open(true);
    const next = await newKey();
    expect((await change(publicly(next))).body).toMatchObject({ code: 'SandboxKmsNetworkAccessChange' });
    expect((await change(publicly(key))).body).toMatchObject({ code: 'SandboxKmsNetworkAccessChange' });
    expect(await ended(change({ enabled: false }))).toBe('Succeeded');
    expect(await ended(change(publicly(next)))).toBe('Succeeded');
  });

  it('needs VNet integration, which takes a restart on a cluster that exists and cannot be turned off', async () => {
    await azure.grant(idOf(vault), CONTRIBUTOR, principalId);
    expect(await ended(create({ enabled: false }, false))).toBe('Succeeded');
    const subnetId = `${group()}/providers/Microsoft.Network/virtualNetworks/v/subnets/api`;
    const on = { apiServerAccessProfile: { enableVnetIntegration: true, subnetId } };
    const bare = { apiServerAccessProfile: { enableVnetIntegration: true } };
    expect((await change({ enabled: false }, bare)).body).toMatchObject({ code: 'SandboxApiServerSubnetMissing' });
    const early = {
      code: 'BadRequest',
      message: 'Vnet integration should be enabled when KeyVault network access is Private.',
    };
    expect((await change(privately(key), on)).body).toMatchObject(early);
    expect(await ended(change({ enabled: false }, on))).toBe('Succeeded');
    expect((await change(privately(key))).body).toMatchObject(early);
    await post('start'); // No restart: it runs.
    expect((await change(privately(key))).body).toMatchObject(early);
    const rules = [{ apiGroups: ['*'], resources: ['*'], scope: '*' }];
    const records = azure.clusters.at(-1);
    if (records === undefined) throw new Error('There is a cluster.');
    records.webhooks = [{ name: 'policies', webhooks: [{ name: 'deny.example.com', failurePolicy: 'Fail', rules }] }];
    expect((await azure.arm('POST', `${azure.clusterPath(cluster)}/stop`)).body).toMatchObject({
      code: 'ValidationError',
      message: expect.stringContaining(
        "1. Webhook configuration 'policies': 'deny.example.com' Rule 1 has wildcard in both APIGroups and Resources.",
      ),
    });
    records.webhooks = [{ name: 'policies', webhooks: [{ name: 'deny.example.com', failurePolicy: 'Ignore', rules }] }];
    await post('stop');
    await post('start');
    expect(azure.clusters.at(-1)?.events).toEqual(['start', 'stop', 'start', 'konnectivity agents off']);
    const off = { apiServerAccessProfile: { enableVnetIntegration: false } };
    expect((await change({ enabled: false }, off)).body).toMatchObject({ code: 'SandboxVnetIntegrationIsOneWay' });
    // A client that does not know the profile does not turn it off.
    expect(await ended(change(privately(key), { apiServerAccessProfile: undefined }))).toBe('Succeeded');
  });

  it('is reached by clients through an endpoint that was made by hand, until its owner rejects it', async () => {
    const path = `/resourceGroups/${GROUP}/providers/Microsoft.Network/privateEndpoints/worker-${count}`;
    const connection = { name: 'vault', properties: { privateLinkServiceId: idOf(vault), groupIds: ['vault'] } };
    const body = { location: LOCATION, properties: { privateLinkServiceConnections: [connection] } };
    expect((await azure.arm('PUT', path, { body })).status).toBe(201);
    expect((await azure.keys(vault).getKey('etcd')).id).toBe(key);
    const list = `/resourceGroups/${GROUP}/providers/Microsoft.KeyVault/vaults/${vault}/privateEndpointConnections`;
    const [{ name = '' } = {}] = (await azure.arm('GET', list)).body['value'] as { name?: string }[];
    const privateLinkServiceConnectionState = { status: 'Rejected' };
    await azure.arm('PUT', `${list}/${name}`, { body: { properties: { privateLinkServiceConnectionState } } });
    await expect(azure.keys(vault).getKey('etcd')).rejects.toMatchObject({ statusCode: 403 });
  });

  describe('is read by the nodes of a cluster', () => {
    const proxies: ProxyAgent[] = [];
    afterEach(async () => {
      for (const proxy of proxies.splice(0)) await proxy.close();
    });

    /** Reads the key as the provider on a node does: by the proxy of its cluster. @returns `read`, or the words of the refusal */
    const read = async (): Promise<string> => {
      const clusterId = `${subscription()}${azure.clusterPath(cluster)}`;
      const proxy = new ProxyAgent({
        uri: await azure.sandbox.proxyUrlForNodes(clusterId),
        requestTls: { ca: await readFile(azure.sandbox.caFile) },
      });
      proxies.push(proxy);
      const token = () => azure.token('https://vault.azure.net');
      const reader = new VaultReader(`https://${vault}.vault.azure.net`, proxy, token);
      return await reader.get('/keys/etcd/').then(
        () => 'read',
        (error: unknown) => (error as Error).message,
      );
    };
    const makeCluster = async (vnetSubnetID?: string): Promise<string> => {
      expect(await ended(create({ enabled: false }))).toBe('Succeeded');
      const { body } = await azure.arm('GET', azure.clusterPath(cluster));
      const properties = body['properties'] as { agentPoolProfiles: object[]; nodeResourceGroup: string };
      const agentPoolProfiles = properties.agentPoolProfiles.map((pool) => ({ ...pool, vnetSubnetID }));
      if (vnetSubnetID !== undefined) await change({ enabled: false }, { agentPoolProfiles });
      return `${subscription()}/resourceGroups/${properties.nodeResourceGroup}/providers/Microsoft.Network/virtualNetworks`;
    };
    const endpoint = `/resourceGroups/${GROUP}/providers/Microsoft.Network/privateEndpoints/app`;
    const makeEndpoint = async (subnetId: string): Promise<void> => {
      const connection = { name: 'vault', properties: { privateLinkServiceId: idOf(vault), groupIds: ['vault'] } };
      const properties = { subnet: { id: subnetId }, privateLinkServiceConnections: [connection] };
      await azure.arm('PUT', endpoint, { body: { location: LOCATION, properties } });
    };

    it('by an endpoint in their network that its owner approves, and by no other', async () => {
      const networks = await makeCluster();
      expect(await read()).toMatch(
        /RESPONSE 403: 403 Forbidden\nERROR CODE: Forbidden\n[^]*not from a trusted service nor via an approved private link[^]*ForbiddenByConnection/,
      );
      // One for the clients on this machine is not the nodes'.
      await makeEndpoint(`${group()}/providers/Microsoft.Network/virtualNetworks/hub/subnets/endpoints`);
      expect(await read()).toMatch(/ForbiddenByConnection/);
      expect((await azure.keys(vault).getKey('etcd')).id).toBe(key);
      await azure.arm('DELETE', endpoint);
      await makeEndpoint(`${networks}/aks-vnet-1/subnets/endpoints`);
      expect(await read()).toBe('read');
      // It is in the cluster's network, where no other client is.
      await expect(azure.keys(vault).getKey('etcd')).rejects.toMatchObject({ statusCode: 403 });
      const list = `/resourceGroups/${GROUP}/providers/Microsoft.KeyVault/vaults/${vault}/privateEndpointConnections`;
      const [{ name = '' } = {}] = (await azure.arm('GET', list)).body['value'] as { name?: string }[];
      const privateLinkServiceConnectionState = { status: 'Rejected' };
      await azure.arm('PUT', `${list}/${name}`, { body: { properties: { privateLinkServiceConnectionState } } });
      expect(await read()).toMatch(/ForbiddenByConnection/);
      await azure.arm('DELETE', endpoint);
    });

    it('by a firewall that names their subnet', async () => {
      const network = `${group()}/providers/Microsoft.Network/virtualNetworks/spoke`;
      await makeCluster(`${network}/subnets/nodes`);
      const allow = (subnet: string): Promise<unknown> =>
        azure.vaults.vaults.update(GROUP, vault, {
          properties: {
            publicNetworkAccess: 'Enabled',
            networkAcls: { defaultAction: 'Deny', virtualNetworkRules: [{ id: `${network}/subnets/${subnet}` }] },
          },
        });
      await allow('others');
      expect(await read()).toMatch(/ForbiddenByFirewall/);
      await allow('NODES');
      expect(await read()).toBe('read');
    });
  });
});
