/** Azure changes the cluster for somebody else, at the worst moment: the operation waits, and what was approved is not lost. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { SandboxClusterFacts } from '../../launch/sandbox-cluster';
import { tagByHand } from '../support/by-hand';
import { startDirectedService, type DirectedService } from '../support/directed-service';
import { askForRotation, control, ended, makeCluster, people, until } from '../support/stack';

describe('a cluster that Azure begins to change between the rules and the plan', () => {
  let service: DirectedService;
  let cluster: SandboxClusterFacts;

  beforeAll(async () => {
    [cluster, service] = await Promise.all([
      makeCluster('busy-plan', { count: 10 }),
      startDirectedService('busy-plan'),
    ]);
  });
  afterAll(() => service.stop());
  afterEach(() => control().clearFault('hold-operation'));

  it('is waited for, and the approved plan is executed without another approval', async () => {
    const { requester, approver1 } = people(service.apiUrl);
    const asked = await askForRotation(requester, cluster.resourceId);
    const planning = service.hold('makePlan');
    await approver1.approve(asked.id, asked.plan?.digest ?? '');
    await planning.held();
    // The rules are checked and the census is taken; now somebody changes the tags, and Azure takes its time.
    await control().setFault('hold-operation', { path: '/managedclusters/busy-plan' });
    await tagByHand(cluster, { owner: 'somebody' });
    planning.release();

    const waits = await until(requester, asked.id, ({ waitingFor }) => waitingFor?.includes('Updating') ?? false);
    expect(waits.offers).toContain('cancel');
    await control().clearFault('hold-operation');
    expect(await ended(requester, asked.id)).toMatchObject({ status: 'Succeeded', planRevision: 1 });
  });
});
