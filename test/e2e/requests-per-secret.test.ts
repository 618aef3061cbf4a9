/**
 * How many requests about Secrets a whole operation costs the API servers, as they count them themselves.
 *
 * An operation also has costs that do not depend on the number of Secrets: canaries, the rehearsal, one page of a list for many
 * Secrets. So the same operation is counted at two sizes: what the additional Secrets cost is compared with the bound, and
 * what is left has a bound of its own.
 */
import { describe, expect, it } from '@jest/globals';
import { countByKey, readSecretRecords } from '../../sandbox/cluster/raw-records';
import { askForRotation, control, ended, makeCluster, people } from '../support/stack';

const FEW = 100;
const MORE = 1_000;
/**
 * Whatever the size: some 55 patches of canaries, their creation and deletion, the rehearsal, two lists at least for each pass, the
 * informers of a new API server. Together some 85; each second of waiting for an API server adds three probes.
 */
const MOST_FIXED = 200;

const total = (counts: Readonly<Record<string, number>>): number =>
  Object.values(counts).reduce((sum, count) => sum + count, 0);

describe('the requests of a rotation whose current key is proven', () => {
  it.each([
    { kubernetesVersion: '1.34', atMost: 2.1 },
    { kubernetesVersion: '1.27', atMost: 1.1 },
  ])('are $atMost per Secret at most on $kubernetesVersion', async ({ kubernetesVersion, atMost }) => {
    const { requester, approver1 } = people();
    const name = `requests-${kubernetesVersion.replace('.', '-')}`;
    const cluster = await makeCluster(name, { count: FEW }, { kubernetesVersion });
    const rotate = async (secrets: number): Promise<number> => {
      const before = await control().secretRequests(name);
      const asked = await askForRotation(requester, cluster.resourceId);
      await approver1.approve(asked.id, asked.plan?.digest ?? '');
      const over = await ended(requester, asked.id);
      expect(over).toMatchObject({ status: 'Succeeded', result: { rewrite: { rewritten: secrets } } });
      const newKeyId = over.result?.currentKeyId ?? '';
      expect(await countByKey(readSecretRecords(cluster.etcd), { newKeyId })).toMatchObject({ newKey: secrets });
      return total(await control().secretRequests(name)) - total(before);
    };
    // Nothing is known of the first key: this one proves it.
    await rotate(FEW);
    const few = await rotate(FEW);
    await control().seed(name, { count: MORE, namespaces: ['more'] });
    const more = await rotate(FEW + MORE);
    const perSecret = (more - few) / MORE;
    expect(perSecret).toBeLessThanOrEqual(atMost);
    // Each Secret is patched once, at least.
    expect(perSecret).toBeGreaterThanOrEqual(1);
    expect(few - perSecret * FEW).toBeLessThanOrEqual(MOST_FIXED);
  });
});
