/** What happens to a key while its retirement waits, and vaults and clusters that keep it from being retired: found before anything is lost. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { clusterWrites } from '../../launch/sandbox-control';
import { grantByHand, powerByHand, setKeyByHand } from '../support/by-hand';
import { startDirectedService, type DirectedService } from '../support/directed-service';
import {
  ask,
  blocked,
  enabledNow,
  nameOf,
  otherKeys,
  pass,
  replaced,
  restart,
  setEnabled,
  valuesNow,
} from '../support/retirement';
import { control, ended, makeCluster, people, testStack } from '../support/stack';
import { keyVersions } from '../support/vault';

const SECRETS = 6;
/** A restart of every API server before each step, on a busy machine. */
const LIMIT_IN_MS = 600_000;

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

describe('in the soak', () => {
  let service: DirectedService;
  let by: ReturnType<typeof people>;
  beforeAll(async () => {
    service = await startDirectedService('retire-soak-found');
    by = people(service.apiUrl);
  });
  afterAll(() => service.stop());

  it('a key version that a cluster takes for a while is found, and a cluster that is restored; nothing is deleted', async () => {
    const { requester } = by;
    const cluster = await makeCluster('soaked', { count: SECRETS });
    const other = await makeCluster('soaked-other', { count: 2 });
    await grantByHand(other, { name: 'kv-soaked', permissions: 'access-policy' });

    const disabling = service.hold('disableKeyVersion');
    const asked = await replaced(by, cluster, 1);
    await disabling.held();
    const looking = service.hold('checkKeyUnused');
    disabling.release();
    await looking.held();
    expect(await enabledNow(cluster.keyId)).toBe(false);
    await setEnabled(cluster.keyId, true);
    await setKeyByHand(other, cluster.keyId);
    looking.release();
    expect((await blocked(requester, asked.id)).reason).toMatchObject({ code: 'KeyInUse' });

    // Secrets of the other cluster may be under the key now, and nothing shows it: Azure reports its own key again.
    await setKeyByHand(other, other.keyId);
    await requester.retry(asked.id);
    expect(await blockedBy(asked.id, 'KeyNotDisabled')).toMatch(/was enabled again.* Nothing was deleted/);
    await setEnabled(cluster.keyId, false);
    await requester.retry(asked.id);
    expect(await blockedBy(asked.id, 'KeyNotDisabled', /may have been enabled for a while/)).toMatch(/retire-key/);
    await requester.cancel(asked.id);
    expect(await ended(requester, asked.id)).toMatchObject({ status: 'Canceled' });
    await setEnabled(cluster.keyId, true);

    const before = await control().snapshot(nameOf(cluster));
    const again = service.hold('disableKeyVersion');
    const retiring = await ask(requester, cluster, 'retire-key', { keyId: cluster.keyId, soakInSeconds: 1 });
    await pass(by, retiring, 'approve');
    await again.held();
    const lookingAgain = service.hold('checkKeyUnused');
    again.release();
    await lookingAgain.held();
    await control().restore(nameOf(cluster), before);
    lookingAgain.release();
    expect((await blocked(requester, retiring.id)).reason).toMatchObject({ code: 'ResourceVersionWentBackwards' });
    await requester.cancel(retiring.id);
    await ended(requester, retiring.id);
    expect(await enabledNow(cluster.keyId)).toBe(false);
    await setEnabled(cluster.keyId, true);
    expect((await valuesNow(cluster)).size).toBe(SECRETS);
  });

  async function blockedBy(id: string, code: string, detail = /./): Promise<string> {
    for (;;) {
      const { reason } = await blocked(by.requester, id);
      if (reason?.code === code && detail.test(reason.detail)) return reason.detail;
    }
  }
});

describe('a restart of every API server', () => {
  let service: DirectedService;
  beforeAll(async () => {
    service = await startDirectedService('retire-restarts');
  });
  afterAll(() => service.stop());

  it(
    'loses no Secret at any prefix of the plan of replace-key',
    async () => {
      const by = people(service.apiUrl);
      const cluster = await makeCluster('restarted', { count: SECRETS });
      const values = await valuesNow(cluster);
      const steps = service.holdSteps();
      const asked = await ask(by.requester, cluster, 'replace-key', {
        ...(await otherKeys(cluster)),
        soakInSeconds: 0,
      });
      await pass(by, asked, 'approve');
      const restartedAt: string[] = [];
      for (;;) {
        const now = await by.requester.get(asked.id, 1);
        if (now.status === 'Blocked') throw new Error(now.progressText);
        if (now.evidence !== null) break;
        if (now.status === 'AwaitingApproval') await pass(by, asked, 'approve-deletion');
        const step = steps.heldAt();
        if (step === null) continue;
        await restart(cluster);
        expect(await valuesNow(cluster)).toEqual(values);
        restartedAt.push(step);
        steps.pass(step);
      }
      expect(await by.requester.get(asked.id, 0)).toMatchObject({ status: 'Succeeded' });
      const withActivity = asked.plan?.steps.filter(({ type }) => type !== 'gate' && type !== 'soak') ?? [];
      expect(restartedAt).toEqual(withActivity.map(({ id }) => id));
      await restart(cluster);
      expect(await valuesNow(cluster)).toEqual(values);
    },
    LIMIT_IN_MS,
  );
});

describe('a vault that refuses to disable a key', () => {
  afterEach(() => control().clearFault('vault-forbidden'));

  it('blocks the operation with the right that is missing; a retry goes on when it is given', async () => {
    const by = people();
    const cluster = await makeCluster('undisabled', { count: 2 });
    await control().setFault('vault-forbidden', { permission: 'update', path: 'kv-undisabled' });
    const asked = await replaced(by, cluster, 0);
    const { reason } = await blocked(by.requester, asked.id);
    expect(reason).toMatchObject({
      code: 'DeleteKeyRefused',
      detail: expect.stringMatching(/stays enabled\. Give .*vaults\/keys\/update .*Key Vault Crypto Officer.*retry/),
    });
    expect(await enabledNow(cluster.keyId)).toBe(true);
    await control().clearFault('vault-forbidden');
    await by.requester.retry(asked.id);
    expect(await ended(by.requester, asked.id)).toMatchObject({ status: 'Succeeded' });
  });
});
