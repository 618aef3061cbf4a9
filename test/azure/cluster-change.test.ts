/** What Azure says and what the cluster shows may differ: the cluster counts. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { AWAIT_LIMITS } from '../../activities/arm/await-operation';
import { awaitClusterChange, submitClusterChange, verifyCluster } from '../../activities/arm/cluster-change';
import { awaitClusterIdle } from '../../activities/arm/cluster-idle';
import { toFailure } from '../../activities/failures';
import type { AzureAccess } from '../../azure/access';
import { ArmError, VaultError } from '../../azure/errors';
import type { ClusterChange, KmsProfile } from '../../domain/cluster-change';
import { testRunning } from '../activities/cluster-support';
import { AzureRig, kmsOn } from './support';

const never = new AbortController().signal;
/** As for operations, but for the minutes. */
const FAST = { ...AWAIT_LIMITS, pollInMs: 20, pollsPerRead: 1, restsInMs: 200 };
const OFF: ClusterChange = { type: 'kms', to: { mode: 'off' } };

describe('a change of a cluster', () => {
  let rig: AzureRig;
  /** What ARM reports. */
  let current: KmsProfile;

  beforeAll(async () => {
    rig = await AzureRig.start();
    current = kmsOn(rig.key).to;
  });
  afterAll(() => rig.stop());
  afterEach(() => {
    for (const name of ['ignore-change', 'stuck-operation-url', 'hold-operation'] as const) {
      rig.azure.sandbox.faults.clear(name);
    }
  });

  const submit = (change: ClusterChange, expected = current) =>
    submitClusterChange(rig.access, { cluster: rig.cluster, change, expect: expected }, never);
  const wait = (change: ClusterChange, operationUrl?: string, running = testRunning(), access: Access = rig.access) =>
    awaitClusterChange(access, { cluster: rig.cluster, change, operationUrl }, running, FAST);
  type Access = Pick<AzureAccess, 'clusters'>;

  it('that Azure accepts and forgets blocks within seconds, and is sent again by the next try', async () => {
    const change = kmsOn(await rig.newKey());
    const puts = rig.kmsPuts();
    rig.azure.sandbox.faults.set('ignore-change');
    const { operationUrl } = await submit(change);
    await expect(wait(change, operationUrl)).rejects.toMatchObject({
      type: 'ChangeNotApplied',
      nonRetryable: true,
      message: expect.stringMatching(/ended its operation Succeeded, but reports the key .* instead of the key /),
    });
    rig.azure.sandbox.faults.clear('ignore-change');
    const again = await submit(change);
    expect(again.submitted).toBe(true);
    expect(await wait(change, again.operationUrl)).toMatchObject({ status: 'Succeeded' });
    expect(rig.kmsPuts()).toBe(puts + 2);
    current = change.to;
  });

  it('whose operation never ends is decided by the cluster, once that has rested long enough', async () => {
    const change = kmsOn(await rig.newKey());
    rig.azure.sandbox.faults.set('stuck-operation-url');
    const { operationUrl } = await submit(change);
    const running = testRunning();
    expect(await wait(change, operationUrl, running)).toEqual({
      operationUrl,
      status: 'Succeeded',
      decidedBy: 'cluster',
    });
    current = change.to;

    rig.azure.sandbox.faults.set('ignore-change');
    const forgotten = kmsOn(await rig.newKey());
    const second = await submit(forgotten);
    await expect(wait(forgotten, second.operationUrl)).rejects.toMatchObject({ type: 'ChangeNotApplied' });
  });

  it('is not decided by a cluster that is busy, however long the operation takes', async () => {
    const change = kmsOn(await rig.newKey());
    rig.azure.sandbox.faults.set('hold-operation');
    const { operationUrl } = await submit(change);
    let reads = 0;
    const clusters: AzureAccess['clusters'] = {
      ...rig.access.clusters,
      // Far more reads than a resting cluster is given; then Azure goes on.
      read: (...args) => {
        if (++reads === 30) rig.azure.sandbox.faults.clear('hold-operation');
        return rig.access.clusters.read(...args);
      },
    };
    const ended = await wait(change, operationUrl, testRunning(), { clusters });
    expect(ended).not.toHaveProperty('decidedBy');
    expect(reads).toBeGreaterThanOrEqual(30);
    current = change.to;
  });

  it('whose operation cannot be read is decided by the cluster too', async () => {
    const change = kmsOn(await rig.newKey());
    const { operationUrl } = await submit(change);
    const broken = (status: number, retryable: boolean): Access => ({
      clusters: {
        ...rig.access.clusters,
        operation: () =>
          Promise.reject(new ArmError({ status, code: 'Broken', message: 'Broken.', retryable, retryAfterInMs: 1 })),
      },
    });
    for (const access of [broken(503, true), broken(403, false)]) {
      expect(await wait(change, operationUrl, testRunning(), access)).toMatchObject({ decidedBy: 'cluster' });
    }
    current = change.to;
  });

  it('waits for whatever else Azure does to the cluster, says so, and can be interrupted', async () => {
    rig.azure.sandbox.faults.set('hold-operation');
    await rig.azure.arm('PATCH', rig.azure.clusterPath('c1'), { body: { tags: { owner: 'somebody' } } });
    const running = testRunning();
    const idle = (on: typeof running) => awaitClusterIdle(rig.access, { cluster: rig.cluster }, on, 20);
    const interrupted = testRunning();
    const canceled = idle(interrupted);
    interrupted.abort(new Error('canceled'));
    await expect(canceled).rejects.toThrow('canceled');

    const waiting = idle(running);
    await expect(submit(kmsOn(await rig.newKey()))).rejects.toMatchObject({ type: 'ClusterBusy', nonRetryable: false });
    rig.azure.sandbox.faults.clear('hold-operation');
    expect(await waiting).toEqual({ provisioningState: 'Succeeded' });
    expect(await awaitClusterIdle(rig.access, { cluster: `${rig.cluster}x` }, testRunning())).toEqual({
      provisioningState: 'Deleted',
    });
  });

  it('is not sent without an entity tag, which would undo what somebody else changed', async () => {
    const puts = rig.kmsPuts();
    const clusters: AzureAccess['clusters'] = {
      ...rig.access.clusters,
      read: async (...args) => {
        const snapshot = await rig.access.clusters.read(...args);
        return { ...snapshot, body: { ...snapshot.body, eTag: undefined } };
      },
    };
    const change = kmsOn(await rig.newKey());
    const input = { cluster: rig.cluster, change, expect: current };
    await expect(submitClusterChange({ clusters }, input, never)).rejects.toMatchObject({
      type: 'EntityTagMissing',
      nonRetryable: true,
    });
    expect(rig.kmsPuts()).toBe(puts);
  });

  it('takes KMS off and puts it on again, each with one PUT', async () => {
    const puts = rig.kmsPuts();
    const off = await submit(OFF);
    await wait(OFF, off.operationUrl);
    expect(await verifyCluster(rig.access, { cluster: rig.cluster, change: OFF }, never)).toMatchObject({
      keyId: null,
      provisioningState: 'Succeeded',
    });
    expect(await submit(OFF)).toEqual({ submitted: false });

    const change: ClusterChange = { type: 'kms', to: current };
    await expect(submit(kmsOn(await rig.newKey()), current)).rejects.toMatchObject({
      type: 'ClusterChangedOutside',
      message: expect.stringContaining('Azure reports that KMS is off'),
    });
    const on = await submit(change, OFF.to);
    await wait(change, on.operationUrl);
    expect(await verifyCluster(rig.access, { cluster: rig.cluster, change }, never)).toMatchObject({
      keyId: (current as { keyId: string }).keyId,
    });
    expect(rig.kmsPuts()).toBe(puts + 2);
  });
});

it('a refusal by a vault has the code of what was asked of it', () => {
  const refusal = new VaultError({ status: 400, code: 'BadParameter', message: 'No.', retryable: false });
  expect(toFailure(refusal, { doing: 'Observing' })).toMatchObject({ type: 'VaultRequestRefused', nonRetryable: true });
  expect(toFailure(refusal, { doing: 'Making', vaultRefusal: 'CreateKeyRefused' })).toMatchObject({
    type: 'CreateKeyRefused',
  });
});
