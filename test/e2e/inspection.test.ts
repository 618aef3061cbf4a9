/** What an inspection says of a real cluster, before and after an operation, and when its key is taken away. */
import { beforeAll, describe, expect, it } from '@jest/globals';
import { clusterWrites } from '../../launch/sandbox-control';
import type { SandboxClusterFacts } from '../../launch/sandbox-cluster';
import { setEnabled } from '../support/retirement';
import { askForRotation, control, ended, makeCluster, people } from '../support/stack';

describe('an inspection', () => {
  const { requester, approver1, reader } = people();
  let cluster: SandboxClusterFacts;
  beforeAll(async () => {
    cluster = await makeCluster('inspected', { count: 5 });
  });

  it('names what is not proven, then both slots, then the key that is disabled; it writes nothing', async () => {
    const writes = clusterWrites(await control().journal(), cluster.resourceId);
    expect(await reader.encryption(cluster.resourceId)).toMatchObject({
      slots: { current: { keyId: cluster.keyId, state: 'usable' }, previousKnown: false },
      identity: { mayUseKey: 'yes' },
      proven: false,
      generations: null,
      vaultLoad: { apiServers: 1, limitPerTenSeconds: 4000 },
      findings: [{ code: 'NotProven', repair: 'rewrite-secrets' }, { code: 'PreviousSlotUnknown' }],
    });
    expect(clusterWrites(await control().journal(), cluster.resourceId)).toBe(writes);

    const asked = await askForRotation(requester, cluster.resourceId);
    await approver1.approve(asked.id, asked.plan?.digest ?? '');
    const { result } = await ended(requester, asked.id);
    expect(await reader.encryption(cluster.resourceId)).toMatchObject({
      slots: { current: { keyId: result?.currentKeyId }, previous: { keyId: cluster.keyId }, previousKnown: true },
      proven: true,
      keysNeeded: [cluster.keyId, result?.currentKeyId],
      findings: [],
    });

    await setEnabled(cluster.keyId, false);
    const { findings } = await reader.encryption(cluster.resourceId);
    await setEnabled(cluster.keyId, true);
    // Whether an API server has noticed depends on when it asked last: KMS v2 keeps a good status for 20 s.
    expect(findings.filter(({ code }) => code !== 'KmsUnhealthy')).toMatchObject([
      { code: 'KeyUnusable', detail: expect.stringContaining('is disabled'), repair: 'recover-key' },
    ]);
  });

  it('of a cluster that is not there says so', async () => {
    await expect(reader.encryption(`${cluster.resourceId}x`)).rejects.toMatchObject({ code: 'ClusterNotFound' });
  });
});
