/** A cluster and its identity are made once, by the operation that was approved, and never taken from another client. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { AWAIT_LIMITS } from '../../activities/arm/await-operation';
import { awaitNewCluster, submitNewCluster } from '../../activities/arm/new-cluster';
import { createIdentity, grantEndpointApproval } from '../../activities/provision/identity';
import type { VersionMark } from '../../azure/keys';
import type { KmsProfile } from '../../domain/cluster-change';
import type { StepOf } from '../../domain/plan/steps';
import { testRunning } from '../activities/cluster-support';
import { GROUP, LOCATION } from '../sandbox/azure-support';
import { AzureRig, kmsOn, VAULT } from './support';

const never = new AbortController().signal;
const FAST = { ...AWAIT_LIMITS, pollInMs: 20, pollsPerRead: 1, restsInMs: 200 };
const OWN: VersionMark = { operationId: 'op-1', nonce: 'nonce-1' };
const OTHER: VersionMark = { operationId: 'op-1', nonce: 'nonce-2' };

describe('a cluster that is made', () => {
  let rig: AzureRig;
  let kms: KmsProfile;
  beforeAll(async () => {
    rig = await AzureRig.start();
    kms = kmsOn(rig.key).to;
  });
  afterAll(() => rig.stop());

  const idOf = (name: string): string => rig.cluster.replace(/c1$/, name);
  const stepOf = (): StepOf<'create-cluster'> => ({
    id: 'create-cluster',
    type: 'create-cluster',
    title: 't',
    reason: 'r',
    to: { mode: 'on', scheme: 'kms-v2', key: rig.key, access: 'Public' },
    location: LOCATION,
    identityId: rig.identity(),
    kubernetesVersion: '',
    nodeCount: 1,
    vmSize: '',
    apiServerSubnetId: null,
    nodeSubnetId: null,
    dnsPrefix: 'c',
  });
  const submit = (name: string, mark = OWN) =>
    submitNewCluster(rig.access, { cluster: idOf(name), step: stepOf(), kms, mark }, never);
  const wait = (name: string, operationUrl?: string) =>
    awaitNewCluster(rig.access, { cluster: idOf(name), operationUrl, kms }, testRunning(), FAST);
  const puts = (path: string): number =>
    rig.azure.sandbox.journal.entries().filter((one) => one.path.endsWith(path) && one.status < 300).length;

  it('is asked for once, whatever a second try does, and shows its version', async () => {
    const { operationUrl, submitted } = await submit('n1');
    expect(submitted).toBe(true);
    expect(await submit('n1')).toEqual({ submitted: false });
    expect(await wait('n1', operationUrl)).toMatchObject({ operation: { status: 'Succeeded' }, version: '1.34.1' });
    expect(await submit('n1')).toEqual({ submitted: false });
    expect(puts('/managedClusters/n1')).toBe(1);
  });

  it('is none that another client made, nor one of an earlier operation of the same id', async () => {
    await expect(submit('c1')).rejects.toMatchObject({ type: 'ClusterNotAsApproved', nonRetryable: true });
    await expect(submit('n1', OTHER)).rejects.toMatchObject({ type: 'ClusterNotAsApproved', nonRetryable: true });
    expect([puts('/managedClusters/c1'), puts('/managedClusters/n1')]).toEqual([1, 1]);
    // Between the look and the request: the fence of the request holds.
    const fence = { ifNoneMatch: '*' } as const;
    await expect(rig.access.clusters.create(idOf('n1'), {}, fence)).rejects.toMatchObject({ status: 412 });
  });

  it('that is not encrypted any more as it was made is left, and a person is asked', async () => {
    const { submitted } = await submit('n2');
    expect(submitted).toBe(true);
    await wait('n2');
    const other = kmsOn(await rig.newKey()).to;
    const asked = submitNewCluster(rig.access, { cluster: idOf('n2'), step: stepOf(), kms: other, mark: OWN }, never);
    await expect(asked).rejects.toMatchObject({ type: 'ClusterChangedOutside', nonRetryable: true });
  });

  it('whose creation failed is asked for again, and only then', async () => {
    rig.azure.sandbox.faults.set('fail-operation', { path: '/managedClusters/n3', applied: false });
    const { operationUrl } = await submit('n3');
    await expect(wait('n3', operationUrl)).rejects.toMatchObject({ type: 'ArmOperationFailed', nonRetryable: true });
    const again = await submit('n3');
    expect(again.submitted).toBe(true);
    expect(await wait('n3', again.operationUrl)).toMatchObject({ operation: { status: 'Succeeded' } });
    expect(puts('/managedClusters/n3')).toBe(2);
  });

  it('has an identity that is made once, and is not one that another client made meanwhile', async () => {
    const identityId = rig.identity().replace(/[^/]+$/, 'id-made');
    const step = { identityId, location: LOCATION };
    const made = await createIdentity(rig.access, step, OWN, never);
    expect(await createIdentity(rig.access, step, OWN, never)).toMatchObject(made);
    expect(puts('/userAssignedIdentities/id-made')).toBe(1);
    await expect(createIdentity(rig.access, step, OTHER, never)).rejects.toMatchObject({
      type: 'IdentityNotAsApproved',
      nonRetryable: true,
    });
  });

  it('gets the right to approve private endpoints once, for the approved principal only', async () => {
    const { identityId, principalId } = await rig.azure.identity('id-private');
    const { subscriptionId } = rig.azure.sandbox;
    const vaultId = `/subscriptions/${subscriptionId}/resourceGroups/${GROUP}/providers/Microsoft.KeyVault/vaults/${VAULT}`;
    const grant = (approved: string | null) =>
      grantEndpointApproval(rig.access, { vaultId, identityId, principalId: approved }, never);
    await expect(grant('another-principal')).rejects.toMatchObject({ type: 'IdentityNotAsApproved' });
    rig.azure.sandbox.faults.set('forbidden', { method: 'PUT', path: '/roleAssignments/' });
    await expect(grant(principalId)).rejects.toMatchObject({
      type: 'GrantRefused',
      message: expect.stringContaining(`--role "Key Vault Contributor" --assignee-object-id ${principalId}`),
    });
    rig.azure.sandbox.faults.clear('forbidden');
    expect(await grant(principalId)).toEqual({ principalId, granted: true });
    expect(await grant(null)).toEqual({ principalId, granted: false });
  });
});
