/** What happens to a key while its retirement waits, and a vault that keeps it from being retired: found before anything is lost. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { grantByHand, setKeyByHand } from '../support/by-hand';
import { startDirectedService, type DirectedService } from '../support/directed-service';
import { ask, blocked, enabledNow, nameOf, pass, replaced, setEnabled, valuesNow } from '../support/retirement';
import { control, ended, makeCluster, people } from '../support/stack';

const SECRETS = 6;

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
