/** A key that other clusters need, and those that keep it from being retired: found before anything is lost. */
import { describe, expect, it } from '@jest/globals';
import { clusterWrites } from '../../launch/sandbox-control';
import { grantByHand, powerByHand, setKeyByHand } from '../support/by-hand';
import { ask, otherKeys, pass } from '../support/retirement';
import { control, ended, makeCluster, people, testStack } from '../support/stack';
import { keyVersions } from '../support/vault';

describe('a key that other clusters need', () => {
  it('is not retired: by ARM in another subscription, or by a ledger; what Keyturn cannot read is a warning', async () => {
    const { requester } = people();
    const cluster = await makeCluster('needed', { count: 2 });
    const byArm = await makeCluster('needed-arm', { count: 0 }, { subscription: 'other' });
    const byLedger = await makeCluster('needed-ledger', { count: 2 });
    for (const other of [byArm, byLedger]) {
      await grantByHand(other, { name: 'kv-needed', permissions: 'access-policy' });
      await setKeyByHand(other, cluster.keyId);
    }
    const adopting = await ask(requester, byLedger, 'rewrite-secrets');
    await pass(people(), adopting, 'approve');
    await ended(requester, adopting.id);
    await setKeyByHand(byLedger, byLedger.keyId);

    const keys = await otherKeys(cluster);
    const before = clusterWrites(await control().journal(), cluster.resourceId);
    expect(await ask(requester, cluster, 'replace-key', keys)).toMatchObject({
      status: 'Failed',
      reason: {
        code: 'KeyInUse',
        // In the order of their ids, which begin with the subscription's.
        detail: expect.stringMatching(/(?=.*needed-arm \(its KMS key\))(?=.*needed-ledger \(by its ledger\))/),
      },
    });
    expect(clusterWrites(await control().journal(), cluster.resourceId)).toBe(before);
    expect(await keyVersions(cluster.keyId)).toEqual([{ keyId: cluster.keyId, enabled: true }]);

    await setKeyByHand(byArm, byArm.keyId);
    const { otherSubscriptionId } = testStack().sandbox;
    // Not by a refused kubeconfig: the worker keeps those that it has for some minutes.
    await powerByHand(byLedger, 'stop');
    const asked = await ask(requester, cluster, 'replace-key', keys);
    expect(asked.plan?.warnings).toContainEqual(
      expect.objectContaining({ code: 'KeyUsersUnseen', detail: expect.stringContaining('needed-ledger') }),
    );
    await requester.cancel(asked.id);
    await ended(requester, asked.id);

    await control().setFault('refuse-list', { path: `/subscriptions/${otherSubscriptionId}/` });
    const unlisted = await ask(requester, cluster, 'replace-key', keys);
    await control().clearFault('refuse-list');
    expect(unlisted.plan?.warnings).toContainEqual(
      expect.objectContaining({ code: 'KeyUsersUnseen', detail: expect.stringContaining(otherSubscriptionId) }),
    );
    await requester.cancel(unlisted.id);
    await ended(requester, unlisted.id);
  });
});
