/** A proof is recorded only if nothing could change the cluster since it was taken; raw etcd is the judge. */
import { afterAll, describe, expect, it } from '@jest/globals';
import { armPut, connectAzure } from '../../launch/azure-client';
import { countByKey, readSecretRecords } from '../../sandbox/cluster/raw-records';
import { startDirectedService, type DirectedService } from '../support/directed-service';
import { kubeApi } from '../support/kube';
import { askForRotation, ended, makeCluster, people, testStack, until } from '../support/stack';

const SECRETS = 30;
const NAME = 'voided-proof';

describe('an older key that is set again after the proof', () => {
  let service: DirectedService | undefined;
  afterAll(() => service?.stop());

  it('voids it: after the repair the Secrets are rewritten and proven again before the key is recorded', async () => {
    const cluster = await makeCluster(NAME, { count: SECRETS });
    service = await startDirectedService(NAME);
    const { requester, approver1 } = people(service.apiUrl);
    const { request, close } = await connectAzure(testStack().sandbox);
    const url = `https://management.azure.com${cluster.resourceId}?api-version=2026-04-01`;
    const setKey = async (keyId: string): Promise<void> => {
      body.properties.securityProfile.azureKeyVaultKms.keyId = keyId;
      await armPut(request, cluster.resourceId, body);
    };
    const asked = await askForRotation(requester, cluster.resourceId);
    const rewriting = service.hold('rewriteSecrets');
    await approver1.approve(asked.id, asked.plan?.digest ?? '');
    await rewriting.held();
    const body = (await request('GET', url)).body as {
      properties: { securityProfile: { azureKeyVaultKms: { keyId: string } } };
    };
    const newKeyId = body.properties.securityProfile.azureKeyVaultKms.keyId;
    // The first that the record step does, when nothing watches the cluster any more.
    const recording = service.hold('awaitClusterIdle');
    rewriting.release();
    await recording.held();
    await setKey(cluster.keyId);
    recording.release();
    const blocked = await until(requester, asked.id, ({ status }) => status === 'Blocked');
    expect(blocked.reason?.code).toBe('ClusterChangedOutside');

    // Others write Secrets meanwhile: under the older key.
    const { core } = kubeApi(cluster);
    const { items } = await core.listSecretForAllNamespaces();
    const ours = items.filter(({ metadata }) => metadata?.namespace !== 'kube-system').slice(0, 10);
    for (const secret of ours) {
      const { name = '', namespace = '' } = secret.metadata ?? {};
      const metadata = { ...secret.metadata, annotations: { touched: 'yes' } };
      await core.replaceNamespacedSecret({ name, namespace, body: { ...secret, metadata } });
    }
    await setKey(newKeyId);
    expect((await countByKey(readSecretRecords(cluster.etcd), { newKeyId })).newKey).toBeLessThan(SECRETS);

    await requester.retry(asked.id);
    const over = await ended(requester, asked.id);
    expect(over).toMatchObject({ status: 'Succeeded', result: { rewrite: { rewritten: SECRETS } } });
    expect(await countByKey(readSecretRecords(cluster.etcd), { newKeyId })).toMatchObject({ newKey: SECRETS });
    await close();
  });
});
