/** What a client asks of a sandbox cluster by tags, and upgrades, as ARM takes and refuses them. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { ManagedCluster } from '@azure/arm-containerservice';
import { GROUP, TestAzure, type RawAnswer } from './azure-support';

const FAST = { updateIntervalInMs: 5 };

describe('the sandbox managed clusters', () => {
  let azure: TestAzure;
  let identityId: string;
  let keyId: string;
  const vault = 'kv-upgrade-1';

  beforeEach(async () => {
    azure = await TestAzure.start();
    ({ identityId } = await azure.provision(vault));
    keyId = String((await azure.keys(vault).createRsaKey('etcd')).id);
  });
  afterEach(() => azure.stop());

  const create = (kubernetesVersion: string, options: { kms?: boolean; tags?: Record<string, string> } = {}) =>
    azure.containers.managedClusters.createOrUpdate(
      GROUP,
      'c1',
      {
        ...azure.clusterParameters(identityId, options.kms === true ? keyId : undefined, kubernetesVersion),
        tags: options.tags,
      },
      FAST,
    );
  const read = (): Promise<ManagedCluster> => azure.containers.managedClusters.get(GROUP, 'c1');
  /** GET, change properties, PUT: what az does. */
  const put = async (change: Record<string, unknown>): Promise<RawAnswer> => {
    const { body } = await azure.arm('GET', azure.clusterPath('c1'));
    body['properties'] = { ...(body['properties'] as Record<string, unknown>), ...change };
    return azure.arm('PUT', azure.clusterPath('c1'), { body });
  };
  const poolsOf = async () => ((await read()).agentPoolProfiles ?? []) as unknown as Record<string, unknown>[];
  /** The pools as they are, but for the version of all, or of one. */
  const poolsAt = async (version: string, name?: string) =>
    (await poolsOf()).map((pool) =>
      name === undefined || pool['name'] === name ? { ...pool, orchestratorVersion: version } : pool,
    );
  const putPool = (name: string, properties: Record<string, unknown>): Promise<RawAnswer> =>
    azure.arm('PUT', `${azure.clusterPath('c1')}/agentPools/${name}`, { body: { properties } });
  /** What runs: the control plane, then each pool. */
  const versions = async () => [
    (await read()).currentKubernetesVersion,
    ...(await poolsOf()).map((pool) => pool['currentOrchestratorVersion']),
  ];
  const kms = (profile: Record<string, unknown>) => ({ securityProfile: { azureKeyVaultKms: profile } });
  const codeOf = ({ status, body }: RawAnswer): unknown => [status, body['code']];

  describe('take from tags at their creation', () => {
    it('how many API servers there are and how KMS v1 providers are named', async () => {
      await create('1.26', { tags: { 'sandbox-api-servers': '3', 'sandbox-kms-provider-names': 'shared', env: 'x' } });
      expect(azure.clusters[0]?.options).toMatchObject({ apiServers: 3, kmsProviderNames: 'shared' });
      expect((await read()).tags).toEqual({
        'sandbox-api-servers': '3',
        'sandbox-kms-provider-names': 'shared',
        env: 'x',
      });
    });

    it('nothing when there are none, and nothing later', async () => {
      await create('1.34');
      await create('1.34', { tags: { 'sandbox-api-servers': 'many' } });
      expect(azure.clusters).toHaveLength(1);
      expect(azure.clusters[0]?.options).toMatchObject({ apiServers: 1, kmsProviderNames: 'per-key' });
    });

    it.each<[Record<string, string>, RegExp]>([
      [{ 'sandbox-api-servers': '6' }, /sandbox-api-servers of a sandbox cluster must be "1" to "5"/],
      [{ 'sandbox-api-servers': '' }, /must be "1" to "5"/],
      [{ 'sandbox-kms-provider-names': 'one' }, /must be "per-key" or "shared"/],
      [{ 'sandbox-kms-provider-names': 'shared' }, /for KMS v1 only, which ends before Kubernetes 1.27/],
    ])('no wrong value: %j', async (tags, message) => {
      await expect(create('1.27', { tags })).rejects.toMatchObject({
        statusCode: 400,
        code: 'SandboxTagNotValid',
        message: expect.stringMatching(message),
      });
      expect(azure.clusters).toEqual([]);
    });
  });

  describe('are upgraded', () => {
    it('to the next minor, which shows when it is done, agent pools included where the PUT says so', async () => {
      await create('1.26');
      azure.sandbox.faults.set('hold-operation');
      const accepted = await put({ kubernetesVersion: '1.27', agentPoolProfiles: await poolsAt('1.27.3') });
      expect(accepted.status).toBe(200);
      expect(await read()).toMatchObject({
        kubernetesVersion: '1.27',
        currentKubernetesVersion: '1.26.15',
        agentPoolProfiles: [{ orchestratorVersion: '1.27.3', currentOrchestratorVersion: '1.26.15' }],
      });
      azure.sandbox.faults.clear('hold-operation');
      expect(await azure.poll(accepted)).toMatchObject({ status: 'Succeeded' });
      expect(azure.clusters[0]?.events).toEqual(['upgrade to 1.27']);
      expect(await read()).toMatchObject({
        kubernetesVersion: '1.27',
        currentKubernetesVersion: '1.27.3',
        agentPoolProfiles: [{ orchestratorVersion: '1.27.3', currentOrchestratorVersion: '1.27.3' }],
      });
      // The same again changes nothing, and KMS can be enabled now.
      expect(await azure.poll(await put({ kubernetesVersion: '1.27.3' }))).toMatchObject({ status: 'Succeeded' });
      const enabled = await put(kms({ enabled: true, keyId, keyVaultNetworkAccess: 'Public' }));
      expect(await azure.poll(enabled)).toMatchObject({ status: 'Succeeded' });
      expect(azure.clusters[0]?.events).toEqual(['upgrade to 1.27']);
      expect(azure.clusters[0]?.states.at(-1)).toEqual({ write: 'kms', slots: [keyId] });
    });

    it('without their agent pools, which are upgraded one by one, in the cluster or as resources of their own', async () => {
      await create('1.26');
      await azure.poll(await putPool('np2', { count: 2, mode: 'User', orchestratorVersion: '1.26.15' }));
      await azure.poll(await put({ kubernetesVersion: '1.27.3' }));
      expect(await versions()).toEqual(['1.27.3', '1.26.15', '1.26.15']);

      await azure.poll(await put({ agentPoolProfiles: await poolsAt('1.27.3', 'nodepool1') }));
      expect(await versions()).toEqual(['1.27.3', '1.27.3', '1.26.15']);
      azure.sandbox.faults.set('hold-operation');
      const etag = (await read()).eTag;
      const accepted = await putPool('np2', { count: 2, mode: 'User', orchestratorVersion: '1.27.3' });
      expect(accepted).toMatchObject({ status: 200, body: { name: 'np2' } });
      expect(codeOf(await putPool('nodepool1', {}))).toEqual([409, 'OperationNotAllowed']);
      expect(await versions()).toEqual(['1.27.3', '1.27.3', '1.26.15']);
      azure.sandbox.faults.clear('hold-operation');
      await azure.poll(accepted);
      expect(await versions()).toEqual(['1.27.3', '1.27.3', '1.27.3']);
      // A change of a pool changes the pool's etag, not the cluster's.
      expect((await read()).eTag).toBe(etag);
      expect(azure.clusters[0]?.events).toEqual(['upgrade to 1.27']);
      const { body } = await azure.arm('GET', `${azure.clusterPath('c1')}/agentPools`);
      expect(body['value']).toMatchObject([
        { name: 'nodepool1', properties: { currentOrchestratorVersion: '1.27.3' } },
        { name: 'np2', properties: { currentOrchestratorVersion: '1.27.3', count: 2 } },
      ]);
      const profile = await azure.arm('GET', `${azure.clusterPath('c1')}/upgradeProfiles/default`);
      expect(profile.body['properties']).toMatchObject({ controlPlaneProfile: { kubernetesVersion: '1.27.3' } });
    });

    it('with pools that are neither newer than the control plane, nor too old for it, nor taken back', async () => {
      await create('1.26');
      const newer = await putPool('nodepool1', { orchestratorVersion: '1.27.3' });
      expect(codeOf(newer)).toEqual([400, 'NodePoolMcVersionIncompatible']);
      expect(codeOf(await put({ agentPoolProfiles: await poolsAt('1.27.3') }))).toEqual([
        400,
        'NodePoolMcVersionIncompatible',
      ]);
      await azure.poll(await put({ kubernetesVersion: '1.27.3', agentPoolProfiles: await poolsAt('1.27.3') }));
      expect(codeOf(await putPool('nodepool1', { orchestratorVersion: '1.26.15' }))).toEqual([
        400,
        'SandboxDowngradeNotAllowed',
      ]);
      const parameters = azure.clusterParameters(identityId, undefined, '1.34');
      const old = { ...parameters, agentPoolProfiles: [{ name: 'np1', count: 1, orchestratorVersion: '1.27.3' }] };
      await expect(azure.containers.managedClusters.createOrUpdate(GROUP, 'c2', old, FAST)).rejects.toMatchObject({
        code: 'SandboxPoolTooOld',
      });
      expect(await versions()).toEqual(['1.27.3', '1.27.3']);
    });

    it('not when the API servers do not get ready; then it can be tried again', async () => {
      await create('1.26');
      const [cluster] = azure.clusters;
      if (cluster !== undefined) cluster.failNext = new Error('kube-apiserver 1.27 was not ready');
      expect(await azure.poll(await put({ kubernetesVersion: '1.27' }))).toMatchObject({ status: 'Failed' });
      expect(await read()).toMatchObject({ provisioningState: 'Failed', currentKubernetesVersion: '1.26.15' });
      expect(await azure.poll(await put({ kubernetesVersion: '1.27' }))).toMatchObject({ status: 'Succeeded' });
      expect(await read()).toMatchObject({ currentKubernetesVersion: '1.27.3' });
    });

    it('neither downwards nor past a minor', async () => {
      await create('1.27');
      const down = await put({ kubernetesVersion: '1.26' });
      expect(codeOf(down)).toEqual([400, 'SandboxDowngradeNotAllowed']);
      const skip = await put({ kubernetesVersion: '1.34' });
      expect(codeOf(skip)).toEqual([400, 'SandboxUpgradeSkipsMinor']);
      expect(skip.body['message']).toContain('The next minor after 1.27 is 1.28.');
    });

    it('not past KMS v1 while it is on, and not together with a change of KMS', async () => {
      await create('1.26', { kms: true });
      const on = await put({ kubernetesVersion: '1.27' });
      expect(codeOf(on)).toEqual([400, 'SandboxUpgradeBlockedByKmsV1']);
      // A patch that the sandbox does not run: what AKS would say comes first.
      expect(codeOf(await put({ kubernetesVersion: '1.27.1' }))).toEqual([400, 'SandboxUpgradeBlockedByKmsV1']);
      expect(on.body['message']).toContain('Disable KMS, rewrite all Secrets, upgrade, then enable KMS again.');
      const both = await put({ kubernetesVersion: '1.27', ...kms({ enabled: false }) });
      expect(codeOf(both)).toEqual([400, 'SandboxUpgradeNotAlone']);
      await azure.poll(await put(kms({ enabled: false })));
      expect(await azure.poll(await put({ kubernetesVersion: '1.27' }))).toMatchObject({ status: 'Succeeded' });
      expect(azure.clusters[0]?.events).toEqual(['upgrade to 1.27']);
    });
  });
});
