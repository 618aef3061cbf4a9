/** A cluster is turned to API Server VNet Integration, stopped and started by what may run again at any time. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { AWAIT_LIMITS } from '../../activities/arm/await-operation';
import { awaitClusterChange, submitClusterChange } from '../../activities/arm/cluster-change';
import type { ClusterChange } from '../../domain/cluster-change';
import { testRunning } from '../activities/cluster-support';
import { AzureRig, kmsOn } from './support';

const never = new AbortController().signal;
const FAST = { ...AWAIT_LIMITS, pollInMs: 20, pollsPerRead: 1, restsInMs: 200 };
const STOP: ClusterChange = { type: 'power', to: 'Stopped' };
const START: ClusterChange = { type: 'power', to: 'Running' };
const ON: ClusterChange = { type: 'vnet-integration', subnetId: '/subscriptions/s/…/subnets/api' };

describe('a cluster', () => {
  let rig: AzureRig;
  beforeAll(async () => {
    rig = await AzureRig.start();
  });
  afterAll(() => rig.stop());
  afterEach(() => rig.azure.sandbox.faults.clear('hold-operation'));

  let looks = 0;
  const submit = (change: ClusterChange, expected = kmsOn(rig.key).to) =>
    submitClusterChange(
      rig.access,
      { cluster: rig.cluster, change, expect: expected },
      never,
      async () => void looks++,
    );
  const wait = (change: ClusterChange, operationUrl?: string) =>
    awaitClusterChange(rig.access, { cluster: rig.cluster, change, operationUrl }, testRunning(), FAST);
  const sent = (action: string): number =>
    rig.azure.sandbox.journal.entries().filter(({ method, path }) => method === 'POST' && path.endsWith(`/${action}`))
      .length;

  it('gets the integration by one PUT, which leaves everything else as it was', async () => {
    const before = await rig.raw();
    const { operationUrl } = await submit(ON);
    await wait(ON, operationUrl);
    const { properties } = await rig.raw();
    expect(properties['apiServerAccessProfile']).toEqual({
      enableVnetIntegration: true,
      subnetId: '/subscriptions/s/…/subnets/api',
    });
    expect(properties['securityProfile']).toEqual(before.properties['securityProfile']);
    expect(await submit(ON)).toEqual({ submitted: false });
  });

  it('is stopped once, after a last look; a stop that is under way is awaited, whoever asked for it', async () => {
    rig.azure.sandbox.faults.set('hold-operation');
    const looksBefore = looks;
    // Its answer is lost.
    await submit(STOP);
    expect(await submit(STOP)).toEqual({ submitted: false });
    expect(looks).toBe(looksBefore + 1);
    const stopped = wait(STOP);
    // A start has to wait: the stop is not done.
    await expect(submit(START)).rejects.toMatchObject({ type: 'ClusterBusy', nonRetryable: false });
    rig.azure.sandbox.faults.clear('hold-operation');
    expect(await stopped).toMatchObject({ status: 'Succeeded', decidedBy: 'cluster' });
    expect(await submit(STOP)).toEqual({ submitted: false });
    expect(sent('stop')).toBe(1);
  });

  it('that is stopped is started, whatever key it reports, and once', async () => {
    const other = kmsOn(await rig.newKey()).to;
    rig.azure.sandbox.faults.set('hold-operation');
    const { operationUrl } = await submit(START, other);
    expect(await submit(START, other)).toEqual({ submitted: false });
    rig.azure.sandbox.faults.clear('hold-operation');
    expect(await wait(START, operationUrl)).toMatchObject({ status: 'Succeeded' });
    expect(await submit(START, other)).toEqual({ submitted: false });
    expect(sent('start')).toBe(1);
    // It is not stopped when it is not what the plan is about.
    await expect(submit(STOP, other)).rejects.toMatchObject({ type: 'ClusterChangedOutside', nonRetryable: true });
    expect(sent('stop')).toBe(1);
  });

  it('whose start failed is started by the next try', async () => {
    const stop = await submit(STOP);
    await wait(STOP, stop.operationUrl);
    rig.azure.sandbox.faults.set('fail-operation');
    const failed = await submit(START);
    await expect(wait(START, failed.operationUrl)).rejects.toMatchObject({
      type: 'ArmOperationFailed',
      message: expect.stringContaining('No key was changed; look at the power state'),
    });
    const again = await submit(START);
    expect(again.submitted).toBe(true);
    expect(await wait(START, again.operationUrl)).toMatchObject({ status: 'Succeeded' });
  });
});
