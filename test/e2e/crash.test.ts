/** The worker is killed in the middle, as a machine does it; another one goes on. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { OperationAnswer } from '../../cli/api-client';
import { clusterWrites } from '../../launch/sandbox-control';
import type { SandboxClusterFacts } from '../../launch/sandbox-cluster';
import type { Service } from '../../launch/service';
import { countByKey, readSecretRecords } from '../../sandbox/cluster/raw-records';
import { askForRotation, control, ended, makeCluster, people, startOwnService, until } from '../support/stack';
import { keyVersions } from '../support/vault';

const SECRETS = 400;

describe('kill -9 of the worker', () => {
  let service: Service;
  let cluster: SandboxClusterFacts;

  beforeAll(async () => {
    [cluster, service] = await Promise.all([makeCluster('crash', { count: SECRETS }), startOwnService('crash')]);
  });
  afterAll(() => service.stop());
  afterEach(async () => {
    await control().clearFault('hold-operation');
    await control().clearFault('kube-latency');
  });

  /** Rotates; kills the worker once `when` holds. The supervisor starts another one. */
  async function rotateWithCrash(
    when: (operation: OperationAnswer) => boolean,
    before: () => Promise<void>,
    after: () => Promise<void>,
  ): Promise<OperationAnswer> {
    const { requester, approver1 } = people(service.apiUrl);
    const asked = await askForRotation(requester, cluster.resourceId);
    await before();
    await approver1.approve(asked.id, asked.plan?.digest ?? '');
    await until(requester, asked.id, when);
    const { pid } = service.worker;
    process.kill(pid, 'SIGKILL');
    await after();
    const over = await ended(requester, asked.id);
    expect(service.worker.pid).not.toBe(pid);
    return over;
  }

  async function expectOneOfEach(
    operation: OperationAnswer,
    versionsBefore: number,
    writesBefore: number,
  ): Promise<void> {
    expect(operation).toMatchObject({ status: 'Succeeded', result: { proof: { secrets: SECRETS, unproven: 0 } } });
    expect(clusterWrites(await control().journal(), cluster.resourceId) - writesBefore).toBe(1);
    expect((await keyVersions(cluster.keyId)).length - versionsBefore).toBe(1);
    const newKeyId = operation.result?.currentKeyId ?? '';
    expect(await countByKey(readSecretRecords(cluster.etcd), { newKeyId })).toEqual({
      newKey: SECRETS,
      oldKey: 0,
      plaintext: 0,
      other: 0,
    });
  }

  it('during the ARM operation: it completes, with one PUT and one new key version', async () => {
    const [versions, writes] = [
      (await keyVersions(cluster.keyId)).length,
      clusterWrites(await control().journal(), cluster.resourceId),
    ];
    const operation = await rotateWithCrash(
      ({ steps }) => steps.some(({ id, status }) => id === 'rotate.set-kms' && status === 'running'),
      () => control().setFault('hold-operation', { path: '/managedclusters/crash' }),
      () => control().clearFault('hold-operation'),
    );
    await expectOneOfEach(operation, versions, writes);
  });

  it('during the rewrite: it completes, and what was rewritten is not sent again', async () => {
    const [versions, writes] = [
      (await keyVersions(cluster.keyId)).length,
      clusterWrites(await control().journal(), cluster.resourceId),
    ];
    const operation = await rotateWithCrash(
      ({ progress }) => progress?.step === 'rotate.rewrite' && progress.done > 0 && progress.done < SECRETS,
      () => control().setFault('kube-latency', { milliseconds: 150 }),
      () => control().clearFault('kube-latency'),
    );
    await expectOneOfEach(operation, versions, writes);
    const { rewrite } = operation.result ?? {};
    expect(rewrite?.alreadyProven).toBeGreaterThan(0);
    expect((rewrite?.alreadyProven ?? 0) + (rewrite?.rewritten ?? 0)).toBe(SECRETS);
  });
});
