import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { createAzureAccess } from '../../azure/access';
import { createArmClient } from '../../azure/arm';
import { createCredential } from '../../azure/credentials';
import { createHttpClient } from '../../azure/http-client';
import { awaitClusterChange, submitClusterChange, verifyCluster } from '../../activities/arm/cluster-change';
import { toFailure } from '../../activities/failures';
import { testRunning } from '../activities/cluster-support';
import { AzureRig, kmsOn, PUBLIC_CLOUD } from './support';

const never = new AbortController().signal;

describe('a managed cluster and its key', () => {
  let rig: AzureRig;
  /** What ARM reports. */
  let current: string;

  beforeAll(async () => {
    rig = await AzureRig.start();
    current = rig.key;
  });
  afterAll(() => rig.stop());
  afterEach(() => {
    for (const name of ['throttle', 'server-error', 'lost-response', 'hold-operation', 'fail-operation'] as const) {
      rig.azure.sandbox.faults.clear(name);
    }
  });

  const read = () => rig.access.clusters.read(rig.cluster);
  const submit = (keyId: string, expectedKeyId = current) =>
    submitClusterChange(
      rig.access,
      { cluster: rig.cluster, change: kmsOn(keyId), expect: kmsOn(expectedKeyId).to },
      never,
    );
  const wait = (keyId: string, operationUrl?: string) =>
    awaitClusterChange(rig.access, { cluster: rig.cluster, change: kmsOn(keyId), operationUrl }, testRunning());
  const verify = (keyId: string) => verifyCluster(rig.access, { cluster: rig.cluster, change: kmsOn(keyId) }, never);

  it('is read with a token of the environment, and with nothing but a proxy and an authority', async () => {
    const { observed } = await read();
    expect(observed).toMatchObject({
      resourceId: expect.stringContaining('/resourceGroups/'),
      kubernetesVersion: '1.34.1',
      provisioningState: 'Succeeded',
      powerState: 'Running',
      identityType: 'UserAssigned',
      identities: [
        {
          resourceId: expect.stringMatching(/userAssignedIdentities\/id-aks$/),
          principalId: expect.stringMatching(/^[0-9a-f-]{36}$/),
        },
      ],
      localAccountsDisabled: false,
      platformManagedEncryption: false,
      kms: { enabled: true, keyId: rig.key, networkAccess: 'Public' },
    });
  });

  it('gives its admin kubeconfig', async () => {
    expect(await rig.access.clusters.adminKubeconfig(rig.cluster)).toBe('kubeconfig of c1');
  });

  it('that does not exist is an error of ARM with its code, and no reason to try again', async () => {
    await expect(rig.access.clusters.read(`${rig.cluster}x`)).rejects.toMatchObject({
      name: 'ArmError',
      status: 404,
      code: 'ResourceNotFound',
      retryable: false,
    });
  });

  it('is asked for once: trying again is not the business of the client', async () => {
    rig.azure.sandbox.faults.set('throttle', { requests: 1 });
    await expect(read()).rejects.toMatchObject({ status: 429, retryAfterInMs: 1000, retryable: true });
    rig.azure.sandbox.faults.set('server-error', { requests: 1 });
    await expect(read()).rejects.toMatchObject({ status: 503, retryable: true });
    rig.azure.sandbox.faults.set('server-error', { requests: 1 });
    await expect(rig.access.clusters.adminKubeconfig(rig.cluster)).rejects.toMatchObject({
      status: 503,
      retryable: true,
    });
    await expect(read()).resolves.toBeDefined();
  });

  it('sets a key with one PUT, and the rest of it stays as it was', async () => {
    const before = await rig.raw();
    before.properties.madeUpTomorrow = { kept: [1, 'two'] };
    await rig.putRaw(before);
    const puts = rig.kmsPuts();
    const keyId = await rig.newKey();

    const { operationUrl, submitted } = await submit(keyId);
    expect(submitted).toBe(true);
    const operation = await wait(keyId, operationUrl);
    expect(operation).toMatchObject({
      operationUrl,
      status: 'Succeeded',
      startedAt: expect.any(String),
      endedAt: expect.any(String),
    });
    current = keyId;

    const after = await rig.raw();
    expect(after.properties.madeUpTomorrow).toEqual({ kept: [1, 'two'] });
    expect(after.identity).toEqual(before.identity);
    expect(rig.kmsPuts()).toBe(puts + 1);
    expect(await verify(keyId)).toEqual({
      keyId,
      provisioningState: 'Succeeded',
      eTag: expect.any(String),
    });
    expect(await submit(keyId, rig.key)).toEqual({ submitted: false });
    expect(rig.kmsPuts()).toBe(puts + 1);
  });

  it('is PUT once when the answer is lost: the next try sees that it was done', async () => {
    const keyId = await rig.newKey();
    const puts = rig.kmsPuts();
    rig.azure.sandbox.faults.set('lost-response', { method: 'PUT', path: '/managedClusters/' });
    const failure = await submit(keyId).catch((error: unknown) => toFailure(error, { doing: 'Setting the key' }));
    expect(failure).toMatchObject({ type: 'AzureUnavailable', nonRetryable: false });
    expect(await submit(keyId)).toEqual({ submitted: false });
    expect(await wait(keyId)).toEqual({ status: 'Succeeded', decidedBy: 'cluster' });
    expect(rig.kmsPuts()).toBe(puts + 1);
    current = keyId;
  });

  it('is left alone while ARM is busy with another change', async () => {
    const [first, second] = [await rig.newKey(), await rig.newKey()];
    rig.azure.sandbox.faults.set('hold-operation');
    const { operationUrl } = await submit(first);
    expect(await submit(first)).toEqual({ submitted: false });
    const busy = submit(second);
    await expect(busy).rejects.toMatchObject({
      type: 'ClusterBusy',
      nonRetryable: false,
      nextRetryDelay: expect.any(Number),
    });
    await expect(verify(first)).rejects.toMatchObject({ type: 'ClusterBusy', nonRetryable: false });

    const running = testRunning();
    const waiting = awaitClusterChange(
      rig.access,
      { cluster: rig.cluster, change: kmsOn(first), operationUrl },
      running,
    );
    setTimeout(() => running.abort(new Error('canceled')), 200);
    await expect(waiting).rejects.toThrow('canceled');
    expect(running.heartbeats).toContainEqual({ waitsFor: 'Azure: its operation on the cluster is InProgress' });
    rig.azure.sandbox.faults.clear('hold-operation');
    await wait(first, operationUrl);
    current = first;
  });

  it('is not PUT over a change that somebody else made since it was read', async () => {
    const snapshot = await read();
    await rig.putRaw({ ...(await rig.raw()), tags: { changed: 'meanwhile' } });
    const stale = rig.access.clusters.putChange(snapshot, kmsOn(await rig.newKey()));
    await expect(stale).rejects.toMatchObject({ name: 'ArmError', status: 412, retryable: true });
  });

  it('that has a key which is not the expected one is a matter for a person', async () => {
    await expect(verify(rig.key)).rejects.toMatchObject({ type: 'ClusterChangedOutside', nonRetryable: true });
    const puts = rig.kmsPuts();
    await expect(submit(await rig.newKey(), rig.key)).rejects.toMatchObject({
      type: 'ClusterChangedOutside',
      nonRetryable: true,
    });
    expect(rig.kmsPuts()).toBe(puts);
  });

  it('whose operation fails says why in Azure’s words, and is asked again for the same key', async () => {
    const keyId = await rig.newKey();
    rig.azure.sandbox.faults.set('fail-operation', { code: 'KeyVaultSaidNo', message: 'The vault did not answer.' });
    const { operationUrl } = await submit(keyId);
    await expect(wait(keyId, operationUrl)).rejects.toMatchObject({
      type: 'ArmOperationFailed',
      nonRetryable: true,
      message: expect.stringMatching(/KeyVaultSaidNo: The vault did not answer/),
    });
    await expect(wait(keyId)).rejects.toMatchObject({ type: 'ArmOperationFailed' });
    const again = await submit(keyId);
    expect(again.submitted).toBe(true);
    await wait(keyId, again.operationUrl);
    current = keyId;
    expect((await read()).observed).toMatchObject({ provisioningState: 'Succeeded', kms: { keyId } });
  });

  it('refused by Azure is a matter for a person, with Azure’s code', async () => {
    const missing = `${rig.key.slice(0, -32)}${'0'.repeat(32)}`;
    await expect(submit(missing)).rejects.toMatchObject({ type: 'ArmRequestRefused', nonRetryable: true });
  });

  it('cannot be reached by a client with a wrong secret, which is repaired outside', async () => {
    process.env.AZURE_CLIENT_SECRET = 'wrong';
    const stranger = createAzureAccess(PUBLIC_CLOUD);
    process.env.AZURE_CLIENT_SECRET = rig.azure.sandbox.clientSecret;
    const error: unknown = await stranger.clusters.read(rig.cluster).catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      name: 'TokenError',
      retryable: true,
      message: expect.stringContaining('AADSTS7000215'),
    });
    expect(toFailure(error, { doing: 'Observing' })).toMatchObject({ type: 'AzureUnavailable', nonRetryable: false });
  });

  it('is never asked at an address that is not ARM', async () => {
    const http = createHttpClient();
    const arm = createArmClient(PUBLIC_CLOUD, createCredential(PUBLIC_CLOUD, http), http);
    await expect(arm.request({ method: 'GET', url: 'https://management.azure.com.evil.test/x' })).rejects.toThrow(
      'nothing was sent',
    );
    expect(arm.owns('https://management.azure.com/subscriptions/x?t=1')).toBe(true);
  });
});
