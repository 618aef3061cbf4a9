import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { type AzureAccess, createAzureAccess } from '../../azure/access';
import { createHttpClient } from '../../azure/http-client';
import { AzureRig, PUBLIC_CLOUD, kmsOn } from './support';

const TIMEOUT_IN_MS = 1_000;

describe('a request to Azure', () => {
  let rig: AzureRig;
  beforeAll(async () => {
    rig = await AzureRig.start();
  });
  afterAll(() => rig.stop());
  afterEach(() => {
    for (const name of ['lost-response', 'stalled-response'] as const) rig.azure.sandbox.faults.clear(name);
  });

  /** Access that has no token yet. */
  const impatient = (): AzureAccess => createAzureAccess(PUBLIC_CLOUD, createHttpClient(TIMEOUT_IN_MS));
  const stall = (method: string, path: string): void =>
    rig.azure.sandbox.faults.set('stalled-response', { method, path });
  const failureOf = (call: Promise<unknown>): Promise<unknown> =>
    call.then(
      () => 'no failure',
      (error: unknown) => error,
    );

  it.each([
    ['ARM', 'GET', '/managedClusters/', ({ clusters }: AzureAccess) => clusters.read(rig.cluster)],
    [
      'ARM, for a kubeconfig',
      'POST',
      '/listClusterAdminCredential',
      ({ clusters }: AzureAccess) => clusters.adminKubeconfig(rig.cluster),
    ],
    ['a vault', 'GET', '/keys/', ({ keys }: AzureAccess) => keys.lookUp(rig.key)],
  ])('is not awaited for ever when the answer of %s stalls in its body', async (_whose, method, path, call) => {
    stall(method, path);
    expect(await failureOf(call(impatient()))).toMatchObject({
      code: 'Timeout',
      retryable: true,
      message: expect.stringMatching(/did not answer in time: no whole answer within 1 s/),
    });
    expect(rig.azure.sandbox.faults.active()).toEqual({});
    expect(await call(rig.access)).toBeDefined();
  });

  it('is not awaited for ever when the token stalls', async () => {
    stall('POST', '/oauth2/v2.0/token');
    expect(await failureOf(impatient().clusters.read(rig.cluster))).toMatchObject({
      name: 'TokenError',
      retryable: true,
    });
    expect(rig.azure.sandbox.faults.active()).toEqual({});
  });

  it('ends with the caller’s reason when the caller aborts while the answer stalls', async () => {
    stall('GET', '/managedClusters/');
    const stalled = new Promise<void>((resolve) => rig.azure.sandbox.faults.onChange(resolve));
    const controller = new AbortController();
    const reading = failureOf(rig.access.clusters.read(rig.cluster, { abortSignal: controller.signal }));
    const reason = new Error('changed my mind');
    await stalled;
    controller.abort(reason);
    expect(await reading).toBe(reason);
  });

  it('leaves no timer behind when it fails', async () => {
    const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
    const { observed, body } = await rig.access.clusters.read(rig.cluster);
    const before = timers();
    rig.azure.sandbox.faults.set('lost-response');
    expect(
      await failureOf(rig.access.clusters.putChange({ observed, body, provisioningError: {} }, kmsOn(rig.key))),
    ).toMatchObject({ name: 'ArmError', retryable: true });
    expect(timers()).toBe(before);
  });
});
