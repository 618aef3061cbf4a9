/** Keys that are replaced and retired, on the real parts: judged by the vault, by raw etcd, and by API servers that were restarted. */
import { afterAll, describe, expect, it } from '@jest/globals';
import { mustParseKeyId } from '../../domain/resource-ids';
import type { Service } from '../../launch/service';
import { countByKey, readSecretRecords } from '../../sandbox/cluster/raw-records';
import { ask, at, enabledNow, pass, replaced, restart, setEnabled, valuesNow } from '../support/retirement';
import { ended, makeCluster, openTemporal, people, startOwnService } from '../support/stack';
import { keyClient, keyVersions } from '../support/vault';

const SECRETS = 6;
const A_DAY = 86_400;

describe('a key that is replaced', () => {
  const services: Service[] = [];
  afterAll(() => Promise.all(services.map((service) => service.stop())));

  it('is disabled, and after the soak, in which the worker dies, deleted; it can be recovered', async () => {
    const cluster = await makeCluster('retire', { count: SECRETS });
    const service = await startOwnService('retire');
    services.push(service);
    const by = people(service.apiUrl);
    const asked = await replaced(by, cluster, 20);
    expect(asked.plan?.warnings.map(({ code }) => code)).toEqual(
      expect.arrayContaining(['BackupsNeedTheKey', 'OtherUsersOfTheKey', 'OtherKeyObject']),
    );
    await at(by.requester, asked.id, 'retire.soak');
    process.kill(service.worker.pid, 'SIGKILL');

    const over = await ended(by.requester, asked.id);
    const parameters = asked.request.parameters as { keyId: string; nextKeyId: string };
    expect(over).toMatchObject({
      status: 'Succeeded',
      result: { currentKeyId: parameters.nextKeyId, previousKeyId: cluster.keyId },
    });
    expect(over.keysNeeded.sort()).toEqual([parameters.keyId, parameters.nextKeyId].sort());
    expect(over.steps.at(-1)?.result).toMatch(/^Deleted, and recoverable until /);
    const { name } = mustParseKeyId(cluster.keyId);
    await expect(keyClient(cluster.keyId).getKey(name)).rejects.toMatchObject({ statusCode: 404 });
    expect(await countByKey(readSecretRecords(cluster.etcd), { newKeyId: parameters.nextKeyId })).toEqual({
      newKey: SECRETS,
      oldKey: 0,
      plaintext: 0,
      other: 0,
    });
    await restart(cluster);
    expect((await valuesNow(cluster)).size).toBe(SECRETS);

    await (await keyClient(cluster.keyId).beginRecoverDeletedKey(name)).pollUntilDone();
    expect(await keyVersions(cluster.keyId)).toMatchObject([{ keyId: cluster.keyId, enabled: false }]);
  });

  it('holds no lock in the soak, goes on as a new run, and can be had back when the soak is canceled', async () => {
    const by = people();
    const cluster = await makeCluster('retire-soak', { count: SECRETS });
    const values = await valuesNow(cluster);
    const asked = await replaced(by, cluster, A_DAY);
    await at(by.requester, asked.id, 'retire.soak');
    expect(await enabledNow(cluster.keyId)).toBe(false);

    const meanwhile = await ask(by.requester, cluster, 'rewrite-secrets');
    await pass(by, meanwhile, 'approve');
    expect(await ended(by.requester, meanwhile.id)).toMatchObject({ status: 'Succeeded' });
    const soaking = await by.requester.get(asked.id, 0);
    expect(soaking).toMatchObject({ status: 'Running', waitingFor: expect.stringMatching(/end of the soak/) });

    const temporal = await openTemporal();
    try {
      const handle = temporal.workflow.getHandle(asked.id);
      const { runId, raw } = await handle.describe();
      const first = raw.workflowExecutionInfo?.firstRunId ?? '';
      expect(first).not.toBe(runId);
      const { events } = await temporal.workflow.getHandle(asked.id, first).fetchHistory();
      expect(events?.at(-1)?.workflowExecutionContinuedAsNewEventAttributes).toBeTruthy();
    } finally {
      await temporal.connection.close();
    }

    await by.requester.cancel(asked.id);
    const over = await ended(by.requester, asked.id);
    const undo = `az keyvault key set-attributes --id ${cluster.keyId} --enabled true`;
    expect(over).toMatchObject({ status: 'Canceled', reason: { detail: expect.stringContaining(undo) } });
    await setEnabled(cluster.keyId, true);
    await restart(cluster);
    expect(await valuesNow(cluster)).toEqual(values);
  });
});
