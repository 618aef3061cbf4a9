import { describe, expect, it } from '@jest/globals';
import { clusterLockId, kmsKeyId, metricsKeyIdHash, parseClusterId, parseKeyId } from '../../domain/resource-ids';

const KID = 'https://kv1.vault.azure.net/keys/k1/95a76f34842c4fcf9e2cc929e38359c0';
const CLUSTER =
  '/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/rg/providers/Microsoft.ContainerService/managedClusters/aks1';

describe('a key id', () => {
  it('is read with its vault, name, version and cloud', () => {
    expect(parseKeyId(KID)).toMatchObject({ vaultName: 'kv1', name: 'k1', kid: KID, cloud: { name: 'AzureCloud' } });
    expect(parseKeyId(KID.replace('azure.net', 'azure.cn'))).toMatchObject({ cloud: { name: 'AzureChinaCloud' } });
  });

  it.each([
    ['without a version', 'https://kv1.vault.azure.net/keys/k1', /no version/],
    ['of another host', 'https://example.com/keys/k1/95a76f34842c4fcf9e2cc929e38359c0', /host/],
    [
      'of a host that only ends alike',
      'https://kv1.evilvault.azure.net/keys/k/95a76f34842c4fcf9e2cc929e38359c0',
      /host/,
    ],
    [
      'of a Managed HSM',
      'https://hsm1.managedhsm.azure.net/keys/k1/95a76f34842c4fcf9e2cc929e38359c0',
      /key of a Managed HSM, which KMS of AKS does not take/,
    ],
    ['with a port', KID.replace('.net', '.net:8443'), /port/],
    ['with a query', `${KID}?x=1`, /query/],
    ['over http', KID.replace('https', 'http'), /https/],
    ['of a secret', KID.replace('/keys/', '/secrets/'), /path/],
    ['that is no URL', 'k1', /URL/],
  ])('%s is refused with a sentence', (_what, text, fault) => {
    expect(parseKeyId(text)).toMatchObject({ fault: expect.stringMatching(fault) });
  });

  it('hashes to what the KMS v2 plugin and the metrics of kube-apiserver show', () => {
    // printf %s "$KID" | sha256sum, and sha256sum of that text
    expect(kmsKeyId(KID)).toBe('c193ea8477b34df7cdb01524fa272af62526c5226fff5be070b5647039480831');
    expect(metricsKeyIdHash(KID)).toBe('sha256:6798a53b78190a6dc80a72255f7c7b79971a3f515ac9d97a60f1c9fd43662930');
  });
});

describe('a cluster id', () => {
  it('is read in any casing and written in the documented one', () => {
    expect(parseClusterId(CLUSTER.replace('resourceGroups', 'resourcegroups'))?.resourceId).toBe(CLUSTER);
  });

  it.each([CLUSTER.slice(1), `${CLUSTER}/agentPools/np`, CLUSTER.replace('11111111-', ''), 'aks1', ''])(
    '"%s" is refused',
    (text) => {
      expect(parseClusterId(text)).toBeUndefined();
    },
  );

  it('has one lock, however it is spelled', () => {
    expect(clusterLockId(CLUSTER.toUpperCase())).toBe(clusterLockId(CLUSTER));
    expect(clusterLockId(CLUSTER.replace('aks1', 'aks2'))).not.toBe(clusterLockId(CLUSTER));
  });
});
