/** API servers that restart while a key is replaced and retired: each must find the keys that it needs. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startDirectedService, type DirectedService } from '../support/directed-service';
import { ask, otherKeys, pass, restart, valuesNow } from '../support/retirement';
import { makeCluster, people } from '../support/stack';

const SECRETS = 6;
/** A restart of every API server before each step, on a busy machine. */
const LIMIT_IN_MS = 600_000;

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
