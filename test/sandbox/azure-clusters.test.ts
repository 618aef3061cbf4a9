import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { ManagedCluster } from '@azure/arm-containerservice';
import { GROUP, LOCATION, TestAzure, type RawAnswer } from './azure-support';

const FAST = { updateIntervalInMs: 5 };

describe('the sandbox managed clusters', () => {
  let azure: TestAzure;
  let identityId: string;
  let principalId: string;
  let vaultId: string;
  const vault = 'kv-clusters-1';

  beforeEach(async () => {
    azure = await TestAzure.start();
    ({ identityId, principalId, vaultId } = await azure.provision(vault));
  });
  afterEach(() => azure.stop());

  const newKey = async (name = 'etcd'): Promise<string> => String((await azure.keys(vault).createRsaKey(name)).id);
  const create = (keyId?: string): Promise<ManagedCluster> =>
    azure.containers.managedClusters.createOrUpdate(GROUP, 'c1', azure.clusterParameters(identityId, keyId), FAST);
  const read = async (): Promise<Record<string, unknown>> => (await azure.arm('GET', azure.clusterPath('c1'))).body;
  const properties = (body: Record<string, unknown>): Record<string, unknown> =>
    body['properties'] as Record<string, unknown>;
  /** GET, change the KMS profile, PUT: what az and Keyturn do. */
  const putKms = async (kms: unknown, headers: Record<string, string> = {}): Promise<RawAnswer> => {
    const body = await read();
    properties(body)['securityProfile'] = { azureKeyVaultKms: kms };
    return azure.arm('PUT', azure.clusterPath('c1'), { body, headers });
  };
  const kmsOn = (keyId: string): Record<string, unknown> => ({
    enabled: true,
    keyId,
    keyVaultNetworkAccess: 'Public',
    keyVaultResourceId: '',
  });
  const codeOf = (answer: RawAnswer): unknown => [answer.status, answer.body['code']];

  it('creates a cluster through the SDK poller and fills in what the service fills in', async () => {
    const key = await newKey();
    const cluster = await create(key);
    expect(cluster.provisioningState).toBe('Succeeded');
    expect(cluster.type).toBe('Microsoft.ContainerService/ManagedClusters');
    expect(cluster.id).toContain('/resourcegroups/');
    expect(cluster).toMatchObject({
      kubernetesVersion: '1.34',
      currentKubernetesVersion: '1.34.1',
      maxAgentPools: 100,
      servicePrincipalProfile: { clientId: 'msi' },
      sku: { name: 'Base', tier: 'Free' },
      powerState: { code: 'Running' },
      securityProfile: { azureKeyVaultKms: { enabled: true, keyId: key, keyVaultNetworkAccess: 'Public' } },
    });
    expect(cluster.identityProfile?.['kubeletidentity']?.objectId).toBeDefined();
    expect(cluster.agentPoolProfiles?.[0]).toMatchObject({
      type: 'VirtualMachineScaleSets',
      provisioningState: 'Succeeded',
    });
    expect(azure.clusters[0]?.states).toEqual([{ write: 'kms', slots: [key] }]);

    const credentials = await azure.containers.managedClusters.listClusterAdminCredentials(GROUP, 'c1');
    expect(credentials.kubeconfigs?.[0]?.name).toBe('clusterAdmin');
    expect(Buffer.from(credentials.kubeconfigs?.[0]?.value ?? []).toString()).toBe('kubeconfig of c1');
  });

  it('answers 201 and Creating, then polls that end in Succeeded, and moves the etag', async () => {
    azure.sandbox.faults.set('hold-operation');
    const body = {
      location: LOCATION,
      identity: { type: 'UserAssigned', userAssignedIdentities: { [identityId]: {} } },
      properties: { kubernetesVersion: '', agentPoolProfiles: [{ name: 'p' }], futureProperty: { kept: [1] } },
    };
    const created = await azure.arm('PUT', azure.clusterPath('c1'), { body });
    expect(created.status).toBe(201);
    expect(properties(created.body)).toMatchObject({ provisioningState: 'Creating', kubernetesVersion: '1.34.1' });
    expect(created.headers['retry-after']).toBe('0');
    const url = String(created.headers['azure-asyncoperation']);
    expect(url).toMatch(
      new RegExp(
        `^https://management.azure.com/subscriptions/[^/]+/providers/Microsoft.ContainerService/locations/${LOCATION}/operations/[0-9a-f-]{36}\\?api-version=2016-03-30&`,
      ),
    );

    const token = await azure.token('https://management.azure.com');
    const poll = await azure.raw('GET', url, { token });
    expect(poll.body).toMatchObject({ status: 'InProgress', startTime: expect.any(String) });
    expect(url).not.toContain(String(poll.body['name']));
    expect((await azure.raw('GET', url.replace(/&.*$/, ''), { token })).status).toBe(404);

    azure.sandbox.faults.clear('hold-operation');
    expect(await azure.poll(created)).toMatchObject({ status: 'Succeeded', endTime: expect.any(String) });
    const after = await read();
    expect(after['eTag']).not.toBe(created.body['eTag']);
    expect(properties(after)).toMatchObject({ provisioningState: 'Succeeded', futureProperty: { kept: [1] } });
  });

  it('shows the new profile with Updating while it updates, and refuses a second operation with a bare 409', async () => {
    const first = await newKey();
    const second = await newKey();
    await create(first);
    azure.sandbox.faults.set('hold-operation');
    const accepted = await putKms(kmsOn(second));
    expect(accepted.status).toBe(200);
    expect(properties(await read())).toMatchObject({
      provisioningState: 'Updating',
      securityProfile: { azureKeyVaultKms: { keyId: second } },
    });
    const busy = await putKms(kmsOn(first));
    expect(busy.status).toBe(409);
    expect(busy.body).toMatchObject({
      code: 'OperationNotAllowed',
      message:
        'Operation is not allowed: Another operation (Updating) is in progress, please wait for it to finish before starting a new operation. See https://aka.ms/aks-pending-operation for more details',
    });
    expect(busy.body).not.toHaveProperty('error');
    expect(codeOf(await azure.arm('POST', `${azure.clusterPath('c1')}/stop`))).toEqual([409, 'OperationNotAllowed']);
    expect(azure.clusters[0]?.states).toHaveLength(1);
    azure.sandbox.faults.clear('hold-operation');
    await azure.poll(accepted);
    expect(azure.clusters[0]?.states.at(-1)).toEqual({ write: 'kms', slots: [second, first] });
  });

  it('holds PUTs to their etag preconditions', async () => {
    const key = await newKey();
    const absent = await azure.arm('PUT', azure.clusterPath('c1'), { body: {}, headers: { 'if-match': 'x' } });
    expect(codeOf(absent)).toEqual([412, 'PreConditionFailed']);
    await create(key);
    const etag = String((await read())['eTag']);
    expect(codeOf(await putKms(kmsOn(key), { 'if-match': 'stale' }))).toEqual([412, 'PreConditionFailed']);
    expect(codeOf(await putKms(kmsOn(key), { 'if-none-match': '*' }))).toEqual([412, 'PreConditionFailed']);
    expect((await putKms(kmsOn(key), { 'if-none-match': etag })).status).toBe(400);
    expect((await putKms(kmsOn(key), { 'if-none-match': '*', 'if-match': etag })).status).toBe(400);
    const accepted = await putKms(kmsOn(key), { 'if-match': etag });
    expect(accepted.status).toBe(200);
    await azure.poll(accepted);
    expect(codeOf(await putKms(kmsOn(key), { 'if-match': etag }))).toEqual([412, 'PreConditionFailed']);
    await expect(
      azure.containers.managedClusters.createOrUpdate(GROUP, 'c1', azure.clusterParameters(identityId, key), {
        ...FAST,
        ifMatch: etag,
      }),
    ).rejects.toMatchObject({ statusCode: 412, code: 'PreConditionFailed' });
  });

  it('moves the slots when another key is set, and evicts the oldest', async () => {
    const [k1, k2, k3] = [await newKey(), await newKey(), await newKey('other')];
    await create(k1);
    for (const key of [k2, k3, k2]) await azure.poll(await putKms(kmsOn(key)));
    expect(azure.clusters[0]?.states.slice(1)).toEqual([
      { write: 'kms', slots: [k2, k1] },
      { write: 'kms', slots: [k3, k2] },
      { write: 'kms', slots: [k2, k3] },
    ]);
  });

  it('rolls nothing when the profile stays as it is', async () => {
    const key = await newKey();
    await create(key);
    await azure.poll(await putKms(kmsOn(key)));
    expect(azure.clusters[0]?.states).toHaveLength(1);
  });

  it('writes plaintext after disable and keeps the last key, then takes a new one in front of it', async () => {
    const [k1, k2, k3] = [await newKey(), await newKey(), await newKey()];
    await create(k1);
    await azure.poll(await putKms(kmsOn(k2)));
    const disabled = await putKms({ ...kmsOn(k2), enabled: false });
    await azure.poll(disabled);
    expect(azure.clusters[0]?.states.at(-1)).toEqual({ write: 'identity', slots: [k2] });
    expect(properties(await read())['securityProfile']).toEqual({ azureKeyVaultKms: { ...kmsOn(k2), enabled: false } });
    await azure.poll(await putKms(kmsOn(k3)));
    expect(azure.clusters[0]?.states.at(-1)).toEqual({ write: 'kms', slots: [k3, k2] });
  });

  it('refuses a PUT that forgets the profile while KMS is on', async () => {
    await create(await newKey());
    expect(codeOf(await putKms(undefined))).toEqual([400, 'SandboxKmsProfileMissing']);
  });

  it('keeps the old keys and shows Failed with the cause when the API servers do not come up', async () => {
    const [k1, k2, k3] = [await newKey(), await newKey(), await newKey()];
    await create(k1);
    const [cluster] = azure.clusters;
    if (cluster === undefined) throw new Error('no cluster');
    cluster.failNext = new Error('kube-apiserver 1 was not ready in 60 s');
    const operation = await azure.poll(await putKms(kmsOn(k2)));
    const failure = { code: 'SandboxRolloutFailed', message: 'kube-apiserver 1 was not ready in 60 s' };
    expect(operation).toMatchObject({ status: 'Failed', error: failure });
    expect(properties(await read())).toMatchObject({
      provisioningState: 'Failed',
      securityProfile: { azureKeyVaultKms: { keyId: k2 } },
      status: { provisioningError: failure },
    });
    // A second attempt with another key must not push the key in use out of the slots.
    expect(await azure.poll(await putKms(kmsOn(k3)))).toMatchObject({ status: 'Succeeded' });
    expect(cluster.states.at(-1)).toEqual({ write: 'kms', slots: [k3, k1] });
  });

  it('fails the roll-out when the previous key has been disabled', async () => {
    const first = await newKey();
    await create(first);
    const second = await newKey();
    await azure.keys(vault).updateKeyProperties('etcd', String(first.split('/').at(-1)), { enabled: false });
    const operation = await azure.poll(await putKms(kmsOn(second)));
    expect(operation).toMatchObject({
      status: 'Failed',
      error: {
        code: 'SandboxRolloutFailed',
        message: '403 KeyDisabled: Operation encrypt is not allowed on a disabled key.',
      },
    });
  });

  describe('KMS rules', () => {
    beforeEach(() => create());

    it('want a user-assigned identity', async () => {
      const body = { location: LOCATION, properties: { securityProfile: { azureKeyVaultKms: kmsOn(await newKey()) } } };
      const answer = await azure.arm('PUT', azure.clusterPath('c2'), { body });
      expect(answer.body).toMatchObject({
        code: 'BadRequest',
        message:
          "AzureKeyVaultKms feature does not support cluster identity type SystemAssigned, supported value is 'UserAssigned'",
      });
    });

    it('want a network access, and a resource id and VNet integration when it is private', async () => {
      const key = await newKey();
      const message = async (kms: unknown): Promise<unknown> => (await putKms(kms)).body['message'];
      expect(await message({ enabled: true, keyId: key })).toBe(
        'KeyVault network access is unspecified for Azure Key Vault KMS.',
      );
      const asPrivate = { enabled: true, keyId: key, keyVaultNetworkAccess: 'Private' };
      expect(await message(asPrivate)).toBe('KeyVault resource ID is empty when KeyVault network access is Private.');
      expect(await message({ ...asPrivate, keyVaultResourceId: vaultId })).toBe(
        'Vnet integration should be enabled when KeyVault network access is Private.',
      );
    });

    it('want encrypt and decrypt for the identity, in a vault open to all networks', async () => {
      const key = await newKey();
      const refusal = {
        code: 'AzureKeyVaultKmsValidateIdentityPermissionCustomerError',
        message: `The identity does not have keys encrypt/decrypt permission on key vault https://${vault}.vault.azure.net/`,
      };
      await azure.vaults.vaults.update(GROUP, vault, { properties: { publicNetworkAccess: 'Disabled' } });
      expect((await putKms(kmsOn(key))).body).toMatchObject(refusal);
      await azure.vaults.vaults.update(GROUP, vault, {
        properties: { publicNetworkAccess: 'Enabled', enableRbacAuthorization: false },
      });
      expect((await putKms(kmsOn(key))).body).toMatchObject(refusal);
      await azure.vaults.vaults.updateAccessPolicy(GROUP, vault, 'add', {
        properties: {
          accessPolicies: [
            { tenantId: azure.sandbox.tenantId, objectId: principalId, permissions: { keys: ['encrypt', 'decrypt'] } },
          ],
        },
      });
      expect(await azure.poll(await putKms(kmsOn(key)))).toMatchObject({ status: 'Succeeded' });
    });

    it('want a versioned key of an existing vault that is enabled and not expired', async () => {
      const key = await newKey();
      const version = String(key.split('/').at(-1));
      expect(codeOf(await putKms(kmsOn(key.replace(`/${version}`, ''))))).toEqual([400, 'SandboxKmsKeyIdNotValid']);
      expect(codeOf(await putKms(kmsOn(key.replace(vault, 'kv-nowhere'))))).toEqual([400, 'SandboxKmsVaultNotFound']);
      expect(codeOf(await putKms(kmsOn(key.replace(version, '0'.repeat(32)))))).toEqual([
        400,
        'SandboxKmsKeyNotUsable',
      ]);
      await azure.keys(vault).updateKeyProperties('etcd', version, { expiresOn: new Date(Date.now() - 1000) });
      const expired = await putKms(kmsOn(key));
      expect(expired.body['message']).toContain('403 KeyExpired: Operation encrypt is not allowed on an expired key.');
      await azure.keys(vault).updateKeyProperties('etcd', version, {
        expiresOn: new Date(Date.now() + 3_600_000),
        enabled: false,
      });
      expect((await putKms(kmsOn(key))).body['message']).toContain('KeyDisabled');
    });
  });

  it('refuses Kubernetes versions that it cannot run, naming what it runs', async () => {
    const body = { location: LOCATION, properties: { kubernetesVersion: '1.12.0' } };
    const answer = await azure.arm('PUT', azure.clusterPath('c2'), { body });
    expect(codeOf(answer)).toEqual([400, 'SandboxKubernetesVersionNotServed']);
    expect(answer.body['message']).toContain('It runs 1.26 (1.26.15), 1.27 (1.27.3), 1.34 (1.34.1).');
  });

  it('stops and starts with 202, an operation and a Location, and refuses changes while stopped', async () => {
    const key = await newKey();
    await create(key);
    const stopped = await azure.arm('POST', `${azure.clusterPath('c1')}/stop`);
    expect(stopped.status).toBe(202);
    expect(stopped.headers['location']).toContain('/operationresults/');
    await azure.poll(stopped);
    expect(properties(await read())).toMatchObject({ powerState: { code: 'Stopped' }, provisioningState: 'Succeeded' });
    expect(codeOf(await putKms(kmsOn(key)))).toEqual([409, 'SandboxClusterStopped']);
    await azure.containers.managedClusters.start(GROUP, 'c1', FAST);
    expect(properties(await read())).toMatchObject({ powerState: { code: 'Running' } });
    expect(azure.clusters[0]?.events).toEqual(['stop', 'start']);
  });

  it('patches tags and lists clusters by group and by subscription', async () => {
    await create();
    await azure.containers.managedClusters.updateTags(GROUP, 'c1', { tags: { env: 'test' } }, FAST);
    const byGroup: ManagedCluster[] = [];
    for await (const cluster of azure.containers.managedClusters.listByResourceGroup(GROUP)) byGroup.push(cluster);
    const all: ManagedCluster[] = [];
    for await (const cluster of azure.containers.managedClusters.list()) all.push(cluster);
    expect([byGroup, all].map((list) => list.map(({ name, tags }) => [name, tags]))).toEqual([
      [['c1', { env: 'test' }]],
      [['c1', { env: 'test' }]],
    ]);
    const more = await azure.arm('PATCH', azure.clusterPath('c1'), { body: { tags: {}, properties: {} } });
    expect(more.status).toBe(400);
  });

  it('deletes a cluster and destroys what ran it', async () => {
    await create();
    await azure.containers.managedClusters.delete(GROUP, 'c1', FAST);
    expect((await azure.arm('GET', azure.clusterPath('c1'))).status).toBe(404);
    expect(azure.clusters[0]?.events).toEqual(['destroy']);
  });
});
