/** What ARM offers and lists: upgrade profiles, and every cluster in every subscription. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { ArmClient } from '../../azure/arm';
import { createArmClient } from '../../azure/arm';
import { listEverywhere } from '../../azure/cluster-list';
import { createCredential } from '../../azure/credentials';
import { createHttpClient } from '../../azure/http-client';
import { upgradeProfileOf } from '../../azure/upgrade-profile';
import { isApplied, type ClusterChange } from '../../domain/cluster-change';
import { GROUP } from '../sandbox/azure-support';
import { AzureRig, PUBLIC_CLOUD } from './support';

const FAST = { updateIntervalInMs: 5 };
const VERSION = '2026-04-01';

describe('what Azure lists', () => {
  let rig: AzureRig;
  let arm: ArmClient;

  beforeAll(async () => {
    rig = await AzureRig.start();
    const http = createHttpClient();
    arm = createArmClient(PUBLIC_CLOUD, createCredential(PUBLIC_CLOUD, http), http);
    const { managedClusters } = rig.azure.containers;
    const make = (name: string, key: string | undefined, version: string) =>
      managedClusters.createOrUpdate(GROUP, name, rig.azure.clusterParameters(rig.identity(), key, version), FAST);
    await make('old', rig.key, '1.26');
    await make('plain', undefined, '1.27');
    await make('disabled', rig.key, '1.34');
    const parameters = await managedClusters.get(GROUP, 'disabled');
    await managedClusters.createOrUpdate(
      GROUP,
      'disabled',
      { ...parameters, securityProfile: { azureKeyVaultKms: { enabled: false, keyId: rig.key } } },
      FAST,
    );
  });
  afterAll(() => rig.stop());

  const idOf = (name: string): string =>
    `/subscriptions/${rig.azure.sandbox.subscriptionId}${rig.azure.clusterPath(name)}`;
  /** ARM as it is, but for what a test changes in some answers. */
  const changed = (change: (url: string, body: Record<string, unknown>) => Record<string, unknown>): ArmClient => ({
    ...arm,
    request: async (request) => {
      const response = await arm.request(request);
      return { ...response, body: change(request.url, response.body as Record<string, unknown>) };
    },
  });
  const refusedEverywhere = (text: string): unknown[] => {
    const { subscriptionId, otherSubscriptionId } = rig.azure.sandbox;
    const why: unknown = expect.stringContaining(text);
    return [subscriptionId, otherSubscriptionId].map((id) => ({ subscriptionId: id, why }));
  };
  const isClusterList = (url: string): boolean => url.includes('/managedClusters?');

  it('to upgrade to: the next minor, for the control plane and for each pool', async () => {
    const profile = await rig.access.clusters.upgradeProfile(idOf('old'));
    expect(profile.current).toBe('1.26.15');
    expect(profile.offered.length).toBeGreaterThan(0);
    expect(profile.offered.every((version) => version.startsWith('1.27.'))).toBe(true);
    expect(profile.pools).toEqual([{ name: 'nodepool1', version: '1.26.15', offered: profile.offered }]);
    expect(await rig.access.clusters.upgradeProfile(idOf('disabled'))).toEqual({
      current: '1.34.1',
      offered: [],
      pools: [{ name: 'nodepool1', version: '1.34.1', offered: [] }],
    });
    await expect(rig.access.clusters.upgradeProfile(idOf('none'))).rejects.toMatchObject({ status: 404 });
  });

  it('to upgrade to, without previews, in the order of versions', () => {
    const upgrades = [
      { kubernetesVersion: '1.28.10', isPreview: false },
      { kubernetesVersion: '1.28.9' },
      { kubernetesVersion: '1.29.0', isPreview: true },
      { kubernetesVersion: '1.28.9', isPreview: false },
    ];
    const pool = (name: string, more: object) => ({ name, kubernetesVersion: '1.27.3', osType: 'Linux', ...more });
    const properties = {
      controlPlaneProfile: { kubernetesVersion: '1.27.3', osType: 'Linux', upgrades },
      agentPoolProfiles: [pool('np2', { upgrades: null }), pool('np1', { upgrades })],
    };
    expect(upgradeProfileOf({ properties })).toEqual({
      current: '1.27.3',
      offered: ['1.28.9', '1.28.10'],
      pools: [
        { name: 'np1', version: '1.27.3', offered: ['1.28.9', '1.28.10'] },
        { name: 'np2', version: '1.27.3', offered: [] },
      ],
    });
  });

  it('is changed by one PUT for the control plane and one for each pool, each seen when it runs', async () => {
    const { clusters } = rig.access;
    const change = async (to: ClusterChange): Promise<void> => {
      const { operationUrl = '' } = await clusters.putChange(await clusters.read(idOf('disabled-v1')), to);
      while ((await clusters.operation(operationUrl)).status === 'InProgress') await new Promise(setImmediate);
      expect(isApplied((await clusters.read(idOf('disabled-v1'))).observed, to)).toBe(true);
    };
    const parameters = rig.azure.clusterParameters(rig.identity(), undefined, '1.26');
    await rig.azure.containers.managedClusters.createOrUpdate(
      GROUP,
      'disabled-v1',
      { ...parameters, agentPoolProfiles: ['np2', 'np1'].map((name) => ({ name, count: 1 })) },
      FAST,
    );
    const pool = (name: string, version: string) => ({
      name,
      version,
      wantedVersion: version,
      count: 1,
      mode: 'System',
    });
    await change({ type: 'control-plane-version', to: '1.27.3' });
    expect((await clusters.read(idOf('disabled-v1'))).observed).toMatchObject({
      kubernetesVersion: '1.27.3',
      wantedKubernetesVersion: '1.27.3',
      agentPools: [pool('np1', '1.26.15'), pool('np2', '1.26.15')],
    });
    await change({ type: 'pool-version', pool: 'np2', to: '1.27.3' });
    expect((await clusters.read(idOf('disabled-v1'))).observed.agentPools).toEqual([
      pool('np1', '1.26.15'),
      pool('np2', '1.27.3'),
    ]);
    const snapshot = await clusters.read(idOf('disabled-v1'));
    await expect(
      clusters.putChange(snapshot, { type: 'pool-version', pool: 'np9', to: '1.27.3' }),
    ).rejects.toMatchObject({ code: 'AgentPoolMissing', retryable: false });
    rig.azure.sandbox.faults.set('refuse-put', {
      path: 'disabled-v1',
      body: { code: 'NodeImageTooOld', message: 'Upgrade the node image first.' },
    });
    await expect(
      clusters.putChange(snapshot, { type: 'pool-version', pool: 'np1', to: '1.27.3' }),
    ).rejects.toMatchObject({ status: 400, code: 'NodeImageTooOld', message: 'Upgrade the node image first.' });
    await change({ type: 'pool-version', pool: 'np1', to: '1.27.3' });
    await rig.azure.containers.managedClusters.delete(GROUP, 'disabled-v1', FAST);
  });

  it('of clusters: all of them, over as many pages as there are, with the key that each names', async () => {
    const { clusters, refused } = await rig.access.clusters.listEverywhere();
    expect(refused).toEqual([]);
    const sorted = [...clusters].sort((a, b) => (a.resourceId < b.resourceId ? -1 : 1));
    expect(sorted).toEqual([
      { resourceId: idOf('c1'), kms: { enabled: true, keyId: rig.key, networkAccess: 'Public' } },
      { resourceId: idOf('disabled'), kms: { enabled: false, keyId: rig.key } },
      { resourceId: idOf('old'), kms: { enabled: true, keyId: rig.key, networkAccess: 'Public' } },
      { resourceId: idOf('plain'), kms: { enabled: false } },
    ]);
  });

  it('of clusters, at a link to a stranger, is not whole, and the stranger is not asked', async () => {
    const stranger = 'https://management.azure.com.evil.test/subscriptions';
    const asked: string[] = [];
    const lists = changed((url, body) => {
      asked.push(url);
      return isClusterList(url) ? { ...body, nextLink: stranger } : body;
    });
    expect(await listEverywhere(lists, VERSION)).toEqual({
      clusters: [],
      refused: refusedEverywhere("not ARM's"),
    });
    expect(asked).not.toContain(stranger);
    const subscriptions = changed((_url, body) => ({ ...body, nextLink: stranger }));
    await expect(listEverywhere(subscriptions, VERSION)).rejects.toMatchObject({ code: 'ListNotUnderstood' });
  });

  it('of clusters, in a subscription that refuses, is not whole', async () => {
    rig.azure.sandbox.faults.set('refuse-list', { path: `/subscriptions/${rig.azure.sandbox.subscriptionId}/` });
    expect(await rig.access.clusters.listEverywhere()).toEqual({
      clusters: [],
      refused: [
        {
          subscriptionId: rig.azure.sandbox.subscriptionId,
          why: expect.stringContaining('HTTP 403, AuthorizationFailed'),
        },
      ],
    });
    rig.azure.sandbox.faults.clear('refuse-list');
  });

  it('of clusters, in an unknown form, is not whole', async () => {
    const { refused } = await listEverywhere(
      changed((url, body) => (isClusterList(url) ? { value: [{ id: 1 }] } : body)),
      VERSION,
    );
    expect(refused).toEqual(refusedEverywhere('does not know'));
  });

  it('of clusters, when Azure cannot say now, is asked for again by the caller', async () => {
    rig.azure.sandbox.faults.set('throttle', { requests: 1 });
    await expect(rig.access.clusters.listEverywhere()).rejects.toMatchObject({ status: 429, retryable: true });
    await expect(rig.access.clusters.listEverywhere()).resolves.toMatchObject({ refused: [] });
  });
});
